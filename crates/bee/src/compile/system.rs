//! The system's own headers (`linux/if_ether.h`, `netinet/in.h`): clang looks for them as on a machine called BPF, and does not find
//! what Debian puts into a directory of each architecture.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::decode::architecture::Architecture;

/// What of another architecture's headers does for ours too: glibc's own. `asm` does not: it has numbers that differ.
const SHARED: [&str; 2] = ["bits", "sys"];

/// The directory to look in after everywhere else. `scratch` does not exist yet, and is made if need be.
pub fn folder(architecture: Architecture, scratch: &Path) -> io::Result<PathBuf> {
    if let Some(folder) = own(architecture) {
        return Ok(folder);
    }
    share(scratch)?;
    Ok(scratch.into())
}

/// The headers of the architecture: Debian's of this machine, or its packages for cross compilers.
fn own(architecture: Architecture) -> Option<PathBuf> {
    let triple = triple(architecture);
    let places = [Path::new("/usr/include").join(triple), Path::new("/usr").join(triple).join("include")];
    places.into_iter().find(|place| place.is_dir())
}

/// Puts what another architecture's headers have for all into `scratch`.
fn share(scratch: &Path) -> io::Result<()> {
    fs::create_dir_all(scratch)?;
    let Some(host) = Architecture::host().and_then(own) else { return Ok(()) };
    for name in SHARED {
        symlink(host.join(name), scratch.join(name))?;
    }
    Ok(())
}

/// The directory's name in Debian.
fn triple(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Amd64 => "x86_64-linux-gnu",
        Architecture::Arm64 => "aarch64-linux-gnu",
    }
}
