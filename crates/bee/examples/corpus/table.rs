//! The outcomes as a table and as JSON.

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Outcome;

/// How many probes came how far.
#[derive(Default)]
struct Counts {
    built: usize,
    loaded: usize,
    exported: usize,
    refused: usize,
}

fn counts(outcomes: &[(PathBuf, Outcome)]) -> Counts {
    let mut counts = Counts::default();
    for (_, outcome) in outcomes {
        counts.built += usize::from(!matches!(outcome, Outcome::Unbuilt(_)));
        counts.loaded += usize::from(matches!(outcome, Outcome::Loaded(_)));
        counts.exported += usize::from(matches!(outcome, Outcome::Loaded(1..)));
        counts.refused += usize::from(matches!(outcome, Outcome::Refused(_)));
    }
    counts
}

/// A line for each probe, and one of sums.
pub fn text(outcomes: &[(PathBuf, Outcome)]) -> String {
    let mut text = String::new();
    let width = outcomes.iter().map(|(path, _)| path.display().to_string().len()).max().unwrap_or(0);
    for (path, outcome) in outcomes {
        let path = path.display().to_string();
        // Writing to a string can't fail.
        let _ = writeln!(text, "{path:width$}  {:9}  {}", word(outcome), clikit::escaped(&told(outcome)));
    }
    let Counts { built, loaded, exported, refused } = counts(outcomes);
    let all = outcomes.len();
    let _ = writeln!(text, "{all} probes: {built} built, {loaded} loaded, {exported} exported, {refused} refused");
    text
}

pub fn json(outcomes: &[(PathBuf, Outcome)]) -> Value {
    let Counts { built, loaded, exported, refused } = counts(outcomes);
    let mut probes = vec![];
    for (path, outcome) in outcomes {
        probes.push(json!({ "source": path, "outcome": word(outcome), "told": told(outcome) }));
    }
    let sums = json!({ "built": built, "loaded": loaded, "exported": exported, "refused": refused });
    json!({ "version": 1, "count": outcomes.len(), "sums": sums, "probes": probes })
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Unbuilt(_) => "not built",
        Outcome::Built(_) => "built",
        Outcome::Refused(_) => "refused",
        Outcome::Loaded(0) => "loaded",
        Outcome::Loaded(_) => "exported",
    }
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Unbuilt(why) | Outcome::Refused(why) => why.clone(),
        Outcome::Built(why) => (*why).to_owned(),
        Outcome::Loaded(0) => "no map is exported".to_owned(),
        Outcome::Loaded(maps) => format!("maps: {maps}"),
    }
}
