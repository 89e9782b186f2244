//! The metrics as they were rendered last. Who asks while others still read them gets the same: sixty readers that do not read are one
//! rendering in memory, not sixty.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use hyper::body::Bytes;

use crate::allowance::Exceeded;
use crate::metrics::exposition::{Format, Rendering};

/// What is older is rendered anew, whoever still reads it.
const FRESH: Duration = Duration::from_secs(2);

/// Renders answers, and shares them.
pub struct Answers<Render> {
    render: Render,
    last: Mutex<HashMap<Format, Rendered>>,
}

/// An answer for as long as somebody reads it.
struct Rendered {
    at: Instant,
    rendering: Weak<Rendering>,
}

/// It goes with its last reader.
struct Shared(Arc<Rendering>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl<Render: Fn(Format) -> Result<Rendering, Exceeded>> Answers<Render> {
    pub fn new(render: Render) -> Self {
        Self { render, last: Mutex::default() }
    }

    /// What there is to say now.
    ///
    /// # Errors
    /// It is more than may be kept.
    pub fn answer(&self, format: Format) -> Result<Bytes, Exceeded> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let still_read = last.get(&format).filter(|rendered| rendered.at.elapsed() < FRESH);
        if let Some(rendering) = still_read.and_then(|rendered| rendered.rendering.upgrade()) {
            return Ok(Bytes::from_owner(Shared(rendering)));
        }
        let rendering = Arc::new((self.render)(format)?);
        last.insert(format, Rendered { at: Instant::now(), rendering: Arc::downgrade(&rendering) });
        Ok(Bytes::from_owner(Shared(rendering)))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::allowance::Allowance;
    use crate::metrics::exposition::Exposition;

    #[test]
    fn an_answer_is_shared_while_somebody_reads_it_and_made_anew_otherwise() {
        let renderings = Cell::new(0);
        let answers = Answers::new(|format| {
            renderings.set(renderings.get() + 1);
            let mut exposition = Exposition::new(format, &Allowance::unbounded());
            exposition.sample("rendering", "", renderings.get());
            exposition.finish()
        });
        let number = |answer: &Bytes| answer[b"rendering ".len()] - b'0';
        let first = answers.answer(Format::Text).unwrap();
        assert_eq!((number(&first), number(&answers.answer(Format::Text).unwrap())), (1, 1));
        assert_eq!(number(&answers.answer(Format::OpenMetrics).unwrap()), 2);
        drop(first);
        assert_eq!(number(&answers.answer(Format::Text).unwrap()), 3, "nobody reads the first any more");
        let fourth = answers.answer(Format::Text).unwrap();
        answers.last.lock().unwrap().values_mut().for_each(|rendered| rendered.at -= FRESH);
        assert_eq!((number(&fourth), number(&answers.answer(Format::Text).unwrap())), (4, 5), "it is old");
    }
}
