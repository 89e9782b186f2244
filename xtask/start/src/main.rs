//! `cargo xtask` begins here: says that xtask is being built, has it built, and becomes it.
//!
//! Without dependencies it is compiled in a second, so that nobody sits before a silent terminal. `cargo build` resolves features
//! for the whole workspace, which `cargo run` does not: what xtask shares with our other programs is compiled once. And it is built
//! in the profile that nothing else here uses, whose folder no build behind another command holds locked.

use std::{
    env,
    io::{self, BufRead, BufReader, IsTerminal, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

/// What is built already is found to be so within this time, and that is not worth a line.
const SILENT: Duration = Duration::from_secs(1);
/// Where no line can be written over.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let became = build(&checkout).and_then(|()| {
        let xtask = checkout.join("target/release/xtask");
        let error = Command::new(&xtask).args(env::args_os().skip(1)).exec();
        Err(format!("start {}: {error}", xtask.display()))
    });
    match became {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&format!("error: {why}\n"));
            ExitCode::FAILURE
        }
    }
}

fn build(checkout: &Path) -> Result<(), String> {
    let cargo = env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from);
    let mut build = Command::new(cargo);
    build.current_dir(checkout).args(["build", "--release", "--locked", "--workspace", "--bin", "xtask"]);
    let child = build.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("start cargo: {error}"))?;
    let (mut said, mut line) = (String::new(), Line::new());
    for words in child.stderr.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let words = words.map_err(|error| format!("read what cargo says: {error}"))?;
        line.show(words.trim());
        said.push_str(&words);
        said.push('\n');
    }
    let status = child.wait().map_err(|error| format!("wait for cargo: {error}"))?;
    line.clear();
    if status.success() { Ok(()) } else { Err(format!("`cargo xtask` could not be built ({status})\n{said}")) }
}

/// Nobody is harmed by words that nobody reads; `eprintln!` would panic.
fn say(words: &str) {
    let mut stderr = io::stderr();
    let _ = stderr.write_all(words.as_bytes()).and_then(|()| stderr.flush());
}

/// What cargo does, in one line.
struct Line {
    began: Instant,
    shown: Option<Instant>,
    is_terminal: bool,
}

impl Line {
    fn new() -> Self {
        Self { began: Instant::now(), shown: None, is_terminal: io::stderr().is_terminal() }
    }

    fn show(&mut self, words: &str) {
        // Cargo waits without a further word.
        let waits = words.starts_with("Blocking");
        let every = if self.is_terminal { Duration::ZERO } else { PLAIN_EVERY };
        let is_due = self.shown.map_or(self.began.elapsed() >= SILENT, |shown| shown.elapsed() >= every);
        if !(is_due || waits) {
            return;
        }
        self.shown = Some(Instant::now());
        let what = if waits { "waiting for another build of this checkout to end" } else { words };
        let line = format!("building cargo xtask … {what} ({} s)", self.began.elapsed().as_secs());
        if self.is_terminal {
            say(&format!("\r\x1b[K{line}"));
        } else {
            say(&format!("{line}\n"));
        }
    }

    fn clear(&self) {
        if self.is_terminal && self.shown.is_some() {
            say("\r\x1b[K");
        }
    }
}
