//! The checkout that this xtask was built from, and where its programs lie.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lab_cli::{Options, Paths, Profile};

use crate::go_programs::{self, Set};

pub fn checkout() -> Result<PathBuf> {
    let here = std::env::var_os("EBPF_LAB_ROOT").map(PathBuf::from);
    let checkout = here.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".."));
    checkout.canonicalize().context("failed to find the checkout that this xtask was built from")
}

pub fn all_programs(checkout: &Path) -> Result<Paths> {
    Paths::of_user(checkout, &go_programs::folder(checkout, Set::All)?)
}

/// The upstream profile does with Kubernetes and containerd, unless all programs are there anyway.
pub fn paths(checkout: &Path, options: &Options) -> Result<Paths> {
    let all = all_programs(checkout)?;
    if options.profile() == Profile::Offline || all.programs.is_dir() {
        return Ok(all);
    }
    Paths::of_user(checkout, &go_programs::folder(checkout, Set::Nodes)?)
}
