//! Finding clang and calling it.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::compile::{Error, Request, Source, messages};

/// The first version with every flag and built-in that we and libbpf's headers use.
const OLDEST: u32 = 12;

/// A clang that is new enough.
pub struct Clang {
    program: OsString,
}

impl Clang {
    /// `$BPF_CLANG`, else `clang` on PATH. Nix wraps its clang with flags that the BPF target refuses, hence the variable.
    pub fn find() -> Result<Self, Error> {
        let program = std::env::var_os("BPF_CLANG").unwrap_or_else(|| "clang".into());
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

    /// Runs in the source's folder, because clang copies source lines into the BTF, from where the verifier's messages quote
    /// them, and finds them by the path that stays after all folders are mapped away.
    pub fn compile(&self, source: &Source, request: &Request, include: &Path, object: &Path) -> Result<(), Error> {
        let mut command = Command::new(&self.program);
        command
            .current_dir(&source.folder)
            .args(["-g", "-O2", "-target", "bpf", "-Wall", "-fno-stack-protector"])
            // A function that nobody declared would only be missed when the object is linked, by a name without its line.
            .arg("-Werror=implicit-function-declaration")
            .arg(format!("-D__TARGET_ARCH_{}", request.architecture.kernel()))
            .arg("-fdebug-compilation-dir=.")
            .arg(joined(&["-ffile-prefix-map=".as_ref(), include.as_os_str(), "=include".as_ref()]))
            .arg("-isystem")
            .arg(include)
            .arg("-include")
            .arg(include.join("memory.h"))
            .args(request.cflags)
            .arg("-c")
            .arg(joined(&["./".as_ref(), source.name.as_os_str()]))
            .arg("-o")
            .arg(object);
        let status =
            messages::heard(&mut command).map_err(|why| Error::NoClang { program: self.program.clone(), why })?;
        if status.success() { Ok(()) } else { Err(Error::Compile { path: source.typed.clone(), status }) }
    }
}

fn joined(parts: &[&std::ffi::OsStr]) -> OsString {
    parts.iter().copied().collect()
}

/// The major version in "Debian clang version 14.0.6".
fn version(text: &str) -> Option<u32> {
    let (_, after) = text.split_once("clang version ")?;
    after.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_major_version_is_read_whoever_built_clang() {
        assert_eq!(version("Debian clang version 14.0.6\nTarget: x86_64-pc-linux-gnu"), Some(14));
        assert_eq!(version("clang version 19.1.7 (nixpkgs)"), Some(19));
        assert_eq!(version("gcc (Debian 12.2.0)"), None);
    }
}
