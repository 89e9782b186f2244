//! The headers that every probe may include. Ours are carried in the program: nobody has to install libbpf-dev, and everybody compiles
//! against the same ones.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use crate::compile::{Error, Vmlinux, system, vmlinux};
use crate::decode::architecture::Architecture;

/// The directories that clang looks for headers in.
pub struct Include {
    /// `vmlinux.h`, `bee.h`, `solo_types.h`, `bpf/*.h` and some of `asm`, before all others.
    pub ours: PathBuf,
    /// More of the system's, after all others.
    pub systems: PathBuf,
}

impl Include {
    /// Writes ours into `scratch`.
    pub fn unpack(architecture: Architecture, types: Vmlinux, scratch: &Path) -> Result<Self, Error> {
        let ours = scratch.join("include");
        unpack(architecture, &ours).map_err(Error::Scratch)?;
        let systems = system::folder(architecture, &scratch.join("system")).map_err(Error::Scratch)?;
        let include = Self { ours, systems };
        if types == Vmlinux::Kernel {
            include.take_kernels_types()?;
        }
        Ok(include)
    }

    /// From now on `vmlinux.h` has the running kernel's types.
    pub fn take_kernels_types(&self) -> Result<(), Error> {
        let header = vmlinux::header(Path::new(vmlinux::KERNEL_BTF)).map_err(Error::KernelTypes)?;
        fs::write(self.ours.join("vmlinux.h"), header).map_err(Error::Scratch)
    }
}

fn unpack(architecture: Architecture, folder: &Path) -> io::Result<()> {
    let archive: &[u8] = match architecture {
        Architecture::Amd64 => include_bytes!(concat!(env!("OUT_DIR"), "/headers-x86.tar.gz")),
        Architecture::Arm64 => include_bytes!(concat!(env!("OUT_DIR"), "/headers-arm64.tar.gz")),
    };
    tar::Archive::new(GzDecoder::new(archive)).unpack(folder)
}
