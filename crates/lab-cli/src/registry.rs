//! Where images of ours lie for clusters whose nodes pull them: a registry, and a path in it.

use std::{fmt, str::FromStr};

use serde::Deserialize;

/// `HOST[:PORT][/PATH]`, as container programs write it: no scheme, no tag.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Registry {
    /// `HOST[:PORT]`.
    pub host: String,
    /// What stands before the names of our images, perhaps nothing.
    pub path: String,
}

impl Registry {
    /// Whether it is on this machine, where nobody listens in between.
    pub fn is_loopback(&self) -> bool {
        let name = self.host.split(':').next().unwrap_or_default();
        name == "localhost" || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for Registry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return Err("expected HOST[:PORT][/PATH], without http:// or https://".to_owned());
        }
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
        if !is_name(name) || port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return Err(format!("`{host}` is not HOST or HOST:PORT"));
        }
        // Everybody takes a first part without dot or port for a path on Docker's hub.
        if port.is_none() && name != "localhost" && !name.contains('.') {
            return Err(format!("`{host}` has neither a dot nor a port: `{host}:5000`?"));
        }
        if !(text == host || path.split('/').all(is_part)) {
            return Err(format!("`{path}` is not a path in a registry: its parts are a-z, 0-9 and . _ - between them"));
        }
        Ok(Self { host: host.to_owned(), path: path.to_owned() })
    }
}

fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let plain = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        plain && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    name.split('.').all(is_label)
}

fn is_part(part: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    part.starts_with(inner) && part.ends_with(inner) && part.chars().all(|c| inner(c) || "._-".contains(c))
}

impl TryFrom<String> for Registry {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.host),
            path => write!(f, "{}/{path}", self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_a_host_perhaps_a_port_and_a_path() {
        for right in ["localhost", "localhost:5000", "10.0.0.5:5000", "ghcr.io/some-one/labs", "r.example:443/a_b/c.d"]
        {
            assert_eq!(right.parse::<Registry>().unwrap().to_string(), right);
        }
        let registry: Registry = "10.0.0.5:5000/room/1".parse().unwrap();
        assert_eq!((registry.host.as_str(), registry.path.as_str()), ("10.0.0.5:5000", "room/1"));
    }

    #[test]
    fn what_is_no_registry_is_refused_with_the_reason() {
        let refused = |text: &str| text.parse::<Registry>().unwrap_err();
        assert!(refused("http://10.0.0.5:5000").contains("without http://"));
        assert!(refused("registry").contains("`registry:5000`?"));
        for wrong in ["", ":5000", "r:port", "r:70000", "-r.example", "r..example", "user@r.example", "r example:1"] {
            assert!(refused(wrong).contains("is not HOST"), "{wrong}");
        }
        for wrong in ["r.example/", "r.example/Upper", "r.example/a//b", "r.example/a:tag", "r.example/-a"] {
            assert!(refused(wrong).contains("not a path"), "{wrong}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        let is_loopback = |text: &str| text.parse::<Registry>().unwrap().is_loopback();
        assert!(is_loopback("localhost:5000/labs") && is_loopback("127.0.0.1:5000"));
        assert!(!is_loopback("127.0.0.1.example:5000") && !is_loopback("10.0.0.5:5000"));
    }
}
