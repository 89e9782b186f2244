//! Prints a kernel's types as a C header, from a file of its BTF; and those of older kernels' that it lacks, from files of theirs. `cargo
//! xtask vmlinux` makes `probes/include/*/vmlinux.h` so.
//!
//!     cargo run --release -p bee --example vmlinux -- /sys/kernel/btf/vmlinux > vmlinux.h

use std::path::{Path, PathBuf};

fn main() -> anyhow::Result<()> {
    let mut files = std::env::args_os().skip(1).map(PathBuf::from);
    let btf = files.next().unwrap_or_else(|| bee::compile::vmlinux::KERNEL_BTF.into());
    let older: Vec<_> = files.collect();
    print!("{}", bee::compile::vmlinux::header_with(Path::new(&btf), &older)?);
    Ok(())
}
