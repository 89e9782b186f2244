//! `cargo xtask bench bee`: how fast bee is, against what is asked of it and against a plain reader, all in one run.
//!
//! Needs root and two processors: one floods, on the other one bee reads. Machines differ and are shared, so the ratios count.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that can't go on says so by panicking")]

mod figure;
mod generator;
mod measures;
mod plain;
mod process;
mod reading;

use std::{path::PathBuf, process::Command};

use lab_cli::Paths;

use figure::Figure;

/// What every measure starts from.
pub struct Setup {
    pub bee: PathBuf,
    /// `flood.bpf.c`, compiled.
    pub flood: PathBuf,
    /// The workshop's probes, compiled: one counts, one prints.
    pub tcpconnect: PathBuf,
    pub printing: PathBuf,
    /// `empty.bpf.c`, compiled.
    pub empty: PathBuf,
    _folder: tempfile::TempDir,
}

fn main() {
    let setup = setup();
    let mut figures = vec![];
    for (what, measure) in measures::ALL {
        eprintln!("{what} …");
        figures.extend(measure(&setup));
    }
    if std::env::args().any(|argument| argument == "--json") {
        println!(
            "{:#}",
            serde_json::json!({ "version": 1, "figures": figures.iter().map(Figure::json).collect::<Vec<_>>() })
        );
    } else {
        figures.iter().for_each(|figure| println!("{figure}"));
    }
    if figures.iter().any(|figure| !figure.holds()) {
        std::process::exit(1);
    }
}

fn setup() -> Setup {
    let paths = Paths::from_environment().expect("run this with `cargo xtask bench bee`");
    let folder = tempfile::tempdir().unwrap();
    let bee = paths.bin.join("bee");
    let compile = |source: &str| {
        let object = folder.path().join(source.rsplit('/').next().unwrap()).with_extension("o");
        let mut build = Command::new(&bee);
        let built = build.arg("build").arg(paths.checkout.join(source)).arg("--output-file").arg(&object).output();
        assert!(built.expect("start bee").status.success(), "bee does not build {source}");
        object
    };
    let sources = [
        "crates/bee/examples/bench/flood.bpf.c",
        "crates/bee/examples/bench/empty.bpf.c",
        "probes/tcpconnect.bpf.c",
        "probes/probe.bpf.c",
    ];
    let [flood, empty, tcpconnect, printing] = sources.map(compile);
    Setup { bee, flood, tcpconnect, printing, empty, _folder: folder }
}
