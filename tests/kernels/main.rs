//! The workshop's probe, and one for each kind of hook and map, in kernels that this machine does not run, one virtual machine each.
//!
//! The kernels are Debian's, put into the cache by `cargo xtask test kernels --install`. The machines run in software (TCG): needs
//! neither root nor KVM, nor BPF in this machine's kernel.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so by panicking")]

mod initramfs;
mod machine;

use std::{fs, path::Path, process::Command, sync::LazyLock, time::Duration};

use lab_cli::{Paths, pins::pins};
use libtest_mimic::{Arguments, Failed, Trial};
use testkit::{
    exhibits::{self, Exhibit},
    findings,
};

use machine::Machine;

/// Of the 40 s that a machine takes, two at a time on two cores, half may be its kernel's start.
const SILENCE: Duration = Duration::from_secs(120);

static PATHS: LazyLock<Paths> =
    LazyLock::new(|| Paths::from_environment().expect("run these tests with `cargo xtask test kernels`"));

/// `/init`, `bee` and the probes: the same for every kernel.
static INITRAMFS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let contents = initramfs::Contents::default()
        .program(Path::new(env!("CARGO_BIN_EXE_guest")), "init")
        .program(&PATHS.bin.join("bee"), "bin/bee")
        .file("tcpconnect.o", build_probe(&PATHS.checkout.join("probes/tcpconnect.bpf.c"), &[]));
    let sources = PATHS.checkout.join("tests/guest/probes");
    let add = |contents: initramfs::Contents, exhibit: Exhibit| {
        contents
            .file(exhibit.object().trim_start_matches('/'), build_probe(&sources.join(exhibit.source), exhibit.flags))
    };
    exhibits::all().fold(contents, add).archive()
});

fn main() {
    let trial = |name: String| {
        let title = format!("kernel {name}: variants, hooks and maps");
        Trial::test(title, move || guest_finds_all_good(&name)).with_kind("needs qemu").with_ignored_flag(true)
    };
    let kernels = pins().expect("the pins").kernels;
    let trials = kernels.into_iter().map(|kernel| trial(kernel.name)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// How often one machine is booted at the most.
const BOOTS: usize = 3;

fn guest_finds_all_good(kernel: &str) -> Result<(), Failed> {
    let log = PATHS.reports().join(format!("kernel-{kernel}.log"));
    fs::create_dir_all(PATHS.reports())?;
    let machine = Machine { kernel: &PATHS.kernel(kernel), initramfs: &INITRAMFS, console: &log };
    let mut boot = Boot::of(&machine);
    for _ in 1..BOOTS {
        if !boot.died_of_itself() {
            break;
        }
        println!("kernel {kernel} died by itself: once more");
        boot = Boot::of(&machine);
    }
    let Boot { console, ended } = boot;
    ended.map_err(|why| format!("{why}\n{console}"))?;
    print!("{console}");
    if findings::passed(&console) { Ok(()) } else { Err(console.into()) }
}

/// What a machine printed, and how it ended.
struct Boot {
    console: String,
    ended: Result<(), String>,
}

impl Boot {
    fn of(machine: &Machine) -> Self {
        let ended = machine.run(SILENCE, findings::how_far);
        let console = String::from_utf8_lossy(&fs::read(machine.console).unwrap_or_default()).into_owned();
        Self { console, ended }
    }

    /// A kernel that patches its own code while an emulated processor runs it sometimes trips over it (`int3` in the scheduler,
    /// Linux 7.2) before there is any program. The guest's first line names the kernel: from there on every death counts, but for a
    /// processor that is stuck in the kernel (seen with Linux 5.10 on a busy host), which says so itself.
    fn died_of_itself(&self) -> bool {
        let Self { console, ended } = self;
        let started = console.lines().any(|line| line.starts_with("Linux "));
        let died_at_boot = !started && (console.contains("Oops: ") || console.contains("Kernel panic"));
        died_at_boot || ended.is_err() && console.contains("watchdog: BUG: soft lockup")
    }
}

fn build_probe(source: &Path, flags: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let object = folder.path().join("probe.o");
    let mut bee = Command::new(PATHS.bin.join("bee"));
    bee.arg("build").arg(source).arg("--output-file").arg(&object);
    let status = bee.args(flags.iter().map(|flag| format!("--cflags={flag}"))).status().expect("start bee");
    assert!(status.success(), "bee does not build {} with {flags:?}", source.display());
    fs::read(object).unwrap()
}
