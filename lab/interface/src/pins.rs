//! `manifests/pins.toml`: every outside version that no lock file of a language pins.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::version::Version;

const TEXT: &str = include_str!("../../../manifests/pins.toml");

/// A kubelet of this version or a newer one does not start on a machine with cgroups of version 1.
pub const WITHOUT_CGROUP_1: Version = Version { major: 1, minor: 35, patch: 0 };

/// The pinned versions, as the file has them.
#[derive(Debug, Clone, Deserialize)]
pub struct Pins {
    pub tools: Tools,
    pub kind: Kind,
    pub chart: Chart,
    pub bookinfo: Bookinfo,
    pub kernels: Vec<Kernel>,
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
    /// The oldest version that fetches the one which go.mod asks for.
    pub least: String,
    /// What that one hashes to as a module, by `goVERSION.OS-ARCHITECTURE`.
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
    /// The newest image of nodes that this kind can handle, on a machine with cgroups of this version.
    pub fn node_image(&self, kind: Version, cgroup: u8) -> Option<&NodeImage> {
        self.nodes.iter().find(|node| node.kind <= kind && (cgroup > 1 || node.kubernetes < WITHOUT_CGROUP_1))
    }
}

/// The pins that this program was built with.
///
/// # Errors
/// The file is not what [`Pins`] says; a test sees to it.
pub fn pins() -> Result<Pins> {
    toml::from_str(TEXT).context("read manifests/pins.toml")
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
    fn the_image_of_nodes_follows_kind_and_the_cgroups() {
        let node = |kubernetes: &str, kind: &str| NodeImage {
            kubernetes: kubernetes.parse().unwrap(),
            image: String::new(),
            kind: kind.parse().unwrap(),
        };
        let nodes = vec![
            node("1.36.9", "0.90.2"),
            node("1.34.9", "0.90.2"),
            node("1.34.7", "0.81.0"),
            node("1.32.9", "0.80.2"),
        ];
        let kind = Kind { cache: String::new(), nodes };
        let taken = |version: &str, cgroup| {
            let image = kind.node_image(version.parse().unwrap(), cgroup);
            image.map(|image| image.kubernetes.to_string())
        };
        assert_eq!(taken("0.90.2", 2).as_deref(), Some("1.36.9"));
        assert_eq!(
            taken("0.90.2", 1).as_deref(),
            Some("1.34.9"),
            "a kubelet from 1.35 on refuses cgroups of version 1"
        );
        assert_eq!(taken("0.90.1", 2).as_deref(), Some("1.34.7"), "an older kind can't load into newer images");
        assert_eq!(taken("0.80.2", 1).as_deref(), Some("1.32.9"));
        assert_eq!(taken("0.80.1", 2), None);
    }

    #[test]
    fn every_kind_that_will_do_has_an_image_of_nodes() {
        let pins = pins().unwrap();
        let least: Version = pins.tools.kind.least.parse().unwrap();
        assert!([1, 2].iter().all(|cgroup| pins.kind.node_image(least, *cgroup).is_some()));
    }
}
