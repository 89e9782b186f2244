//! What a step shows while it runs: a live line on a terminal, one plain line per half minute elsewhere.
//!
//! All of it goes to stderr; stdout is for data. Steps and checks run side by side, so that there may be several live lines;
//! whatever else is printed meanwhile goes above them, by [`say`].

use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use clikit::{escaped, print};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often a waiting step says so when stderr is not a terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(30);

/// All live lines: whoever prints beside them would tear them.
static LINES: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Prints lines above the live ones, whoever's words are in them.
pub fn say(lines: &str) {
    LINES.suspend(|| lines.lines().for_each(print::note));
}

/// Prints a line whose mark has a colour.
pub fn say_marked(mark: &str, colour: u8, line: &str) {
    // Whoever does not listen misses it.
    LINES.suspend(|| drop(writeln!(io::stderr(), "\u{1b}[{colour}m{mark}\u{1b}[0m {}", escaped(line))));
}

/// A handle to the live line of the step that runs now; cheap to clone.
#[derive(Debug, Clone)]
pub struct Live {
    bar: ProgressBar,
    plain: Option<Arc<Mutex<Plain>>>,
}

#[derive(Debug)]
struct Plain {
    title: String,
    started: Instant,
    last: Instant,
}

impl Live {
    /// A live line that begins with `title`, such as `[3/7] install the operator`.
    pub fn new(title: impl Into<String>) -> Self {
        let title = title.into();
        if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{spinner} {prefix}  {wide_msg} {elapsed}");
            let bar = LINES.add(ProgressBar::new_spinner()).with_prefix(title);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(120));
            return Self { bar, plain: None };
        }
        let now = Instant::now();
        let plain = Plain { title, started: now, last: now };
        Self { bar: ProgressBar::hidden(), plain: Some(Arc::new(Mutex::new(plain))) }
    }

    /// A handle that shows nothing.
    pub fn silent() -> Self {
        Self { bar: ProgressBar::hidden(), plain: None }
    }

    /// Says what is being waited for, or how far the work is.
    pub fn waiting(&self, what: impl Into<String>) {
        let what = what.into();
        if let Some(plain) = &self.plain {
            let mut plain = plain.lock().unwrap_or_else(PoisonError::into_inner);
            if plain.last.elapsed() >= PLAIN_EVERY {
                plain.last = Instant::now();
                say(&format!("{} … {what} ({} s)", plain.title, plain.started.elapsed().as_secs()));
            }
        }
        self.bar.set_message(escaped(&what).into_owned());
    }

    /// Prints lines above the live ones.
    pub fn say(&self, lines: &str) {
        say(lines);
    }

    /// Removes the live line; the caller prints what became of the step.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
