//! What an image's config says of its probe, so that nobody needs the program to know it: the platform, as OCI has it, programs and
//! maps. It depends on nothing but the probe. BumbleBee's own is `{}`, and its reader passes over what it does not know.

use serde::{Deserialize, Serialize};

use crate::inspect::{self, Contents};
use crate::object::Kind;
use crate::object::params::Known;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// In OCI's words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub architecture: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub os: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<Program>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub maps: Vec<Map>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Known>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Program {
    pub name: String,
    /// The hook, as `SEC` names it.
    pub section: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Map {
    pub name: String,
    /// The kernel's name of its type.
    pub r#type: String,
    pub max_entries: u32,
    /// `print`, `counter`, `gauge` or `histogram`, if it is exported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Of a map that is one metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Of one that is several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

impl Config {
    /// # Errors
    /// The object is no probe.
    pub fn from_object(object: &[u8], architecture: &str) -> Result<Self, inspect::Error> {
        let Contents { programs, maps, parameters, .. } = Contents::parse(object)?;
        // libbpf makes maps of its own, with a dot, of global variables.
        let maps = maps.into_iter().filter(|map| !map.name.contains('.')).map(Map::from).collect();
        let programs = programs.into_iter().map(Program::from).collect();
        Ok(Self { architecture: architecture.to_owned(), os: "linux".to_owned(), programs, maps, parameters })
    }
}

impl From<inspect::Program> for Program {
    fn from(inspect::Program { name, section, .. }: inspect::Program) -> Self {
        Self { name, section }
    }
}

impl From<inspect::Map> for Map {
    fn from(inspect::Map { name, kind, max_entries, export, .. }: inspect::Map) -> Self {
        let map = Self { name, r#type: kind, max_entries, ..Self::default() };
        let Some(inspect::Export { kind, metrics, labels, .. }) = export else { return map };
        let kind = Some(word(kind).to_owned());
        match metrics.as_slice() {
            [metric] => Self { kind, metric: Some(metric.clone()), labels, ..map },
            _ => Self { kind, metrics, labels, ..map },
        }
    }
}

/// Read by others and by later versions, hence text.
fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Print => "print",
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}
