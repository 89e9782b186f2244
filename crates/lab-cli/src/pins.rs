//! `manifests/pins.toml`: every outside version that no lock file of a language pins, and how long all that is pinned is looked after.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::version::Version;

const TEXT: &str = include_str!("../../../manifests/pins.toml");

/// The pinned versions, as the file has them.
#[derive(Debug, Clone, Deserialize)]
pub struct Pins {
    pub tools: Tools,
    pub kind: Kind,
    pub chart: Chart,
    pub bookinfo: Bookinfo,
    pub kernels: Vec<Kernel>,
    /// The last day of each line of releases, by the name of what is released.
    pub support: BTreeMap<String, BTreeMap<String, String>>,
    pub pinned: Vec<Pinned>,
    pub advisories: Advisories,
}

/// What is known of holes in what is pinned, beside `advisories.txt`.
#[derive(Debug, Clone, Deserialize)]
pub struct Advisories {
    /// Those that do no harm here, each with the reason.
    pub accepted: BTreeMap<String, String>,
}

/// Something that is pinned, here or elsewhere.
#[derive(Debug, Clone, Deserialize)]
pub struct Pinned {
    pub what: String,
    pub purpose: String,
    /// Where its version stands, from the checkout.
    pub file: String,
    /// What that file calls it.
    pub pin: String,
    /// Whose lines of releases it has.
    pub support: Option<String>,
    /// Whether doctor warns when it is past its end.
    #[serde(default = "warned_of")]
    pub doctor: bool,
}

fn warned_of() -> bool {
    true
}

