//! Downloads, by curl: a crate that speaks HTTPS would make every newcomer wait for its compilation before lab 1.
//!
//! curl knows the user's proxies, authorities and `~/.netrc`. What it brings is not believed before it was verified.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use crate::progress::{Line, rest};

/// Why a file could not be fetched.
#[derive(Debug)]
pub struct Failure {
    /// The server's answer, if there was one.
    pub status: u16,
    pub why: String,
}

impl Failure {
    /// Whether the server says that it has no such thing.
    pub fn absent(&self) -> bool {
        matches!(self.status, 404 | 410)
    }
}

/// Downloads `url` to `file`, at most this many megabytes.
///
/// # Errors
/// curl can't be started; the inner one is what the server or the network said.
pub fn fetch(url: &str, file: &Path, megabytes: u64, line: &Line) -> Result<Result<(), Failure>> {
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--location", "--silent", "--show-error", "--netrc-optional", "--write-out", "%{http_code}"]);
    // A server that says nothing for a minute will not say more.
    curl.args(["--connect-timeout", "30", "--speed-limit", "1", "--speed-time", "60", "--retry", "3"]);
    curl.args(["--max-filesize", &(megabytes << 20).to_string(), "--output"]).arg(file).arg("--").arg(url);
    let mut child = curl
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("failed to start curl, which downloads")?;
    while child.try_wait()?.is_none() {
        let so_far = fs::metadata(file).map_or(0, |file| file.len());
        line.show(format!("{} MB", so_far >> 20));
        rest();
    }
    let output = child.wait_with_output().context("failed to read what curl says")?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    let status = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(0);
    Ok(Err(Failure { status, why: String::from_utf8_lossy(&output.stderr).trim().to_owned() }))
}
