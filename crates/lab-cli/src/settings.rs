//! `lab.toml` in the checkout: what a room of students shares, so that all of them get one workshop.
//!
//! ```toml
//! on = "kind"             # as --on
//! profile = "offline"     # as --profile
//! registry = "10.0.0.5:5000"
//! mirror = "http://10.0.0.5:5001"
//! ```

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{ClusterChoice, Options, Profile, Registry};

const FILE: &str = "lab.toml";

/// Defaults for the flags of the same names.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub on: Option<ClusterChoice>,
    pub profile: Option<Profile>,
    pub registry: Option<Registry>,
    pub mirror: Option<String>,
}

impl Settings {
    /// The checkout's settings; none if it has no such file.
    ///
    /// # Errors
    /// A file that can't be read or has a key or value that no flag has.
    pub fn of(checkout: &Path) -> Result<Self> {
        match fs::read_to_string(checkout.join(FILE)) {
            Ok(text) => toml::from_str(&text).with_context(|| format!("failed to read {FILE}")),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("failed to read {FILE}")),
        }
    }

    /// The arguments that say the same on the command line, for what `options` leave open.
    pub fn arguments(&self, options: &Options) -> Vec<String> {
        let flags = [
            ("--on", self.on.as_ref().map(ToString::to_string).filter(|_| options.on.is_none())),
            ("--profile", self.profile.map(|profile| profile.to_string()).filter(|_| options.profile.is_none())),
            ("--registry", self.registry.as_ref().map(ToString::to_string).filter(|_| options.registry.is_none())),
            ("--mirror", self.mirror.clone().filter(|_| options.kind.mirror.is_none())),
        ];
        flags.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value?])).flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::Cli;

    #[test]
    fn settings_become_the_arguments_that_nobody_gave() {
        let settings: Settings = toml::from_str("on = 'context:room'\nprofile = 'offline'").unwrap();
        let options = |line: &str| Cli::parse_from(line.split(' ')).options;
        assert_eq!(
            settings.arguments(&options("xtask status")),
            ["--on", "context:room", "--profile", "offline"].map(str::to_owned)
        );
        assert_eq!(settings.arguments(&options("xtask status --on host --profile upstream")), Vec::<String>::new());
    }

    #[test]
    fn a_key_or_cluster_that_does_not_exist_is_refused() {
        for wrong in ["one = 'kind'", "on = 'moon'", "profile = 'both'", "registry = 'http://r.example'"] {
            assert!(toml::from_str::<Settings>(wrong).is_err(), "{wrong}");
        }
    }
}
