//! The only place of this crate and of crate `lab` that starts external programs.
//!
//! Every failure carries the command line, the exit status, the end of stderr, and a hint when the program is missing.

use std::{
    convert::Infallible,
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use clikit::verbose;
use lab_cli::{Machine, machine::Said, proxies};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncRead};

use crate::{caller::caller, live};

/// An external command that did not do its work.
#[derive(Debug, Error)]
#[error("command `{line}` {how}{}", .stderr.as_deref().map(|tail| format!("\n{tail}")).unwrap_or_default())]
pub struct Failed {
    pub line: String,
    pub how: String,
    pub stderr: Option<String>,
    pub hint: Option<String>,
}

/// A command to run: built like [`std::process::Command`], reported like a shell line.
#[derive(Debug)]
pub struct Cmd {
    command: Command,
    stdin: Option<Vec<u8>>,
}

impl Cmd {
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self { command: Command::new(program), stdin: None }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Reaches these addresses without the user's proxies, whatever else it needs them for.
    pub fn directly_to(self, addresses: &[String]) -> Self {
        proxies::excepting(addresses).into_iter().fold(self, |command, (name, value)| command.env(name, value))
    }

    pub fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// What the command reads on stdin; without this it reads nothing.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Runs to the end; an exit status other than 0 is an error. Answers what was printed on stdout.
    pub fn read(self) -> Result<String, Failed> {
        let line = self.line();
        let output = self.output()?;
        if !output.status.success() {
            let stderr = tail(&output.stderr);
            return Err(Failed { line, how: describe(output.status), stderr: Some(stderr), hint: None });
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Like [`Cmd::read`], for commands whose output nobody needs; `--verbose` shows it. What is read may be a secret.
    pub fn run(self) -> Result<(), Failed> {
        let printed = self.read()?;
        if verbose::is_wanted() {
            live::say(&printed);
        }
        Ok(())
    }

    /// Runs to the end, whatever the exit status.
    pub fn output(mut self) -> Result<Output, Failed> {
        let line = self.line();
        let stdin = if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        say_command(&line);
        let mut child = self.command.spawn().map_err(|error| cannot_start(&line, error))?;
        let output = std::thread::scope(|scope| {
            if let (Some(bytes), Some(mut pipe)) = (self.stdin.take(), child.stdin.take()) {
                // The command may end without reading all of it: that is its business, its exit status tells.
                scope.spawn(move || io::Write::write_all(&mut pipe, &bytes));
            }
            child.wait_with_output()
        });
        let output = output.map_err(|error| cannot_start(&line, error))?;
        if verbose::is_wanted() {
            live::say(&String::from_utf8_lossy(&output.stderr));
        }
        Ok(output)
    }

    /// Runs to the end like [`Cmd::read`], telling each line as it is written; killed when nobody awaits it any more.
    pub async fn follow(mut self, tell: impl Fn(&str)) -> Result<String, Failed> {
        let line = self.line();
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        say_command(&line);
        let mut command = tokio::process::Command::from(self.command);
        let mut child = command.kill_on_drop(true).spawn().map_err(|error| cannot_start(&line, error))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = tokio::join!(lines(stdout, &tell), lines(stderr, &tell));
        let status = child.wait().await.map_err(|error| cannot_start(&line, error))?;
        if !status.success() {
            return Err(Failed { line, how: describe(status), stderr: Some(tail(stderr.as_bytes())), hint: None });
        }
        Ok(stdout.trim_end().to_owned())
    }

    /// Runs with this terminal's stdin, stdout and stderr.
    pub fn interactive(mut self) -> Result<ExitStatus, Failed> {
        let line = self.line();
        self.command.status().map_err(|error| cannot_start(&line, error))
    }

    /// Becomes the command: the same process with another program. Returns only if that could not be.
    pub fn replace_this(mut self) -> Result<Infallible, Failed> {
        let line = self.line();
        Err(cannot_start(&line, self.command.exec()))
    }

    /// Starts a child that goes on; stdin is empty, stdout and stderr go where `output` says.
    pub fn spawn(mut self, stdout: Stdio, stderr: Stdio) -> Result<Child, Failed> {
        let line = self.line();
        self.command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        self.command.spawn().map_err(|error| cannot_start(&line, error))
    }

    /// Runs as the user who called sudo, if there is one.
    pub fn as_caller(self) -> Self {
        match caller() {
            Some((user, group)) => self.with(|command| {
                command.uid(user).gid(group);
            }),
            None => self,
        }
    }

    /// For what the builder above does not offer, such as user ids or process groups.
    pub fn with(mut self, change: impl FnOnce(&mut Command)) -> Self {
        change(&mut self.command);
        self
    }

    /// The command as a person would type it.
    pub fn line(&self) -> String {
        line(std::iter::once(self.command.get_program()).chain(self.command.get_args()))
    }
}

/// Where most distributions have what a node calls.
const USUAL: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The usual folders, then `PATH` of whoever started us: that of NixOS and of `nix develop` has the tools in the store.
pub fn path() -> String {
    let inherited = std::env::var("PATH").unwrap_or_default();
    format!("{USUAL}:{inherited}")
}

/// `PATH` as the user has it, which says which docker or kind is meant, and the folders of administration tools.
fn users_path() -> String {
    let inherited = std::env::var("PATH").unwrap_or_default();
    format!("{inherited}:/usr/local/sbin:/usr/sbin:/sbin")
}

/// This machine, as `lab_cli` asks it.
pub struct Here;

impl Machine for Here {
    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(path).ok()
    }

    fn exists(&self, path: &str) -> bool {
        Path::new(path).exists()
    }

    fn has(&self, program: &str) -> bool {
        std::env::split_paths(&users_path()).any(|folder| folder.join(program).is_file())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Option<Said> {
        let output = Cmd::new(program).args(arguments).env("PATH", users_path()).output().ok()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(Said { ok: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// Words as a person would type them in a shell.
pub fn line(words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    words.into_iter().map(|word| quote(word.as_ref())).collect::<Vec<_>>().join(" ")
}

/// `--verbose` shows each command before it runs.
fn say_command(line: &str) {
    if verbose::is_wanted() {
        live::say(&format!("+ {line}"));
    }
}

fn cannot_start(line: &str, error: io::Error) -> Failed {
    let hint = (error.kind() == io::ErrorKind::NotFound)
        .then(|| "run the same command with --install, which installs what is missing".to_owned());
    Failed { line: line.to_owned(), how: format!("could not start: {error}"), stderr: None, hint }
}

/// Everything that comes, line by line; what can't be read ends it.
async fn lines(pipe: Option<impl AsyncRead + Unpin>, tell: &impl Fn(&str)) -> String {
    let mut text = String::new();
    let Some(pipe) = pipe else { return text };
    let mut lines = tokio::io::BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tell(line.trim());
        if verbose::is_wanted() {
            live::say(&line);
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn describe(status: ExitStatus) -> String {
    format!("failed ({status})")
}

/// The last lines that a program wrote, enough to see why it failed.
fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn quote(word: &OsStr) -> String {
    let word = OsString::from(word).to_string_lossy().into_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_line_status_and_stderr() {
        let failed = Cmd::new("sh").args(["-c", "echo broken >&2; exit 3"]).run().unwrap_err();
        assert_eq!(failed.to_string(), "command `sh -c 'echo broken >&2; exit 3'` failed (exit status: 3)\nbroken");
    }

    #[test]
    fn a_missing_program_comes_with_a_hint() {
        let failed = Cmd::new("no-such-program").run().unwrap_err();
        assert!(failed.how.starts_with("could not start"), "{failed}");
        assert!(failed.hint.is_some());
    }

    #[tokio::test]
    async fn a_command_that_is_followed_tells_its_lines_and_fails_like_any_other() {
        let told = std::sync::Mutex::new(vec![]);
        let tell = |line: &str| told.lock().unwrap().push(line.to_owned());
        let script = "echo one; echo two >&2; exit 4";
        let failed = Cmd::new("sh").args(["-c", script]).follow(tell).await.unwrap_err();
        assert_eq!((failed.how.as_str(), failed.stderr.as_deref()), ("failed (exit status: 4)", Some("two")));
        let mut told = told.into_inner().unwrap();
        told.sort();
        assert_eq!(told, ["one", "two"]);
        assert_eq!(Cmd::new("echo").arg("words").follow(|_| {}).await.unwrap(), "words");
    }

    #[test]
    fn stdin_reaches_the_command() {
        assert_eq!(Cmd::new("cat").stdin("words").read().unwrap(), "words");
    }
}
