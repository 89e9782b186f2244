//! The workshop's probe in kernels that this machine does not run, one virtual machine each.
//!
//! The kernels are Debian's, put into the cache by `cargo xtask test kernels --install`. The machines run in software (TCG): needs
//! neither root nor KVM, nor BPF in this machine's kernel.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so by panicking")]

mod initramfs;
mod machine;

use std::{fs, path::Path, process::Command, sync::LazyLock, time::Duration};

use end_to_end::findings;
use interface::{Paths, pins::pins};
use libtest_mimic::{Arguments, Failed, Trial};

use machine::Machine;

/// A machine takes 10 s, two at a time on two cores.
const BOUND: Duration = Duration::from_secs(120);

static PATHS: LazyLock<Paths> =
    LazyLock::new(|| Paths::from_environment().expect("run these tests with `cargo xtask test kernels`"));

/// `/init`, `bee` and the probe: the same for every kernel.
static INITRAMFS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let probe = build_probe(&PATHS);
    initramfs::Contents::default()
        .program(Path::new(env!("CARGO_BIN_EXE_guest")), "init")
        .program(&PATHS.bin.join("bee"), "bin/bee")
        .file("tcpconnect.o", probe)
        .archive()
});

fn main() {
    let trial = |name: String| {
        let title = format!("kernel {name}: both variants count the same");
        Trial::test(title, move || both_variants_count_the_same(&name)).with_kind("needs qemu").with_ignored_flag(true)
    };
    let kernels = pins().expect("the pins").kernels;
    let trials = kernels.into_iter().map(|kernel| trial(kernel.name)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn both_variants_count_the_same(kernel: &str) -> Result<(), Failed> {
    let log = PATHS.reports().join(format!("kernel-{kernel}.log"));
    fs::create_dir_all(PATHS.reports())?;
    let machine = Machine { kernel: &PATHS.kernel(kernel), initramfs: &INITRAMFS, console: &log };
    let ended = machine.run(BOUND);
    let console = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    print!("{console}");
    ended.map_err(|why| format!("{why}\n{console}"))?;
    if findings::passed(&console) { Ok(()) } else { Err(console.into()) }
}

fn build_probe(paths: &Paths) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let object = folder.path().join("tcpconnect.o");
    let source = paths.checkout.join("probes/tcpconnect.bpf.c");
    let mut bee = Command::new(paths.bin.join("bee"));
    let status = bee.arg("build").arg(source).arg("--output-file").arg(&object).status().expect("start bee");
    assert!(status.success(), "bee does not build tcpconnect.bpf.c");
    fs::read(object).unwrap()
}
