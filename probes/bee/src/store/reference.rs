//! A probe's name: `tcpconnect:v1`, `localhost:5000/lab/tcpconnect:v1`.

use std::fmt;
use std::str::FromStr;

/// A name in OCI's grammar with a tag; without one it is `latest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference(String);

/// Why a text is no name; says what one looks like.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no name for a probe: write NAME:TAG, as in my_probe:v1, in lower case and without spaces")]
pub struct Malformed(String);

/// OCI's limit for a whole name.
const LONGEST: usize = 255;

impl Reference {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reference {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        // A colon before the last slash belongs to a registry's port.
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (text, "latest"),
        };
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if host == "localhost" || host.contains(['.', ':']) => (Some(host), path),
            _ => (None, name),
        };
        let is_name = path.split('/').all(is_path_component) && host.is_none_or(is_host) && is_tag(tag);
        match is_name && text.len() <= LONGEST {
            true => Ok(Self(format!("{name}:{tag}"))),
            false => Err(Malformed(text.to_owned())),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(text: &str) -> bool {
    let is_word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut separators = text.as_bytes().split(|&c| is_word(c)).filter(|it| !it.is_empty());
    let ends_in_words = text.bytes().next().is_some_and(is_word) && text.bytes().last().is_some_and(is_word);
    ends_in_words && separators.all(|it| matches!(it, b"." | b"_" | b"__") || it.iter().all(|&c| c == b'-'))
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
fn is_tag(text: &str) -> bool {
    let is_word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|c| is_word(c) || matches!(c, b'.' | b'-'))
}

fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').unwrap_or((text, "0"));
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    name.split('.').all(is_label) && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn a_name_without_a_tag_is_the_latest() {
        assert_eq!("my_probe:v1".parse::<Reference>().unwrap().as_str(), "my_probe:v1");
        assert_eq!("tcpconnect".parse::<Reference>().unwrap().as_str(), "tcpconnect:latest");
        assert_eq!(
            "localhost:5000/tcpconnect".parse::<Reference>().unwrap().as_str(),
            "localhost:5000/tcpconnect:latest"
        );
        assert_eq!("ghcr.io/a/b-c.d:0.1".parse::<Reference>().unwrap().as_str(), "ghcr.io/a/b-c.d:0.1");
    }

    #[test]
    fn what_no_registry_would_take_is_refused_before_anything_is_compiled() {
        let long = "a".repeat(300);
        for text in [
            "", ":", ":v1", "Probe:v1", "a b", "../x", "a//b", "/a", "a/", "a:v 1", "a:", "a:.b", "-a", "a._b",
            "host:x/a", &long,
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?} was accepted");
        }
    }
}
