//! Lines on standard output. Callbacks of the kernel's can't fail, so the first error is kept for who asks.

use std::fmt::Display;
use std::io::{self, Write};

pub struct Lines<W> {
    output: W,
    error: Option<io::Error>,
}

impl<W: Write> Lines<W> {
    pub fn new(output: W) -> Self {
        Self { output, error: None }
    }

    pub fn write(&mut self, line: impl Display) {
        if let Err(error) = writeln!(self.output, "{line}") {
            self.error.get_or_insert(error);
        }
    }

    /// Hands on what was written; whether somebody still reads it. Nobody does when `bee run | head` has seen enough.
    pub fn flush(&mut self) -> io::Result<bool> {
        let written = self.error.take().map_or_else(|| self.output.flush(), Err);
        match written {
            // Or the run is over, and whoever reads has not read for long.
            Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::TimedOut) => Ok(false),
            written => written.map(|()| true),
        }
    }
}
