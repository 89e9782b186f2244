//! Why a probe was not built, and what to do about it.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use crate::object::undefined::{self, Undefined};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to read the source {path}", path = path.display())]
    Source {
        path: PathBuf,
        #[source]
        why: io::Error,
    },

    #[error("invalid name {0:?} of a source: expected one that clang can print, without control characters")]
    Name(PathBuf),

    #[error("clang is needed to compile a probe, but {program:?} cannot be started")]
    NoClang {
        program: OsString,
        #[source]
        why: io::Error,
    },

    #[error("{program:?} is clang {found}; probes need version {oldest} or newer")]
    OldClang { program: OsString, found: u32, oldest: u32 },

    #[error("failed to read the running kernel's types from {path}", path = crate::compile::vmlinux::KERNEL_BTF)]
    KernelTypes(#[source] io::Error),

    #[error("{path} does not compile ({status}); clang's messages are above", path = path.display())]
    Compile { path: PathBuf, status: ExitStatus },

    #[error("{path} compiles, but nothing defines what it calls: {}", undefined::list(.calls), path = path.display())]
    Undefined { path: PathBuf, calls: Vec<Undefined> },
    #[error(
        "{path} does not compile with bee's vmlinux.h, but with this machine's kernel's types; clang's messages are above",
        path = .0.display()
    )]
    OldTypes(PathBuf),

    #[error("failed to take the debug information out of the compiled probe")]
    Link(#[source] libbpf_rs::Error),

    #[error("failed to link the sources: do two of them define the same map or function?")]
    LinkSeveral(#[source] libbpf_rs::Error),

    #[error("{path} compiles, but bee cannot run it", path = path.display())]
    Refused {
        path: PathBuf,
        #[source]
        why: crate::object::Error,
    },

    #[error("failed to write to the folder for temporary files (TMPDIR)")]
    Scratch(#[source] io::Error),
}

impl Error {
    /// The next step, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoClang { .. } => {
                Some("on Debian or Ubuntu `apt-get install clang`; another clang is taken from the variable BPF_CLANG")
            }
            Self::OldClang { .. } => Some(
                "install a newer one beside it, which bee finds by its name clang-N: on Debian or Ubuntu \
                 `apt-cache pkgnames clang-` lists them",
            ),
            Self::KernelTypes(_) => {
                Some("this kernel shows no BTF (CONFIG_DEBUG_INFO_BTF); build without `--vmlinux kernel`")
            }
            Self::OldTypes(_) => Some("build with `--vmlinux kernel`"),
            _ => None,
        }
    }
}
