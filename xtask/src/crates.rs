//! How far cargo is with a build, told from its messages: the crates that it compiles, each as heavy as it was when measured.

use std::{
    collections::{HashMap, HashSet},
    process::Command,
};

use lab_cli::{Paths, programs::Progress};
use serde_json::Value;

use crate::{cargo, pace::Pace};

/// The crates that take long: kB that each is compiled to, which goes with the time that it takes, but for our programs, whose
/// time was measured. Their ratio is what counts.
const WEIGHTS: &str = include_str!("crates.txt");

/// Of the many that take less.
const OTHERS: f64 = 700.0;

/// One build.
pub struct Crates<'a> {
    paths: &'a Paths,
    packages: &'a [&'a str],
    features: Option<&'a str>,
    weights: HashMap<&'static str, f64>,
    /// Once something is compiled: since when, and what is still to come, by name.
    work: Option<Work>,
    /// What needed no compiling, before that.
    fresh: HashSet<String>,
}

struct Work {
    pace: Pace,
    to_come: HashSet<String>,
    done: f64,
    all: f64,
}

impl<'a> Crates<'a> {
    /// The programs of these packages, with a flag of cargo's for features.
    pub fn new(paths: &'a Paths, packages: &'a [&'a str], features: Option<&'a str>) -> Self {
        let pair = |line: &'static str| Some((line.split(' ').next()?, line.split(' ').nth(1)?.parse().ok()?));
        Self {
            paths,
            packages,
            features,
            weights: WEIGHTS.lines().filter_map(pair).collect(),
            work: None,
            fresh: HashSet::new(),
        }
    }

    /// What a message of cargo says of the whole; nothing if it says nothing of it.
    pub fn hear(&mut self, message: &Value) -> Option<Progress> {
        if message["reason"] != "compiler-artifact" {
            return None;
        }
        let name = name(message["package_id"].as_str()?)?.to_owned();
        if message["fresh"] == true && self.work.is_none() {
            self.fresh.insert(name);
            return None;
        }
        // What is all there costs no look at the workspace.
        if self.work.is_none() {
            self.work = Some(self.begin());
        }
        let weight = self.weight(&name);
        let work = self.work.as_mut()?;
        let is_build_script = message["target"]["kind"][0] == "custom-build";
        if !is_build_script && work.to_come.remove(&name) {
            match message["fresh"] == true {
                true => work.all -= weight,
                false => work.done += weight,
            }
        }
        Some(Progress { what: name, done: 0, total: 0, left: work.pace.left(work.done, work.all) })
    }

    fn begin(&self) -> Work {
        let to_come: HashSet<_> = self.needed().difference(&self.fresh).cloned().collect();
        let all = to_come.iter().map(|name| self.weight(name)).sum();
        Work { pace: Pace::begin(), to_come, done: 0.0, all }
    }

    /// The crates that the programs are made of; none if cargo does not tell, and then no time is told.
    fn needed(&self) -> HashSet<String> {
        let mut cargo = Command::new(cargo::program());
        cargo.current_dir(&self.paths.checkout).args(["tree", "--offline", "--locked", "--prefix=none"]);
        cargo.args(["--edges=normal,build", "--no-dedupe", "--format={p}"]).args(self.features);
        let said = cargo.args(self.packages.iter().flat_map(|package| ["--package", package])).output();
        let lines = String::from_utf8(said.map(|output| output.stdout).unwrap_or_default()).unwrap_or_default();
        lines.lines().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect()
    }

    fn weight(&self, name: &str) -> f64 {
        self.weights.get(name).copied().unwrap_or(OTHERS)
    }
}

/// `registry+…#serde@1.0.1` or, where the folder has the package's name, `path+…/oci#0.1.0`.
fn name(id: &str) -> Option<&str> {
    let (source, version) = id.split_once('#')?;
    version.split_once('@').map_or_else(|| source.rsplit('/').next(), |(name, _)| Some(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_package_is_named_by_its_id_or_its_folder() {
        assert_eq!(name("registry+https://github.com/rust-lang/crates.io-index#serde@1.0.229"), Some("serde"));
        assert_eq!(name("path+file:///checkout/crates/lab-engine#lab-engine@0.1.0"), Some("lab-engine"));
        assert_eq!(name("path+file:///checkout/crates/oci#0.1.0"), Some("oci"));
    }

    #[test]
    fn every_crate_that_was_weighed_is_one_of_ours() {
        let lock = include_str!("../../Cargo.lock");
        for line in WEIGHTS.lines() {
            let name = line.split(' ').next().unwrap();
            assert!(lock.contains(&format!("name = \"{name}\"\n")), "{name} is no crate of the workspace any more");
        }
    }

    #[test]
    fn the_first_crate_that_is_compiled_begins_the_measuring() {
        let checkout = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let paths = Paths::of_user(&checkout, "key").unwrap();
        let mut crates = Crates::new(&paths, &["xtask"], None);
        let artifact = |name: &str, fresh: bool| {
            let id = format!("registry+https://example#{name}@1.0.0");
            json!({"reason": "compiler-artifact", "package_id": id, "target": {"kind": ["lib"]}, "fresh": fresh})
        };
        assert_eq!(crates.hear(&artifact("libc", true)), None);
        assert_eq!(crates.hear(&json!({"reason": "build-finished"})), None);
        assert_eq!(crates.hear(&artifact("anyhow", false)).unwrap().what, "anyhow");
        let (done, all) = crates.work.as_ref().map(|work| (work.done, work.all)).unwrap();
        assert!(done > 0.0 && done < all);
        crates.hear(&artifact("clap", true));
        let work = crates.work.unwrap();
        assert_eq!(work.done, done, "what is found built is no work");
        assert!(work.all < all && work.to_come.contains("serde"));
        assert!(["anyhow", "clap", "libc"].iter().all(|name| !work.to_come.contains(*name)));
    }

    #[test]
    fn what_lab_1_does_without_is_not_waited_for() {
        let checkout = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let paths = Paths::of_user(&checkout, "key").unwrap();
        let needed = |features| Crates::new(&paths, &["bee", "lab-engine"], features).needed();
        let (whole, light) = (needed(None), needed(Some("--no-default-features")));
        assert!(whole.contains("reqwest") && light.contains("libbpf-rs"));
        assert!(["reqwest", "ratatui", "kube"].iter().all(|name| !light.contains(*name)), "{light:?}");
    }
}
