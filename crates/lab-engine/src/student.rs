//! What a student does in lab 1, done as the student: in `work/`, with bee's own command line and the student's store.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use lab_cli::Paths;

use crate::{
    caller::{self, OPEN, as_caller},
    cmd::Cmd,
    live::Live,
    outcome::Outcome,
};

/// A probe of the workshop: the student's file, the source in `probes/`, the name in the store.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    pub file: &'static str,
    pub source: &'static str,
    pub image: &'static str,
}

pub const PROBE: Probe = Probe { file: "probe.c", source: "probe.bpf.c", image: "my_probe:v1" };
pub const TCPCONNECT: Probe = Probe { file: "tcpconnect.c", source: "tcpconnect.bpf.c", image: "tcpconnect:v1" };

/// `bee`, in `work/`, as the user who called: even if `lab` itself is root.
pub fn bee(paths: &Paths) -> Cmd {
    Cmd::new(paths.bin.join("bee")).dir(&paths.work()).as_caller()
}

/// Copies a probe's source to `work/`; one that the student changed stays as it is.
pub fn copy(paths: &Paths, probe: Probe, live: &Live) -> Result<Outcome> {
    let work = paths.work();
    caller::folder(&work)?;
    let (from, to) = (paths.checkout.join("probes").join(probe.source), work.join(probe.file));
    let ours = fs::read(&from).with_context(|| format!("failed to read {}", from.display()))?;
    match as_caller(|| fs::read(&to)) {
        Ok(theirs) if theirs == ours => return Ok(Outcome::Unchanged),
        Ok(theirs) if !is_pristine(&work, probe, &theirs) => {
            live.say(&format!("work/{} is not the one of the workshop: it stays as you wrote it", probe.file));
            return Ok(Outcome::Unchanged);
        }
        _ => {}
    }
    caller::write(&to, &ours, OPEN)?;
    caller::write(&note(&work, probe), &ours, OPEN)?;
    Ok(Outcome::Changed)
}

/// Whether a file is what an earlier `lab 1` wrote.
fn is_pristine(work: &Path, probe: Probe, theirs: &[u8]) -> bool {
    fs::read(note(work, probe)).is_ok_and(|written| written == theirs)
}

/// The probe as we last wrote it, to know a student's change from a newer workshop.
fn note(work: &Path, probe: Probe) -> PathBuf {
    work.join(format!(".{}.workshop", probe.file))
}

/// Builds a probe into the student's store, unless the store has just this.
pub fn build(paths: &Paths, probe: Probe) -> Result<Outcome> {
    let before = stored(paths, probe)?;
    bee(paths).args(["build", probe.file, probe.image]).run()?;
    let after = stored(paths, probe)?;
    Ok(if before == after { Outcome::Unchanged } else { Outcome::Changed })
}

/// What `bee list` says of the probe's image.
fn stored(paths: &Paths, probe: Probe) -> Result<Option<String>> {
    let list: serde_json::Value = serde_json::from_str(&bee(paths).args(["list", "--json"]).read()?)?;
    let images = list.as_array().into_iter().flatten();
    let named = |image: &&serde_json::Value| image.to_string().contains(&format!("\"{}\"", probe.image));
    Ok(images.filter(named).map(|image| image["digest"].to_string()).next())
}

/// Removes a probe's source from `work/` if it is as we wrote it.
pub fn remove(paths: &Paths, probe: Probe) -> Result<Outcome> {
    let work = paths.work();
    let file = work.join(probe.file);
    as_caller(|| {
        if !fs::read(&file).is_ok_and(|theirs| is_pristine(&work, probe, &theirs)) {
            return Ok(Outcome::Unchanged);
        }
        fs::remove_file(&file).with_context(|| format!("failed to remove {}", file.display()))?;
        fs::remove_file(note(&work, probe)).context("failed to forget the file as it was written")?;
        Ok(Outcome::Changed)
    })
}
