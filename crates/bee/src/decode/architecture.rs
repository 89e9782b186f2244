//! The processors that a probe may run on: they differ in registers and in the numbers of system calls.

use serde::{Deserialize, Serialize};

/// The processor that the probe will run on: BPF's own code is the same everywhere, the registers that a kprobe reads are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    Amd64,
    Arm64,
}

impl Architecture {
    /// The machine this program runs on.
    pub fn host() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::Amd64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// OCI's word for it, which is Go's.
    pub fn oci(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The word in libbpf's `__TARGET_ARCH_*`, which is the kernel's.
    pub fn kernel(self) -> &'static str {
        match self {
            Self::Amd64 => "x86",
            Self::Arm64 => "arm64",
        }
    }
}
