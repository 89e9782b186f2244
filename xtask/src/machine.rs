//! This machine, as the programs that we start would find it.

use std::{env, ffi::OsString, fs, path::Path, process::Command};

use lab_cli::{Machine, Paths, machine::Said};

use crate::go_tools;

/// Programs that `--install` built come first. Administration tools lie in `/usr/sbin`, which many users' `PATH` lacks.
pub struct ThisMachine {
    path: OsString,
}

impl ThisMachine {
    pub fn new(paths: &Paths) -> Self {
        // Without the pins there is nothing of ours to stand first.
        let path = go_tools::path(paths).or_else(|_| env::var_os("PATH").ok_or(())).unwrap_or_default();
        let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
        Self { path: env::join_paths(folders).unwrap_or(path) }
    }
}

impl Machine for ThisMachine {
    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(path).ok()
    }

    fn exists(&self, path: &str) -> bool {
        Path::new(path).exists()
    }

    fn has(&self, program: &str) -> bool {
        env::split_paths(&self.path).any(|folder| folder.join(program).is_file())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Option<Said> {
        let file = env::split_paths(&self.path).map(|folder| folder.join(program)).find(|file| file.is_file())?;
        let output = Command::new(file).args(arguments).env("PATH", &self.path).output().ok()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(Said { ok: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }

    fn variable(&self, name: &str) -> Option<String> {
        env::var(name).ok()
    }
}
