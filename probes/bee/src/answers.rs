//! The metrics as they were rendered last. Who asks while others still read them gets the same: sixty readers that do not read are one
//! rendering in memory, not sixty.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use hyper::body::Bytes;

use crate::exposition::Format;

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
    text: Weak<String>,
}

/// It goes with its last reader.
struct Shared(Arc<String>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl<Render: Fn(Format) -> String> Answers<Render> {
    pub fn new(render: Render) -> Self {
        Self { render, last: Mutex::default() }
    }

    /// What there is to say now.
    pub fn answer(&self, format: Format) -> Bytes {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let still_read = last.get(&format).filter(|rendered| rendered.at.elapsed() < FRESH);
        let text = still_read.and_then(|rendered| rendered.text.upgrade()).unwrap_or_else(|| {
            let text = Arc::new((self.render)(format));
            last.insert(format, Rendered { at: Instant::now(), text: Arc::downgrade(&text) });
            text
        });
        Bytes::from_owner(Shared(text))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn an_answer_is_shared_while_somebody_reads_it_and_made_anew_otherwise() {
        let renderings = Cell::new(0);
        let answers = Answers::new(|format| {
            renderings.set(renderings.get() + 1);
            format!("{format:?} {}", renderings.get())
        });
        let first = answers.answer(Format::Text);
        assert_eq!((&*answers.answer(Format::Text), renderings.get()), (&b"Text 1"[..], 1));
        assert_eq!(&*answers.answer(Format::OpenMetrics), b"OpenMetrics 2");
        drop(first);
        assert_eq!(&*answers.answer(Format::Text), b"Text 3", "nobody reads the first any more");
        let third = answers.answer(Format::Text);
        answers.last.lock().unwrap().values_mut().for_each(|rendered| rendered.at -= FRESH);
        assert_eq!(&*answers.answer(Format::Text), b"Text 5", "it is old");
        drop(third);
    }
}
