//! What becomes of one probe.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::sources;

/// How far a probe came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It does not build: why.
    Unbuilt(String),
    /// It builds, and was not loaded: why.
    Built(&'static str),
    /// It builds and does not load: why.
    Refused(String),
    /// It ran, and has so many maps that are exported.
    Loaded(usize),
}

/// How probes are tried.
pub struct Trial {
    pub bee: PathBuf,
    /// Where the compiled probe goes.
    pub object: PathBuf,
    pub cflags: Vec<String>,
    /// Whether they are loaded at all, and also those that act.
    pub loads: bool,
    pub acts: bool,
}

impl Trial {
    pub fn of(&self, source: &Path) -> Result<Outcome> {
        let flags = self.cflags.iter().map(|flag| format!("--cflags={flag}"));
        let mut build = Command::new(&self.bee);
        build.arg("build").arg(source).arg("--output-file").arg(&self.object).args(flags);
        if let Some(why) = refusal(&mut build)? {
            return Ok(Outcome::Unbuilt(why));
        }
        if !self.loads {
            return Ok(Outcome::Built("loading was not tried"));
        }
        if !self.acts && sources::acts(source) {
            return Ok(Outcome::Built("not loaded: it does more than look"));
        }
        let exported = exported(&self.object)?;
        let mut run = Command::new(&self.bee);
        run.arg("run").arg(&self.object).args(["--timeout=1s", "--output=json", "--prom-port=0"]);
        Ok(refusal(&mut run)?.map_or(Outcome::Loaded(exported), Outcome::Refused))
    }
}

fn exported(object: &Path) -> Result<usize> {
    let object = std::fs::read(object).context("failed to read the compiled probe")?;
    Ok(bee::object::inspect(&object).context("bee built what it can't read")?.maps.len())
}

/// Why bee refused; nothing if it did not.
fn refusal(bee: &mut Command) -> Result<Option<String>> {
    let output = bee.stdin(Stdio::null()).stdout(Stdio::null()).output().context("failed to start bee")?;
    Ok((!output.status.success()).then(|| reason(&String::from_utf8_lossy(&output.stderr))))
}

/// What says most: clang's first error, else bee's own with its causes.
fn reason(said: &str) -> String {
    let clangs = said.lines().find_map(|line| line.split_once("error: ").filter(|(place, _)| place.contains('.')));
    if let Some((_, error)) = clangs {
        return error.to_owned();
    }
    let mut lines = said.lines().skip_while(|line| !line.starts_with("error: "));
    let Some(error) = lines.next() else { return said.lines().next().unwrap_or("it said nothing").to_owned() };
    let causes = lines.take_while(|line| line.starts_with("  ")).map(str::trim);
    [error.trim_start_matches("error: ")].into_iter().chain(causes).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn the_reason_is_clangs_first_error_else_bees() {
        let clang = "./a.bpf.c:3:1: warning: w\n./a.bpf.c:4:9: fatal error: 'x.h' file not found\nerror: a.bpf.c does not compile\n";
        assert_eq!(reason(clang), "'x.h' file not found");
        let bee = "note: sizes\nerror: failed to load\n  fentry/f: a cause\n  another\nhint: more\n";
        assert_eq!(reason(bee), "failed to load: fentry/f: a cause: another");
        assert_eq!(reason(""), "it said nothing");
    }
}
