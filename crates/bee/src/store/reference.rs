//! A probe's name: `tcpconnect:v1`, `localhost:5000/lab/tcpconnect:v1`, or by its digest `tcpconnect@sha256:…`.

use std::fmt;
use std::str::FromStr;

/// A name in OCI's grammar with a tag, without one `latest`; or with a digest, beside which a tag says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference(String);

/// Why a text is no name; says what one looks like.
#[derive(Debug, thiserror::Error)]
#[error(
    "invalid probe name {0:?}: expected NAME:TAG, as in my_probe:v1, in lower case and without spaces, or NAME@sha256:DIGEST"
)]
pub struct Malformed(String);

/// Why a text is no new name.
#[derive(Debug, thiserror::Error)]
pub enum NoNewName {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("invalid new name {0:?}: expected NAME:TAG, as a digest follows from what is stored")]
    Digest(String),
}

/// OCI's limit for a name without its digest.
const LONGEST: usize = 255;
const ALGORITHM: &str = "sha256:";

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
        split_host(self.name()).1
    }

    /// The tag or digest, which stand in each other's place in a registry's addresses.
    pub fn version(&self) -> &str {
        self.digest().unwrap_or(&self.0[self.name().len() + 1..])
    }

    /// `sha256:…`, of a name that has one.
    pub fn digest(&self) -> Option<&str> {
        self.0.split_once('@').map(|(_, digest)| digest)
    }

    /// Whether it names what is stored under `name` and has this digest.
    pub fn matches(&self, name: &str, digest: &str) -> bool {
        match self.digest() {
            Some(own) => own == digest && name.parse().is_ok_and(|named: Self| named.name() == self.name()),
            None => name == self.0,
        }
    }

    /// A name that something may get.
    ///
    /// # Errors
    /// It is no name, or has a digest.
    pub fn parse_new(text: &str) -> Result<Self, NoNewName> {
        let name: Self = text.parse()?;
        if name.digest().is_some() { Err(NoNewName::Digest(text.to_owned())) } else { Ok(name) }
    }

    /// Without tag and digest.
    fn name(&self) -> &str {
        let name = self.0.split_once('@').or_else(|| self.0.rsplit_once(':'));
        name.map_or(&self.0, |(name, _)| name)
    }
}

impl FromStr for Reference {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (tagged, digest) = text.split_once('@').map_or((text, None), |(tagged, digest)| (tagged, Some(digest)));
        // A colon before the last slash belongs to a registry's port.
        let (name, tag) = match tagged.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (tagged, "latest"),
        };
        let (host, path) = split_host(name);
        let is_name = path.split('/').all(is_path_component) && host.is_none_or(is_host) && is_tag(tag);
        if !is_name || tagged.len() > LONGEST || !digest.is_none_or(is_digest) {
            return Err(Malformed(text.to_owned()));
        }
        Ok(Self(digest.map_or_else(|| format!("{name}:{tag}"), |digest| format!("{name}@{digest}"))))
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

fn is_digest(text: &str) -> bool {
    let Some(digits) = text.strip_prefix(ALGORITHM) else { return false };
    digits.len() == 64 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
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
            (name.host().map(str::to_owned), name.repository().to_owned(), name.version().to_owned())
        };
        let of = |host: Option<&str>, name: &str, tag: &str| (host.map(str::to_owned), name.to_owned(), tag.to_owned());
        assert_eq!(parts("my_probe:v1"), of(None, "my_probe", "v1"));
        assert_eq!(parts("teacher/my_probe"), of(None, "teacher/my_probe", "latest"));
        assert_eq!(parts("localhost/my_probe"), of(Some("localhost"), "my_probe", "latest"));
        assert_eq!(parts("r.example:5000/a/b:v1"), of(Some("r.example:5000"), "a/b", "v1"));
        let digest = digest('a');
        assert_eq!(parts(&format!("r.example:5000/a/b@{digest}")), of(Some("r.example:5000"), "a/b", &digest));
        assert_eq!(parts(&format!("my_probe@{digest}")), of(None, "my_probe", &digest));
    }

    fn digest(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    #[test]
    fn a_digest_names_what_has_it_under_any_tag_of_its_name() {
        let (a, b) = (digest('a'), digest('b'));
        let name = |text: String| text.parse::<Reference>().unwrap();
        assert_eq!(name(format!("r.io/x:v1@{a}")), name(format!("r.io/x@{a}")));
        let by_digest = name(format!("r.io/x@{a}"));
        for (stored, digest, is_named) in [
            ("r.io/x:v1".to_owned(), &a, true),
            ("r.io/x:v2".to_owned(), &a, true),
            (format!("r.io/x@{a}"), &a, true),
            ("r.io/x:v1".to_owned(), &b, false),
            ("r.io/y:v1".to_owned(), &a, false),
            ("x:v1".to_owned(), &a, false),
            ("<none>".to_owned(), &a, false),
        ] {
            assert_eq!(by_digest.matches(&stored, digest), is_named, "{stored}");
        }
        assert!(name("x:v1".to_owned()).matches("x:v1", &a) && !name("x:v1".to_owned()).matches("x:v2", &a));
    }

    #[test]
    fn a_digest_is_no_new_name() {
        assert!(Reference::parse_new("x:v1").is_ok());
        assert!(Reference::parse_new(&format!("x@{}", digest('a'))).unwrap_err().to_string().contains("new name"));
        for wrong in ["x@", "x@sha256:ab", "@sha256:ab", "x@md5:ab"] {
            assert!(wrong.parse::<Reference>().is_err(), "{wrong}");
        }
        assert!(format!("x@{}", digest('A')).parse::<Reference>().is_err());
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
