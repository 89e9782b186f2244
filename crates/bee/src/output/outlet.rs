//! Standard output that can't hold up the end of a run: a thread writes, and who hands lines on waits for it only as long as the run
//! lasts and a little more. A reader that does not read fills a pipe, and a write to it may take for ever.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::shutdown::End;

/// So many chunks wait to be written; then whoever makes more waits.
const CHUNKS: usize = 4;
/// How often a wait looks whether the run is over.
const LOOK: Duration = Duration::from_millis(50);

/// Takes chunks for a writer of its own.
pub struct Outlet {
    shared: Arc<Shared>,
    end: End,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Vec<u8>>,
    is_writing: bool,
    is_closed: bool,
    error: Option<io::Error>,
}

impl Outlet {
    /// # Errors
    /// There can be no other thread.
    pub fn new(output: impl Write + Send + 'static, end: End) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let writes = shared.clone();
        thread::Builder::new().name("output".to_owned()).spawn(move || writes.write_all(output))?;
        Ok(Self { shared, end })
    }

    /// Waits until a condition holds.
    ///
    /// # Errors
    /// What the writer met; or the run is over and there is no more time to wait.
    fn wait(&self, holds: impl Fn(&State) -> bool) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.shared.lock();
        loop {
            if let Some(error) = state.error.take() {
                return Err(error);
            }
            if holds(&state) {
                return Ok(state);
            }
            if self.end.is_overdue() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            state = self.shared.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.wait(|state| state.chunks.len() < CHUNKS)?;
        state.chunks.push_back(bytes.to_vec());
        self.shared.changed.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wait(|state| state.chunks.is_empty() && !state.is_writing).map(drop)
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// The writer's thread.
    fn write_all(&self, mut output: impl Write) {
        while let Some(chunk) = self.next() {
            let written = output.write_all(&chunk).and_then(|()| output.flush());
            let mut state = self.lock();
            state.is_writing = false;
            if let Err(error) = written {
                state.error = Some(error);
            }
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        loop {
            if let Some(chunk) = state.chunks.pop_front() {
                state.is_writing = true;
                self.changed.notify_all();
                return Some(chunk);
            }
            if state.is_closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    struct Told(Sender<Vec<u8>>);

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Never comes back from a write.
    struct Stuck;

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            loop {
                thread::park();
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_handed_on_is_written_in_order() {
        let (told, heard) = channel();
        let mut outlet = Outlet::new(Told(told), End::never()).unwrap();
        for number in 0..100u8 {
            outlet.write_all(&[number]).unwrap();
        }
        outlet.flush().unwrap();
        assert_eq!(heard.try_iter().flatten().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_writer_that_is_stuck_holds_up_nothing_once_the_run_is_over() {
        let mut outlet = Outlet::new(Stuck, End::never().after(Some(Duration::ZERO))).unwrap();
        let written = (0..100).try_for_each(|_| outlet.write_all(b"line")).and_then(|()| outlet.flush());
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn what_the_writer_meets_is_told() {
        let (told, heard) = channel();
        drop(heard);
        let mut outlet = Outlet::new(Told(told), End::never()).unwrap();
        assert!(outlet.write_all(b"line").and_then(|()| outlet.flush()).is_err());
    }
}
