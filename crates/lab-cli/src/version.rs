//! Versions as programs print them: three numbers, whatever a distribution writes behind them.

use std::{fmt, str::FromStr};

use serde::Deserialize;

/// Such as `0.99.1`; compares by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

impl FromStr for Version {
    type Err = String;

    /// Reads `v1.34.4`, `20.10.24+dfsg1` and `28.2` alike.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = |part: &str| {
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part[..end].parse::<u32>().ok()
        };
        let mut parts = text.trim_start_matches('v').splitn(3, '.').map(digits);
        let (major, minor) = (parts.next().flatten(), parts.next().flatten());
        let (Some(major), Some(minor)) = (major, minor) else { return Err(format!("invalid version `{text}`")) };
        Ok(Self { major, minor, patch: parts.next().flatten().unwrap_or(0) })
    }
}

impl TryFrom<String> for Version {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number_and_not_by_letter() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("0.9.0") < version("0.27.1"));
        assert_eq!(version("v1.34.4"), version("1.34.4"));
        assert_eq!(version("20.10.24+dfsg1").to_string(), "20.10.24");
        assert_eq!(version("28.2").to_string(), "28.2.0");
        assert_eq!(version("0.34.0-alpha+1234").to_string(), "0.34.0");
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for wrong in ["", "v", "version", "1", "x.y.z"] {
            assert!(wrong.parse::<Version>().is_err(), "{wrong}");
        }
    }
}
