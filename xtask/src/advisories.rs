//! `cargo xtask advisories`: whether what is locked here has a published hole.
//!
//! What is known stands in `manifests/advisories.txt`, so that a test needs no network: for each package that is locked here, the
//! versions that an advisory names. `--osv FOLDER` writes it anew from databases in OSV's form (https://ossf.github.io/osv-schema),
//! such as a checkout of https://github.com/golang/vulndb or the branch `osv` of https://github.com/rustsec/advisory-db.

mod locked;
mod osv;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use lab_cli::{Options, Paths, exit, pins};
use serde::Serialize;

use self::locked::Locked;
use clikit::print;

const TABLE: &str = "manifests/advisories.txt";

/// A version that is locked here and has a hole.
#[derive(Debug, Serialize)]
pub struct Hole {
    pub id: String,
    pub package: String,
    pub version: String,
    /// The first version without it, if there is one.
    pub fixed: Option<String>,
    /// Where it is locked.
    pub file: String,
    /// Why it does no harm here, as manifests/pins.toml says.
    pub accepted: Option<String>,
}

/// A row of the table: from which version on, and up to which.
struct Advisory {
    id: String,
    ecosystem: String,
    package: String,
    introduced: String,
    fixed: Option<String>,
}

/// Prints the holes; one that is not accepted is a failure.
///
/// # Errors
/// A file that locks something, the table or a database can't be read.
pub fn run(paths: &Paths, options: &Options, databases: &[PathBuf]) -> Result<u8> {
    if !databases.is_empty() {
        refresh(&paths.checkout, databases)?;
    }
    let holes = holes(&paths.checkout)?;
    if options.json {
        print::json(serde_json::json!({ "version": 1, "kind": "advisories", "holes": holes }))?;
    } else {
        holes.iter().try_for_each(|hole| print::line(hole.line()))?;
    }
    Ok(if holes.iter().all(|hole| hole.accepted.is_some()) { exit::OK } else { exit::FAILED })
}

/// Every hole of what the checkout locks.
///
/// # Errors
/// As [`run`].
pub fn holes(checkout: &Path) -> Result<Vec<Hole>> {
    let file = checkout.join(TABLE);
    let text = fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
    let accepted = pins::of_checkout(checkout)?.advisories.accepted;
    let rows: Vec<_> =
        text.lines().filter(|line| !line.starts_with('#')).map(Advisory::parse).collect::<Result<_>>()?;
    let mut holes = vec![];
    for locked in locked::all(checkout)? {
        for row in rows.iter().filter(|row| row.hits(&locked)) {
            holes.push(Hole {
                id: row.id.clone(),
                package: locked.package.clone(),
                version: locked.version.clone(),
                fixed: row.fixed.clone(),
                file: locked.file.clone(),
                accepted: accepted.get(&row.id).cloned(),
            });
        }
    }
    Ok(holes)
}

/// Writes the table anew, sorted, so that a difference shows what is new.
fn refresh(checkout: &Path, databases: &[PathBuf]) -> Result<()> {
    let locked = locked::all(checkout)?;
    let found = osv::read(databases, |ecosystem, package| {
        locked.iter().any(|locked| locked.ecosystem == ecosystem && locked.package == package)
    })?;
    let mut lines: Vec<_> = found.rows.iter().map(Advisory::line).collect();
    lines.sort();
    lines.dedup();
    let head = format!(
        "# Written by `cargo xtask advisories --osv FOLDER…`; the newest word in its databases is of {}.\n\
         # ADVISORY ECOSYSTEM PACKAGE INTRODUCED FIXED\n",
        found.newest
    );
    let file = checkout.join(TABLE);
    fs::write(&file, head + &lines.join("\n") + "\n").with_context(|| format!("failed to write {}", file.display()))
}

