//! One `go build`, saying how long it will still take.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use lab_cli::programs::{Building, Progress};

use crate::{go, pace::Pace};

/// How often a build is tried: a download may break off.
const TRIES: usize = 3;
/// The compiler's: it writes nothing for debuggers, which the linker would leave out again.
const COMPILER: &str = "all=-dwarf=false";
/// Compilers live for seconds, and collect no garbage before it is this much; collecting it earlier only takes time.
const MEMORY: [(&str, &str); 2] = [("GOGC", "off"), ("GOMEMLIMIT", "768MiB")];
/// Of what a failed one said, that many last lines are kept.
const KEPT: usize = 20;

/// What is built, from which go.mod.
pub struct Job {
    /// Said while it runs.
    pub what: &'static str,
    /// The folder of the go.mod.
    pub module: PathBuf,
    /// The name of the go.mod; a folder may have several.
    pub modfile: &'static str,
    /// Whether C is compiled along.
    pub cgo: bool,
    pub tags: &'static str,
    /// What the linker is told beside leaving out what only a debugger reads.
    pub linker: String,
    pub packages: Vec<String>,
}

impl Job {
    /// Puts the programs into a folder.
    ///
    /// # Errors
    /// What `go` said at last.
    pub fn run(&self, bin: &Path, building: &Building) -> Result<()> {
        let mut built = self.attempt(bin, building);
        for _ in 1..TRIES {
            if built.is_ok() {
                break;
            }
            built = self.attempt(bin, building);
        }
        built
    }

    fn attempt(&self, bin: &Path, building: &Building) -> Result<()> {
        self.tell(building, 0, 0, None);
        let total = go::read(self.go(&["list", "-deps"])?)?.lines().count();
        let output = format!("{}/", bin.display());
        let linker = format!("-s -w {}", self.linker);
        let mut build =
            self.go(&["build", "-v", "-trimpath", "-gcflags", COMPILER, "-ldflags", &linker, "-o", &output])?;
        let mut child = build.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("failed to start go")?;
        let (pace, mut tail) = (Pace::begin(), Vec::new());
        // `go build -v` names each package that it compiles on stderr; those already in Go's cache it does not.
        for (done, line) in
            BufReader::new(child.stderr.take().context("failed to read what go says")?).lines().enumerate()
        {
            tail.push(line?);
            if tail.len() > KEPT {
                tail.remove(0);
            }
            let done = done + 1;
            self.tell(building, done, total, pace.left(done as f64, total as f64));
        }
        let status = child.wait()?;
        ensure!(status.success(), "`go build` of {} failed ({status})\n{}", self.what, tail.join("\n"));
        Ok(())
    }

    fn go(&self, arguments: &[&str]) -> Result<Command> {
        let mut go = go::command()?;
        go.current_dir(&self.module).env("CGO_ENABLED", if self.cgo { "1" } else { "0" });
        if MEMORY.iter().all(|(name, _)| std::env::var_os(name).is_none()) {
            go.envs(MEMORY);
        }
        go.args(arguments).args(["-modfile", self.modfile, "-tags", self.tags]).args(&self.packages);
        Ok(go)
    }

    fn tell(&self, building: &Building, done: usize, total: usize, left: Option<Duration>) {
        building.tell(&Progress { what: self.what.to_owned(), done, total, left });
    }
}
