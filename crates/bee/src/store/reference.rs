//! A probe's name: `tcpconnect:v1`, `localhost:5000/lab/tcpconnect:v1`.

use std::fmt;
use std::str::FromStr;

/// A name in OCI's grammar with a tag; without one it is `latest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference(String);

/// Why a text is no name; says what one looks like.
#[derive(Debug, thiserror::Error)]
#[error("invalid probe name {0:?}: expected NAME:TAG, as in my_probe:v1, in lower case and without spaces")]
pub struct Malformed(String);

/// OCI's limit for a whole name.
const LONGEST: usize = 255;

impl Reference {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The registry that it begins with, `HOST[:PORT]`.
    pub fn host(&self) -> Option<&str> {
        split_host(&self.0).0
    }

    /// Its name in a registry, without host and tag.
    pub fn repository(&self) -> &str {
        let path = split_host(&self.0).1;
        path.rsplit_once(':').map_or(path, |(repository, _)| repository)
    }

    pub fn tag(&self) -> &str {
        self.0.rsplit_once(':').map_or("latest", |(_, tag)| tag)
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
        let (host, path) = split_host(name);
        let is_name = path.split('/').all(is_path_component) && host.is_none_or(is_host) && is_tag(tag);
        if is_name && text.len() <= LONGEST {
            Ok(Self(format!("{name}:{tag}")))
        } else {
            Err(Malformed(text.to_owned()))
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What comes before the first slash is a registry if it looks like one, as container tools see it.
fn split_host(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((host, path)) if host == "localhost" || host.contains(['.', ':']) => (Some(host), path),
        _ => (None, name),
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(text: &str) -> bool {
    let mut separators = text.as_bytes().split(|&c| is_path_word(c)).filter(|it| !it.is_empty());
    text.bytes().next().is_some_and(is_path_word)
        && text.bytes().last().is_some_and(is_path_word)
        && separators.all(|it| matches!(it, b"." | b"_" | b"__") || it.iter().all(|&c| c == b'-'))
}

fn is_path_word(c: u8) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
fn is_tag(text: &str) -> bool {
    text.len() <= 128
        && text.bytes().next().is_some_and(is_tag_word)
        && text.bytes().all(|c| is_tag_word(c) || matches!(c, b'.' | b'-'))
}

fn is_tag_word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_'
}

fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').unwrap_or((text, "0"));
    name.split('.').all(is_host_label) && port.parse::<u16>().is_ok()
}

fn is_host_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
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
    fn a_name_that_begins_with_a_registry_is_told_from_one_that_does_not() {
        let parts = |text: &str| {
            let name = text.parse::<Reference>().unwrap();
            (name.host().map(str::to_owned), name.repository().to_owned(), name.tag().to_owned())
        };
        let of = |host: Option<&str>, name: &str, tag: &str| (host.map(str::to_owned), name.to_owned(), tag.to_owned());
        assert_eq!(parts("my_probe:v1"), of(None, "my_probe", "v1"));
        assert_eq!(parts("teacher/my_probe"), of(None, "teacher/my_probe", "latest"));
        assert_eq!(parts("localhost/my_probe"), of(Some("localhost"), "my_probe", "latest"));
        assert_eq!(parts("r.example:5000/a/b:v1"), of(Some("r.example:5000"), "a/b", "v1"));
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
