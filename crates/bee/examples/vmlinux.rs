//! Prints a kernel's types as a C header: how `probes/include/*/vmlinux.h` were made, see the comment on top of them.
//!
//!     cargo run --release -p bee --example vmlinux -- /sys/kernel/btf/vmlinux > vmlinux.h

use std::path::Path;

fn main() -> anyhow::Result<()> {
    let btf = std::env::args().nth(1).unwrap_or_else(|| bee::compile::vmlinux::KERNEL_BTF.to_owned());
    print!("{}", bee::compile::vmlinux::header(Path::new(&btf))?);
    Ok(())
}
