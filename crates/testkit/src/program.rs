//! Programs that a test writes, and those that it calls and must succeed.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// Writes a program that can be started at once. Another process writes it: what is forked meanwhile by a test on another thread
/// would inherit the file as open for writing, and nobody may start such a one (ETXTBSY).
#[track_caller]
pub fn program(path: &Path, text: &str) {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"]).arg(path);
    let mut child = shell.env("PATH", "/usr/bin:/bin").stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "write {}", path.display());
}

/// What a program prints that must succeed.
#[track_caller]
pub fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{command:?} failed ({}):\n{err}{out}", output.status);
    out
}