/// Programs that the user brings.
#[derive(Debug, Clone, Deserialize)]
pub struct Tools {
    pub clang: Tool,
    pub go: Go,
    pub nft: Tool,
    pub nix: Tool,
    pub kind: GoTool,
    pub docker: Tool,
    pub podman: Tool,
    pub helm: GoTool,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Tool {
    /// The oldest version that will do.
    pub least: String,
}

/// Builds Kubernetes.
#[derive(Debug, Clone, Deserialize)]
pub struct Go {
    /// The oldest version that fetches the one which builds.
    pub least: String,
    /// The one that builds.
    pub version: String,
    /// What that one hashes to as a module, by `OS-ARCHITECTURE`.
    pub sums: BTreeMap<String, String>,
}

/// What `--on kind` runs.
#[derive(Debug, Clone, Deserialize)]
pub struct Kind {
    /// A registry that keeps what nodes pull through it.
    pub cache: String,
    /// The images of nodes, newest Kubernetes first.
    pub nodes: Vec<NodeImage>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct NodeImage {
    pub kubernetes: Version,
    pub image: String,
    /// The oldest kind that can load images into it.
    pub kind: Version,
}

/// One that `--install` builds from its Go module.
#[derive(Debug, Clone, Deserialize)]
pub struct GoTool {
    /// The oldest version that will do.
    pub least: String,
    pub module: String,
    /// The one that is built.
    pub version: String,
}

/// The chart of lab 3.
#[derive(Debug, Clone, Deserialize)]
pub struct Chart {
    pub name: String,
    pub repository: String,
    pub version: String,
}

/// The images of lab 4.
#[derive(Debug, Clone, Deserialize)]
pub struct Bookinfo {
    /// What stands before `examples-bookinfo-…`.
    pub registry: String,
    pub version: String,
}

/// A kernel that the probes are proven on.
#[derive(Debug, Clone, Deserialize)]
pub struct Kernel {
    pub name: String,
    /// The suite of Debian's archive that has it.
    pub suite: String,
    /// The names of its packages, as a regular expression of `apt-cache search`.
    pub packages: String,
}

impl Kind {
    /// The newest image of nodes that this kind can handle.
    pub fn node_image(&self, kind: Version) -> Option<&NodeImage> {
        self.nodes.iter().find(|node| node.kind <= kind)
    }
}

impl Pins {
    /// The last day, such as `2027-10-28`, of the line of releases that a version belongs to; none if its makers publish none.
    ///
    /// # Errors
    /// They do, but nobody wrote down that of this line.
    pub fn end(&self, support: &str, version: &str) -> Result<Option<&str>> {
        let lines =
            self.support.get(support).with_context(|| format!("manifests/pins.toml has no [support.{support}]"))?;
        let version = version.trim_start_matches('v');
        let is_of = |line: &&String| version == line.as_str() || version.starts_with(&format!("{line}."));
        let end = lines.iter().find(|(line, _)| is_of(line)).map(|(_, end)| end.as_str());
        let end = end
            .with_context(|| format!("[support.{support}] in manifests/pins.toml has no line of {version}: add it"))?;
        Ok(Some(end).filter(|end| *end != "none"))
    }
}

/// The pins that this program was built with.
///
/// # Errors
/// The file is not what [`Pins`] says; a test sees to it.
pub fn pins() -> Result<Pins> {
    toml::from_str(TEXT).context("failed to read manifests/pins.toml")
}

/// Those of a checkout, as they are now.
///
/// # Errors
/// There is no such file, or it is not what [`Pins`] says.
pub fn of_checkout(checkout: &Path) -> Result<Pins> {
    let file = checkout.join("manifests/pins.toml");
    let text = fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
    toml::from_str(&text).with_context(|| format!("failed to read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pins_are_read() {
        pins().unwrap();
    }

    #[test]
    fn every_image_of_nodes_is_pinned_by_its_whole_digest() {
        let kind = pins().unwrap().kind;
        let nodes = kind.nodes.iter().map(|node| node.image.as_str());
        for image in nodes.chain([kind.cache.as_str()]) {
            let digest = image.split_once("@sha256:").unwrap_or_else(|| panic!("{image} has no digest")).1;
            assert!(digest.len() == 64 && digest.chars().all(|c| c.is_ascii_hexdigit()), "{image}");
        }
        for node in &kind.nodes {
            assert!(node.image.contains(&format!(":v{}@", node.kubernetes)), "{node:?}");
        }
        assert!(kind.nodes.is_sorted_by(|a, b| a.kubernetes > b.kubernetes), "newest first");
    }

    #[test]
    fn the_image_of_nodes_follows_kind() {
        let node = |kubernetes: &str, kind: &str| NodeImage {
            kubernetes: kubernetes.parse().unwrap(),
            image: String::new(),
            kind: kind.parse().unwrap(),
        };
        let nodes = vec![node("1.36.9", "0.90.2"), node("1.34.7", "0.81.0"), node("1.32.9", "0.80.2")];
        let kind = Kind { cache: String::new(), nodes };
        let taken = |version: &str| {
            let image = kind.node_image(version.parse().unwrap());
            image.map(|image| image.kubernetes.to_string())
        };
        assert_eq!(taken("0.90.2").as_deref(), Some("1.36.9"));
        assert_eq!(taken("0.90.1").as_deref(), Some("1.34.7"), "an older kind can't load into newer images");
        assert_eq!(taken("0.80.2").as_deref(), Some("1.32.9"));
        assert_eq!(taken("0.80.1"), None);
    }

    #[test]
    fn every_kind_that_will_do_has_an_image_of_nodes() {
        let pins = pins().unwrap();
        let least: Version = pins.tools.kind.least.parse().unwrap();
        assert!(pins.kind.node_image(least).is_some());
    }

    #[test]
    fn the_end_of_support_is_that_of_the_line() {
        let mut pins = pins().unwrap();
        let lines = [("1.3", "2020-01-31"), ("1.37", "2027-10-28"), ("sid", "none")];
        let lines = lines.map(|(line, end)| (line.to_owned(), end.to_owned()));
        pins.support.insert("it".to_owned(), lines.into());
        assert_eq!(pins.end("it", "v1.37.2").unwrap(), Some("2027-10-28"));
        assert_eq!(pins.end("it", "1.3.9").unwrap(), Some("2020-01-31"));
        assert_eq!(pins.end("it", "sid").unwrap(), None);
        let error = pins.end("it", "1.38.0").unwrap_err().to_string();
        assert!(error.contains("1.38.0: add it"), "{error}");
    }

    #[test]
    fn every_end_of_support_is_a_day() {
        let ends = pins().unwrap().support.into_values().flat_map(BTreeMap::into_values);
        for end in ends.filter(|end| end != "none") {
            let shape: String = end.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
            assert_eq!(shape, "9999-99-99", "{end}");
        }
    }
}
