//! Finding clang and calling it.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::compile::headers::Include;
use crate::compile::messages::{self, Heard};
use crate::compile::{Error, Request, Source};

/// The first version with every flag and built-in that we and libbpf's headers use.
const OLDEST: u32 = 12;

/// A clang that is new enough.
pub struct Clang {
    program: OsString,
}

impl Clang {
    /// `$BPF_CLANG`, else `clang` on PATH, else the newest `clang-N`: that of Debian 11 and Ubuntu 20.04 is too old, and newer ones
    /// stand beside it. Nix wraps its clang with flags that the BPF target refuses, hence the variable.
    pub fn find() -> Result<Self, Error> {
        if let Some(program) = std::env::var_os("BPF_CLANG") {
            return Self::new(program);
        }
        let unversioned = Self::new("clang".into());
        match newest_versioned(&std::env::var_os("PATH").unwrap_or_default()) {
            Some(program) if unversioned.is_err() => Self::new(program),
            _ => unversioned,
        }
    }

    fn new(program: OsString) -> Result<Self, Error> {
        let output = Command::new(&program)
            .arg("--version")
            .stderr(Stdio::null())
            .output()
            .map_err(|why| Error::NoClang { program: program.clone(), why })?;
        match version(&String::from_utf8_lossy(&output.stdout)) {
            Some(found) if found < OLDEST => Err(Error::OldClang { program, found, oldest: OLDEST }),
            // An unknown way to write versions is no reason to refuse: clang itself will say what it cannot do.
            _ => Ok(Self { program }),
        }
    }

    /// Compiles a source; what clang says is printed.
    pub fn compile(&self, source: &Source, request: &Request, include: &Include, object: &Path) -> Result<(), Error> {
        let first = self.run(&mut self.command(source, request, include, object))?;
        if first.status.success() {
            first.print();
            return Ok(());
        }
        // The probe may have a function by the name of one of the kernel's, or declare that one otherwise.
        let mut bare = self.command(source, request, include, object);
        let second = self.run(bare.arg("-DBPF_NO_KFUNC_PROTOTYPES"))?;
        if second.status.success() {
            second.print();
            return Ok(());
        }
        first.print();
        Err(Error::Compile { path: source.typed.clone(), status: first.status })
    }

    /// Whether a source compiles; what clang says is not printed.
    pub fn accepts(&self, source: &Source, request: &Request, include: &Include, object: &Path) -> Result<bool, Error> {
        Ok(self.run(&mut self.command(source, request, include, object))?.status.success())
    }

    fn run(&self, command: &mut Command) -> Result<Heard, Error> {
        messages::heard(command).map_err(|why| Error::NoClang { program: self.program.clone(), why })
    }

    /// Runs in the source's folder, because clang copies source lines into the BTF, from where the verifier's messages quote
    /// them, and finds them by the path that stays after all folders are mapped away.
    fn command(&self, source: &Source, request: &Request, include: &Include, object: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(&source.folder)
            .args(["-g", "-O2", "-target", "bpf", "-Wall", "-fno-stack-protector"])
            // Linux 7.0 and newer have structures without a name of the member (`struct ns_tree;`), which plain C leaves out.
            .args(["-fms-extensions", "-Wno-microsoft-anon-tag"])
            // A function that nobody declared would only be missed when the object is linked, by a name without its line.
            .arg("-Werror=implicit-function-declaration")
            .arg(format!("-D__TARGET_ARCH_{}", request.architecture.kernel()))
            .arg("-fdebug-compilation-dir=.")
            .arg(joined(&["-ffile-prefix-map=".as_ref(), include.ours.as_os_str(), "=include".as_ref()]))
            .args(["-isystem".as_ref(), include.ours.as_os_str()])
            .args(["-idirafter".as_ref(), include.systems.as_os_str()])
            .arg("-include")
            .arg(include.ours.join("memory.h"))
            .args(request.cflags)
            .arg("-c")
            .arg(joined(&["./".as_ref(), source.name.as_os_str()]))
            .arg("-o")
            .arg(object);
        command
    }
}

fn joined(parts: &[&OsStr]) -> OsString {
    parts.iter().copied().collect()
}

/// `clang-19` of these directories, the newest that will do.
fn newest_versioned(path: &OsStr) -> Option<OsString> {
    let mut newest = None;
    for directory in std::env::split_paths(path) {
        let Ok(entries) = directory.read_dir() else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("clang-")?.parse::<u32>().ok());
            newest = newest.max(number);
        }
    }
    newest.filter(|number| *number >= OLDEST).map(|number| format!("clang-{number}").into())
}

/// The major version in "Debian clang version 14.0.6".
fn version(text: &str) -> Option<u32> {
    let (_, after) = text.split_once("clang version ")?;
    after.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_whoever_built_clang() {
        assert_eq!(version("Debian clang version 14.0.6\nTarget: x86_64-pc-linux-gnu"), Some(14));
        assert_eq!(version("clang version 19.1.7 (nixpkgs)"), Some(19));
        assert_eq!(version("gcc (Debian 12.2.0)"), None);
    }

    #[test]
    fn the_newest_of_those_with_a_number_is_taken_if_it_will_do() {
        let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let path = std::env::join_paths(directories.iter().map(tempfile::TempDir::path)).unwrap();
        // One after the other is installed, into one directory of PATH or the other.
        for (name, newest) in [
            ("clang", None),
            ("clang-format-19", None),
            ("clang++-19", None),
            ("clang-11", None),
            ("clang-13", Some("clang-13")),
            ("clang-9", Some("clang-13")),
            ("clang-19", Some("clang-19")),
        ] {
            std::fs::write(directories[name.len() % 2].path().join(name), "").unwrap();
            assert_eq!(newest_versioned(&path), newest.map(OsString::from), "{name}");
        }
    }
}
