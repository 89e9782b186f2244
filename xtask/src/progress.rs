//! One live line on stderr for whatever takes long; without a terminal one plain line per half minute.
//!
//! A line speaks by itself: who waits for a program that says nothing need only hold one.

use std::{
    io::IsTerminal,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use clikit::{escaped, print, verbose};
use indicatif::{ProgressBar, ProgressStyle};

/// What is built already is found to be so within this time, and that is not worth a line.
const SILENT: Duration = Duration::from_secs(2);
const PLAIN_EVERY: Duration = Duration::from_secs(30);

/// A line that says what is being built and how far it is; it goes when dropped.
pub enum Line {
    Live(ProgressBar),
    Plain(Plain),
}

impl Line {
    pub fn new(title: &str) -> Self {
        if verbose::is_wanted() || !std::io::stderr().is_terminal() {
            return Self::Plain(Plain::new(title, (SILENT, PLAIN_EVERY), |line| print::note(line)));
        }
        let style = ProgressStyle::with_template("{spinner} {prefix}  {wide_msg} {elapsed}");
        let bar = ProgressBar::new_spinner().with_prefix(title.to_owned());
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self::Live(bar)
    }

    /// For a program whose own output passes by: a plain line, even on a terminal, wherever it says nothing for long.
    pub fn beside(title: &str) -> Self {
        Self::Plain(Plain::new(title, (PLAIN_EVERY, PLAIN_EVERY), |line| print::note(line)))
    }

    /// What is done now: a program's last line, or how much is left. `--verbose` keeps each.
    pub fn show(&self, how_far: String) {
        if verbose::is_wanted() {
            print::note(&how_far);
            return self.rest();
        }
        match self {
            Self::Live(bar) => bar.set_message(escaped(&how_far).into_owned()),
            Self::Plain(plain) => plain.lock().how_far = how_far,
        }
    }

    /// Something was said beside it, so that it may be silent for a while.
    pub fn rest(&self) {
        if let Self::Plain(plain) = self {
            plain.lock().said = Instant::now();
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Self::Live(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// A line again and again, from a thread of its own.
pub struct Plain {
    shared: Arc<(Mutex<State>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    how_far: String,
    said: Instant,
    is_over: bool,
}

impl Plain {
    /// The first line comes after the first of these times, each further one after the second.
    fn new(title: &str, (first, every): (Duration, Duration), say: impl Fn(&str) + Send + 'static) -> Self {
        let (title, started) = (title.to_owned(), Instant::now());
        let state = State { how_far: String::new(), said: started, is_over: false };
        let shared = Arc::new((Mutex::new(state), Condvar::new()));
        let theirs = shared.clone();
        let thread = std::thread::spawn(move || {
            let (state, over) = &*theirs;
            let (mut state, mut pause) = (state.lock().unwrap_or_else(PoisonError::into_inner), first);
            while !state.is_over {
                if state.said.elapsed() >= pause {
                    let how_far = if state.how_far.is_empty() { "" } else { " … " };
                    say(&format!("{title}{how_far}{} ({} s)", state.how_far, started.elapsed().as_secs()));
                    (state.said, pause) = (Instant::now(), every);
                }
                let left = pause.saturating_sub(state.said.elapsed());
                state = over.wait_timeout(state, left).map_or_else(|error| error.into_inner().0, |(state, _)| state);
            }
        });
        Self { shared, thread: Some(thread) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.lock().is_over = true;
        self.shared.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The pause between two looks at a build that another process does.
pub fn rest() {
    std::thread::sleep(Duration::from_millis(200));
}

#[cfg(test)]
mod tests {
    use std::{process::Command, sync::mpsc};

    use super::*;

    fn lines_while(work: impl FnOnce(&Plain)) -> Vec<String> {
        let (tell, told) = mpsc::channel();
        let times = (Duration::from_millis(100), Duration::from_millis(100));
        let plain = Plain::new("installing clang", times, move |line| drop(tell.send(line.to_owned())));
        work(&plain);
        drop(plain);
        told.iter().collect()
    }

    #[test]
    fn a_program_that_says_nothing_for_long_is_spoken_for() {
        let lines = lines_while(|plain| {
            plain.lock().how_far = "unpacking".to_owned();
            assert!(Command::new("sleep").arg("1").status().unwrap().success());
        });
        assert!(lines.len() >= 2, "{lines:?}");
        assert!(lines.iter().all(|line| line.starts_with("installing clang … unpacking (")), "{lines:?}");
    }

    #[test]
    fn what_is_soon_done_or_speaks_itself_is_not_spoken_for() {
        assert_eq!(lines_while(|_| {}), Vec::<String>::new());
        let (tell, told) = mpsc::channel();
        let hour = Duration::from_secs(3600);
        let line = Line::Plain(Plain::new("cargo test", (hour, hour), move |line| drop(tell.send(line.to_owned()))));
        line.rest();
        drop(line);
        assert_eq!(told.iter().count(), 0);
    }
}
