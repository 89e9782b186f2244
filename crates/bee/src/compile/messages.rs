//! What clang says of a source, which may be a stranger's: it quotes lines without what a terminal would obey, but names of files as they
//! are. Its own colours stay.

use std::io::{self, BufRead, BufReader, IsTerminal};
use std::process::{Command, ExitStatus, Stdio};

use clikit::{escaped_lines, print};

/// The most lines that are passed on: a stranger's source may have clang warn without end.
const LINES: usize = 10_000;

/// What every colour begins with.
const COLOUR: &str = "\u{1b}[";

/// How a run of clang's ended, and what it said.
pub struct Heard {
    pub status: ExitStatus,
    lines: Vec<String>,
}

/// Runs clang to its end.
pub fn heard(clang: &mut Command) -> io::Result<Heard> {
    if io::stderr().is_terminal() {
        clang.arg("-fcolor-diagnostics");
    }
    let mut child = clang.stderr(Stdio::piped()).spawn()?;
    let mut lines = vec![];
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = line?;
            if lines.len() < LINES {
                lines.push(shown(&String::from_utf8_lossy(&line)));
            }
        }
    }
    Ok(Heard { status: child.wait()?, lines })
}

impl Heard {
    /// Passes on what it said.
    pub fn print(&self) {
        for line in &self.lines {
            print::own_note(line);
        }
    }
}

fn shown(line: &str) -> String {
    let mut parts = line.split(COLOUR);
    let mut shown = escaped_lines(parts.next().unwrap_or_default()).into_owned();
    for part in parts {
        let (colour, rest) = part.split_at(colour_in(part).unwrap_or(0));
        if colour.is_empty() {
            shown.push_str(&escaped_lines(COLOUR));
        } else {
            shown.extend([COLOUR, colour]);
        }
        shown.push_str(&escaped_lines(rest));
    }
    shown
}

/// How long the rest of a colour is: numbers, and an `m`.
fn colour_in(text: &str) -> Option<usize> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    text[end..].starts_with('m').then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clangs_colours_stay_and_nothing_else_does() {
        let coloured = "\u{1b}[1ma.c:1:2: \u{1b}[0m\u{1b}[0;1;31merror: \u{1b}[0m";
        assert_eq!(shown(coloured), coloured);
        assert_eq!(shown("'ev\u{1b}[2Jil\u{9b}31m\u{1b}]0;x\u{7}.h'"), r"'ev\u{1b}[2Jil\u{9b}31m\u{1b}]0;x\u{7}.h'");
        assert_eq!(shown("\u{1b}["), r"\u{1b}[");
        assert_eq!(shown("\tint x = y;"), "\tint x = y;");
    }
}
