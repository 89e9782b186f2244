//! Standard output is for data, standard error for talk; nobody has to read either. A pipe that was closed (`bee list | head -2`) is no
//! error: what was to be done is done all the same, and the exit code says how it went. A disk that is full is one.
//!
//! `println!` panics where these do not, and shows words of strangers as they are.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

use crate::{escaped, escaped_json, escaped_lines};

/// Standard output takes no more.
#[derive(Debug, thiserror::Error)]
#[error("failed to write to standard output")]
pub struct Unwritable(#[source] io::Error);

/// One line, whatever it is made of.
pub fn line(text: impl Display) -> Result<(), Unwritable> {
    own(&format!("{}\n", escaped(&text.to_string())))
}

/// Several lines, such as a table or a log.
pub fn lines(text: impl Display) -> Result<(), Unwritable> {
    own(&format!("{}\n", escaped_lines(&text.to_string())))
}

/// A JSON value, on one line or several.
pub fn json(text: impl Display) -> Result<(), Unwritable> {
    own(&format!("{}\n", escaped_json(&text.to_string())))
}

/// Text as it is, for what holds no word of a stranger's, or holds them escaped: a script, a line with colours.
pub fn own(text: &str) -> Result<(), Unwritable> {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// What became of something that was written to standard output.
pub fn written(outcome: io::Result<()>) -> Result<(), Unwritable> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(Unwritable),
    }
}

/// One line of talk. Where nobody can hear it there is nobody to tell.
pub fn note(text: impl Display) {
    own_note(&escaped(&text.to_string()));
}

/// The same as it is, for what holds words of strangers' escaped.
pub fn own_note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_who_has_gone_is_no_error_and_a_full_disk_is() {
        assert!(written(Err(ErrorKind::BrokenPipe.into())).is_ok());
        let full = written(Err(ErrorKind::StorageFull.into())).unwrap_err();
        assert_eq!(full.to_string(), "failed to write to standard output");
    }
}
