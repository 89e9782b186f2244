//! `go`, told what our modules need: whatever starts it, starts it from here.

use std::{
    env,
    ffi::OsStr,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use lab_cli::pins::pins;

/// A `go` that works as here on every machine, in the folder of a module or anywhere. Distributions' own settings are not the user's:
/// Fedora's and RHEL's Go fetches no other Go and checks no sums (`go.env` in its GOROOT); a variable of the user's stays.
///
/// # Errors
/// The pins can't be read.
pub fn command() -> Result<Command> {
    let mut go = Command::new("go");
    go.stdin(Stdio::null());
    go.envs(settings(&pins()?.tools.go.version).into_iter().filter(|(name, _)| env::var_os(name).is_none()));
    Ok(go)
}

fn settings(version: &str) -> [(&'static str, String); 5] {
    [
        // The pinned one, or a newer one where a module asks for it.
        ("GOTOOLCHAIN", format!("go{version}+auto")),
        ("GOSUMDB", "sum.golang.org".to_owned()),
        ("GOFLAGS", "-mod=readonly".to_owned()),
        // Ours are no part of a workspace that the checkout may lie in.
        ("GOWORK", "off".to_owned()),
        ("GO111MODULE", "on".to_owned()),
    ]
}

/// What a `go` prints.
///
/// # Errors
/// It can't be started or fails; the message has all that it said.
pub fn read(mut go: Command) -> Result<String> {
    let output = go.output().with_context(|| format!("failed to start `{}`", line(&go)))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{}` failed ({})\n{}", line(&go), output.status, said.trim_end());
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// The command as one would type it.
pub fn line(go: &Command) -> String {
    let words = std::iter::once(go.get_program()).chain(go.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_users_environment_does_not_set_is_set() {
        let go = command().unwrap();
        for (name, value) in settings(&pins().unwrap().tools.go.version) {
            let given = go.get_envs().find(|(given, _)| *given == name).and_then(|(_, value)| value);
            let expected = env::var_os(name).is_none().then_some(value);
            assert_eq!(given.map(OsStr::to_string_lossy).as_deref(), expected.as_deref(), "{name}");
        }
    }

    #[test]
    fn what_go_says_on_stderr_is_in_the_message() {
        let mut go = Command::new("sh");
        go.args(["-c", "echo go: no such module >&2; exit 7"]);
        let message = read(go).unwrap_err().to_string();
        assert!(message.contains("exit status: 7") && message.ends_with("go: no such module"), "{message}");
    }
}
