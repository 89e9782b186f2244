//! Where host clusters lie on their machine, whoever's they are: in folders of root's.

use std::path::{Path, PathBuf};

/// What lives as long as the machine is up.
pub const RUN: &str = "/run/ebpf-lab";
/// What stays.
pub const DATA: &str = "/var/lib/ebpf-lab";

pub fn run(number: u8) -> PathBuf {
    Path::new(RUN).join(number.to_string())
}

pub fn data(number: u8) -> PathBuf {
    Path::new(DATA).join(number.to_string())
}
