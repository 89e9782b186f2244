//! `manifests/pins.toml`: every outside version that no lock file of a language pins.

use anyhow::{Context, Result};
use serde::Deserialize;

const TEXT: &str = include_str!("../../../manifests/pins.toml");

/// The pinned versions, as the file has them.
#[derive(Debug, Clone, Deserialize)]
pub struct Pins {
    pub tools: Tools,
    pub chart: Chart,
    pub bookinfo: Bookinfo,
    pub kernels: Vec<Kernel>,
}

/// Programs that the user brings.
#[derive(Debug, Clone, Deserialize)]
pub struct Tools {
    pub kind: Tool,
    pub helm: GoTool,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Tool {
    /// The oldest version that will do.
    pub least: String,
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

/// The pins that this program was built with.
///
/// # Errors
/// The file is not what [`Pins`] says; a test sees to it.
pub fn pins() -> Result<Pins> {
    toml::from_str(TEXT).context("read manifests/pins.toml")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_pins_are_read() {
        super::pins().unwrap();
    }
}
