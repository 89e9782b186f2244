//! `cargo xtask versions`: what is pinned, what it is for, where its version stands, and how long its makers look after it.
//!
//! Versions are read from the files that pin them, as they are in the checkout.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use clikit::print;
use lab_cli::{
    Options, Paths, exit,
    pins::{self, Pinned, Pins},
};
use serde::Serialize;
use serde_json::Value;

use crate::finding::{Finding, Verdict};

/// A version that is pinned.
#[derive(Debug, Serialize)]
pub struct Version {
    pub what: String,
    pub purpose: String,
    pub version: String,
    pub file: String,
    /// The last day on which its makers look after it, if they published one.
    pub end: Option<String>,
    /// Whether that day is over.
    pub past: bool,
}

/// Prints all of them.
///
/// # Errors
/// A file that pins something can't be read, or does not have what is said to be pinned there.
pub fn run(paths: &Paths, options: &Options) -> Result<u8> {
    let pins = pins::of_checkout(&paths.checkout)?;
    let versions = all(&paths.checkout, &pins, |_| true)?;
    if options.json {
        print::json(serde_json::json!({ "version": 1, "kind": "versions", "versions": versions }))?;
    } else {
        print::lines(table(&versions).trim_end())?;
    }
    Ok(exit::OK)
}

/// For doctor: what is past its end of all that every workshop uses.
pub fn findings(paths: &Paths) -> Vec<Finding> {
    let read = || all(&paths.checkout, &pins::of_checkout(&paths.checkout)?, |pinned| pinned.doctor);
    match read() {
        Err(error) => {
            vec![Finding::bad("versions", Verdict::Warning, format!("{error:#}"), "fix manifests/pins.toml")]
        }
        Ok(versions) => {
            let past: Vec<_> = versions.iter().filter(|version| version.past).map(warning).collect();
            if past.is_empty() { vec![Finding::ok("versions", "all are looked after by their makers")] } else { past }
        }
    }
}

fn warning(version: &Version) -> Finding {
    let end = version.end.as_deref().unwrap_or_default();
    let measured = format!("{} {} has had no fixes since {end}", version.what, version.version);
    Finding::bad(
        "versions",
        Verdict::Warning,
        measured,
        &format!("raise it in {}, or get a newer checkout", version.file),
    )
}

/// Whether a day such as `2027-10-28` is over.
pub fn is_past(day: &str) -> bool {
    // Days that are written like this compare as text.
    jiff::Zoned::now().date().to_string().as_str() > day
}

fn all(checkout: &Path, pins: &Pins, wanted: impl Fn(&Pinned) -> bool) -> Result<Vec<Version>> {
    let mut versions = vec![];
    for pinned in pins.pinned.iter().filter(|pinned| wanted(pinned)) {
        for version in read(checkout, pinned)? {
            let end = match &pinned.support {
                Some(support) => pins.end(support, &version)?.map(str::to_owned),
                None => None,
            };
            let past = end.as_deref().is_some_and(is_past);
            let Pinned { what, purpose, file, .. } = pinned.clone();
            versions.push(Version { what, purpose, version, file, end, past });
        }
    }
    Ok(versions)
}

/// The versions that a file has of something: one, or as many as a list of it has entries.
fn read(checkout: &Path, pinned: &Pinned) -> Result<Vec<String>> {
    let file = checkout.join(&pinned.file);
    let text = fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
    let found = if pinned.file.ends_with(".mod") {
        module(&text, &pinned.pin).into_iter().collect()
    } else if pinned.file.ends_with(".json") {
        at(&serde_json::from_str(&text).with_context(|| format!("failed to read {}", file.display()))?, &pinned.pin)
    } else {
        at(&toml::from_str(&text).with_context(|| format!("failed to read {}", file.display()))?, &pinned.pin)
    };
    ensure!(
        !found.is_empty(),
        "{} has no {}, of which manifests/pins.toml says that it is pinned there",
        pinned.file,
        pinned.pin
    );
    Ok(found)
}