impl Hole {
    fn line(&self) -> String {
        let Self { id, package, version, file, .. } = self;
        let fixed = self.fixed.as_deref().map_or_else(|| "not fixed".to_owned(), |fixed| format!("fixed in {fixed}"));
        let accepted = self.accepted.as_deref().map(|why| format!("; accepted: {why}")).unwrap_or_default();
        format!("{id}  {package} {version} ({file}), {fixed}{accepted}")
    }
}

impl Advisory {
    fn parse(line: &str) -> Result<Self> {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        let [id, ecosystem, package, introduced, fixed] = <[String; 5]>::try_from(words)
            .map_err(|_| anyhow::anyhow!("invalid line of {TABLE}: expected five words, not `{line}`"))?;
        Ok(Self { id, ecosystem, package, introduced, fixed: (fixed != "-").then_some(fixed) })
    }

    fn line(&self) -> String {
        let Self { id, ecosystem, package, introduced, fixed } = self;
        format!("{id} {ecosystem} {package} {introduced} {}", fixed.as_deref().unwrap_or("-"))
    }

    fn hits(&self, locked: &Locked) -> bool {
        // 0 is before every version, also before a time of a module that has none.
        let is_introduced = self.introduced == "0" || !is_before(&locked.version, &self.introduced);
        let is_before_fix = self.fixed.as_ref().is_none_or(|fixed| is_before(&locked.version, fixed));
        self.ecosystem == locked.ecosystem && self.package == locked.package && is_introduced && is_before_fix
    }
}

/// By semver's rules, as far as locked versions need them: numbers by value, a pre-release before its release, and Go's
/// pseudo-versions by their times.
fn is_before(one: &str, other: &str) -> bool {
    order(one) < order(other)
}

fn order(version: &str) -> (Vec<u64>, bool, String) {
    let version = version.trim_start_matches('v').split('+').next().unwrap_or_default();
    let (numbers, pre_release) = version.split_once('-').unwrap_or((version, ""));
    let mut numbers: Vec<_> = numbers.split('.').map(|number| number.parse().unwrap_or(0)).collect();
    numbers.resize(3, 0);
    (numbers, pre_release.is_empty(), pre_release.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_version_that_is_locked_has_a_known_hole() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let open: Vec<_> = holes(&checkout).unwrap().into_iter().filter(|hole| hole.accepted.is_none()).collect();
        let lines: Vec<_> = open.iter().map(Hole::line).collect();
        assert_eq!(lines, Vec::<String>::new());
    }

    #[test]
    fn what_is_accepted_is_still_known() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let holes = holes(&checkout).unwrap();
        for id in pins::of_checkout(&checkout).unwrap().advisories.accepted.keys() {
            assert!(holes.iter().any(|hole| hole.id == *id), "{id} is no hole any more: take it out of pins.toml");
        }
    }

    #[test]
    fn a_version_is_hit_from_where_a_hole_came_to_where_it_was_fixed() {
        let hits = |row: &str, version: &str| {
            let locked = Locked::new("Go", "example.org/m", version, "go.mod");
            Advisory::parse(&format!("GO-1 Go example.org/m {row}")).unwrap().hits(&locked)
        };
        for (row, version, expected) in [
            ("0 1.2.3", "v1.2.2", true),
            ("0 1.2.3", "v1.2.3", false),
            ("0 1.2.3", "v1.2.3-rc.1", true),
            ("1.2.0 1.2.3", "v1.1.9", false),
            ("1.2.0 1.10.0", "v1.9.0", true),
            ("0 -", "v99.0.0", true),
            ("0 0.0.0-20250101000000-abcdef", "v0.0.0-20240101000000-123456", true),
            ("0 0.0.0-20250101000000-abcdef", "v0.0.0-20260101000000-123456", false),
            ("0 2.0.0", "v1.9.0+incompatible", true),
        ] {
            assert_eq!(hits(row, version), expected, "{row} {version}");
        }
        assert!(Advisory::parse("GO-1 Go m 0").is_err());
    }
}
