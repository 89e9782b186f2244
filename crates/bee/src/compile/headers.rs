//! The headers that every probe may include, carried in the program: nobody has to install libbpf-dev, and everybody
//! compiles against the same ones.

use std::io;
use std::path::Path;

use flate2::read::GzDecoder;

use crate::decode::architecture::Architecture;

/// Writes `vmlinux.h`, `bee.h`, `solo_types.h` and `bpf/*.h` for `architecture` into `folder`.
pub fn unpack(architecture: Architecture, folder: &Path) -> io::Result<()> {
    let archive: &[u8] = match architecture {
        Architecture::Amd64 => include_bytes!(concat!(env!("OUT_DIR"), "/headers-x86.tar.gz")),
        Architecture::Arm64 => include_bytes!(concat!(env!("OUT_DIR"), "/headers-arm64.tar.gz")),
    };
    tar::Archive::new(GzDecoder::new(archive)).unpack(folder)
}