/// The version that a go.mod requires of a module.
fn module(text: &str, name: &str) -> Option<String> {
    let lines = text.lines().take_while(|line| !line.starts_with("replace"));
    let mut words = lines.map(|line| line.trim_start_matches("require").split_whitespace());
    words.find_map(|mut words| (words.next()? == name).then(|| words.next().map(str::to_owned))?)
}

/// The texts at a path such as `kind.nodes.kubernetes`, where a list stands for each of its entries.
fn at(value: &Value, path: &str) -> Vec<String> {
    match (value, path.split_once('.')) {
        (Value::Array(values), _) => values.iter().flat_map(|value| at(value, path)).collect(),
        (Value::String(text), _) if path.is_empty() => vec![short(text)],
        (Value::Object(table), Some((first, rest))) => table.get(first).map_or(vec![], |value| at(value, rest)),
        (Value::Object(table), None) => table.get(path).map_or(vec![], |value| at(value, "")),
        _ => vec![],
    }
}

/// An image's tag, or the text itself.
fn short(text: &str) -> String {
    let name = text.split('@').next().unwrap_or(text);
    name.rsplit_once(':').map_or(name, |(_, tag)| tag).to_owned()
}

fn table(versions: &[Version]) -> String {
    let head = ["PINNED", "FOR", "VERSION", "IN", "END OF SUPPORT"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(versions.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

fn row(version: &Version) -> [String; 5] {
    let end = match &version.end {
        None => "none published".to_owned(),
        Some(end) if version.past => format!("{end}, past"),
        Some(end) => end.clone(),
    };
    let number = version.version.trim_start_matches('v').to_owned();
    [version.what.clone(), version.purpose.clone(), number, version.file.clone(), end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_found_in_either_form_of_require() {
        let text = "module x\n\nrequire a.b/one v1.0.0\n\nrequire (\n\ta.b/c v1.2.3 // indirect\n\ta.b/c/d v0.1.0\n)\n\nreplace a.b/r => a.b/r v9.0.0\n";
        assert_eq!(module(text, "a.b/one").as_deref(), Some("v1.0.0"));
        assert_eq!(module(text, "a.b/c").as_deref(), Some("v1.2.3"));
        assert_eq!(module(text, "a.b/r"), None);
        assert_eq!(module(text, "a.b"), None);
    }

    #[test]
    fn a_path_leads_through_tables_and_every_entry_of_a_list() {
        let value = serde_json::json!({ "go": { "version": "1.2" }, "nodes": [{ "of": "a/b:v3@sha256:4" }, { "of": "x" }], "crate": "5" });
        assert_eq!(at(&value, "go.version"), ["1.2"]);
        assert_eq!(at(&value, "nodes.of"), ["v3", "x"]);
        assert_eq!(at(&value, "crate"), ["5"]);
        assert!(at(&value, "go").is_empty() && at(&value, "no.such").is_empty());
    }

    #[test]
    fn a_day_is_past_when_it_is_over() {
        assert!(is_past("2020-12-31"));
        assert!(!is_past("9999-01-01"));
        assert!(!is_past(&jiff::Zoned::now().date().to_string()), "the last day is one of support");
    }

    #[test]
    fn the_table_says_what_is_past_and_what_nobody_published() {
        let version = |end: Option<&str>, past| Version {
            what: "it".to_owned(),
            purpose: "a test".to_owned(),
            version: "v1.2.3".to_owned(),
            file: "go.mod".to_owned(),
            end: end.map(str::to_owned),
            past,
        };
        let rows = [version(None, false), version(Some("2020-01-01"), true), version(Some("9999-01-01"), false)];
        let printed = table(&rows);
        let ends: Vec<_> = printed.lines().skip(1).map(|line| line.rsplit("  ").next().unwrap_or_default()).collect();
        assert_eq!(ends, ["none published", "2020-01-01, past", "9999-01-01"]);
        assert!(printed.contains("it      a test  1.2.3    go.mod"), "{printed}");
    }
}
