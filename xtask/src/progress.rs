//! One live line on stderr for long builds; without a terminal one plain line per half minute.

use std::{
    cell::Cell,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

const PLAIN_EVERY: Duration = Duration::from_secs(30);
/// What is built already is found to be so within this time, and that is not worth a line.
const SILENT: Duration = Duration::from_secs(2);

/// A line that says what is being built and how far it is; it goes when dropped.
pub struct Line {
    bar: Option<ProgressBar>,
    title: String,
    started: Instant,
    said: Cell<Option<Instant>>,
}

impl Line {
    pub fn new(title: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {prefix}  {wide_msg} {elapsed}");
            let bar = ProgressBar::new_spinner().with_prefix(title.to_owned());
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar, title: title.to_owned(), started: Instant::now(), said: Cell::default() }
    }

    pub fn show(&self, how_far: String) {
        match &self.bar {
            Some(bar) => bar.set_message(how_far),
            None if self.is_due() => {
                self.said.set(Some(Instant::now()));
                eprintln!("{} … {how_far} ({} s)", self.title, self.started.elapsed().as_secs());
            }
            None => {}
        }
    }

    fn is_due(&self) -> bool {
        self.said.get().map_or(self.started.elapsed() >= SILENT, |said| said.elapsed() >= PLAIN_EVERY)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The pause between two looks at a build that another process does.
pub fn rest() {
    std::thread::sleep(Duration::from_millis(200));
}
