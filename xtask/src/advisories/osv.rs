//! Databases of advisories in OSV's form: a JSON file for each.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::Advisory;

/// What the databases know of some packages.
pub struct Found {
    pub rows: Vec<Advisory>,
    /// The day of the newest advisory, of whatever package.
    pub newest: String,
}

#[derive(Deserialize)]
struct Document {
    id: String,
    /// The Go project's repository leaves `modified` to whoever serves it.
    #[serde(default)]
    published: String,
    modified: String,
    withdrawn: Option<String>,
    #[serde(default)]
    affected: Vec<Affected>,
}

#[derive(Deserialize)]
struct Affected {
    package: Option<Package>,
    #[serde(default)]
    ranges: Vec<Range>,
}

#[derive(Deserialize)]
struct Package {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize)]
struct Range {
    #[serde(rename = "type")]
    kind: String,
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    introduced: Option<String>,
    fixed: Option<String>,
}

/// Reads all files below these folders, and keeps the packages that are wanted.
///
/// # Errors
/// A folder or file can't be read, or there is no advisory in them.
pub fn read(folders: &[PathBuf], wanted: impl Fn(&str, &str) -> bool) -> Result<Found> {
    let mut found = Found { rows: vec![], newest: String::new() };
    let mut to_read = folders.to_vec();
    while let Some(folder) = to_read.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("failed to list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                to_read.push(path);
            } else if path.extension() == Some(OsStr::new("json")) {
                take(&path, &wanted, &mut found)?;
            }
        }
    }
    ensure!(!found.newest.is_empty(), "no advisory in OSV's form below {folders:?}");
    Ok(found)
}

/// Other JSON that lies in such a repository is no advisory.
fn take(path: &Path, wanted: impl Fn(&str, &str) -> bool, found: &mut Found) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    let Ok(document) = serde_json::from_str::<Document>(&text) else { return Ok(()) };
    let day = document.modified.max(document.published).chars().take(10).collect();
    found.newest = found.newest.clone().max(day);
    if document.withdrawn.is_some() {
        return Ok(());
    }
    for Affected { package, ranges } in document.affected {
        let Some(Package { ecosystem, name }) = package else { continue };
        if !wanted(&ecosystem, &name) {
            continue;
        }
        for range in ranges.iter().filter(|range| range.kind == "SEMVER") {
            found.rows.extend(rows(&document.id, &ecosystem, &name, &range.events));
        }
    }
    Ok(())
}

/// A row for each time that it was introduced.
fn rows(id: &str, ecosystem: &str, package: &str, events: &[Event]) -> Vec<Advisory> {
    let mut rows: Vec<Advisory> = vec![];
    for event in events {
        if let Some(introduced) = event.introduced.clone() {
            let (id, ecosystem, package) = (id.to_owned(), ecosystem.to_owned(), package.to_owned());
            rows.push(Advisory { id, ecosystem, package, introduced, fixed: None });
        } else if let (Some(fixed), Some(row)) = (event.fixed.clone(), rows.last_mut()) {
            row.fixed = Some(fixed);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_read_for_the_packages_that_are_wanted() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("osv")).unwrap();
        let document = |id: &str, more: &str| {
            let text = format!(
                r#"{{"id": "{id}", "modified": "2026-08-21T10:00:00Z", {more} "affected": [{{"package": {{"ecosystem": "Go", "name": "m"}},
                "ranges": [{{"type": "SEMVER", "events": [{{"introduced": "0"}}, {{"fixed": "1.0.0"}}, {{"introduced": "1.1.0"}}]}},
                {{"type": "GIT", "events": [{{"introduced": "abc"}}]}}]}}]}}"#
            );
            fs::write(folder.path().join("osv").join(format!("{id}.json")), text).unwrap();
        };
        document("GO-1", "");
        document("GO-2", r#""withdrawn": "2026-08-22T10:00:00Z","#);
        fs::write(folder.path().join("osv/index.json"), "[]").unwrap();
        let folders = [folder.path().to_owned()];
        let found = read(&folders, |ecosystem, package| (ecosystem, package) == ("Go", "m")).unwrap();
        let lines: Vec<_> = found.rows.iter().map(Advisory::line).collect();
        assert_eq!(lines, ["GO-1 Go m 0 1.0.0", "GO-1 Go m 1.1.0 -"]);
        assert_eq!(found.newest, "2026-08-21");
        assert!(read(&folders, |_, _| false).unwrap().rows.is_empty());
        assert!(read(&[folder.path().join("nothing")], |_, _| true).is_err());
    }
}
