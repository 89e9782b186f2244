//! `shell`: a shell in which what the workshop's text says can be typed as it stands.

use std::{fs, os::unix::fs::symlink};

use anyhow::{Context, Result};

use crate::{cmd::Cmd, workshop::Workshop};

pub fn run(workshop: &Workshop) -> Result<u8> {
    let tools = tempfile::tempdir().context("failed to make a folder for the shell's tools")?;
    let programs =
        [("bee", workshop.paths.bin.join("bee")), ("kubectl", workshop.paths.programs.join("bin/hyperkube"))];
    for (name, program) in programs {
        symlink(program, tools.path().join(name)).with_context(|| format!("failed to link {name}"))?;
    }
    fs::set_permissions(tools.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let path = format!("{}:{}", tools.path().display(), std::env::var("PATH").unwrap_or_default());
    let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
    // bash reads its prompt from a file; without one it would show the user's own.
    let prompt = tools.path().join("bashrc");
    fs::write(&prompt, "[ -f ~/.bashrc ] && . ~/.bashrc\nPS1=\"(ebpf) $PS1\"\n")?;
    let mut command = Cmd::new(&shell);
    if shell.ends_with("bash") {
        command = command.arg("--rcfile").arg(&prompt);
    }
    let command = command.env("PATH", path).env("KUBECONFIG", workshop.cluster.kubeconfig()).env("PS1", "(ebpf) $ ");
    let command = command.directly_to(&workshop.cluster.addresses());
    let status = command.dir(&workshop.paths.checkout).as_caller().interactive()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
