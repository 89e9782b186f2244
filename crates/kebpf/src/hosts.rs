//! The names under which kebpf answers.
//!
//! A page of another site may let a name of its own lead to kebpf (DNS rebinding); the browser then takes kebpf's answers for that
//! site's and lets the page read them. Such a request carries that name, and no site's name is an address or one of these.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;

use axum::extract::Request;
use axum::http::header;
use axum::http::uri::Authority;

/// The name of a host, without a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostName(String);

#[derive(Debug, thiserror::Error)]
#[error("expected the name of a host, without a port")]
pub struct NoHostName;

/// Those that somebody allowed, beside what is always allowed: addresses, and this machine's own name for itself.
#[derive(Clone, Debug, Default)]
pub struct Hosts(BTreeSet<HostName>);

impl Hosts {
    pub fn new(allowed: impl IntoIterator<Item = HostName>) -> Self {
        Self(allowed.into_iter().collect())
    }

    pub fn allow(&self, host: &HostName) -> bool {
        host.is_address() || host.is_this_machine() || self.0.contains(host)
    }
}

impl HostName {
    /// Whom a request is for; none where it does not say so, which no browser leaves out.
    pub fn of(request: &Request) -> Option<Self> {
        let named = request.uri().authority().map(Authority::as_str);
        let header = || request.headers().get(header::HOST)?.to_str().ok();
        let named = named.or_else(header)?;
        let authority: Authority = named.parse().ok()?;
        let port = named.strip_prefix(authority.host())?;
        (port.is_empty() || port.starts_with(':')).then(|| Self::canonical(authority.host()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn canonical(name: &str) -> Self {
        Self(name.trim_end_matches('.').to_ascii_lowercase())
    }

    fn is_address(&self) -> bool {
        let bare = self.0.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        bare.unwrap_or(&self.0).parse::<IpAddr>().is_ok()
    }

    fn is_this_machine(&self) -> bool {
        self.0 == "localhost" || self.0.ends_with(".localhost")
    }
}

impl FromStr for HostName {
    type Err = NoHostName;

    fn from_str(text: &str) -> Result<Self, NoHostName> {
        let is_name = text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter));
        (is_name && !text.is_empty()).then(|| Self::canonical(text)).ok_or(NoHostName)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn allows(hosts: &Hosts, host: &str) -> bool {
        let request = Request::get("/").header(header::HOST, host).body(Body::empty()).unwrap();
        HostName::of(&request).is_some_and(|host| hosts.allow(&host))
    }

    #[test]
    fn addresses_this_machine_and_what_was_allowed_are_answered_and_nobody_else() {
        let hosts = Hosts::new(["kebpf.default.svc".parse().unwrap(), "Graph.Example".parse().unwrap()]);
        for host in [
            "127.0.0.1",
            "172.18.1.1:80",
            "[::1]:3000",
            "[2001:db8::1]",
            "localhost",
            "LOCALHOST:8080",
            "app.localhost",
            "kebpf.default.svc",
            "kebpf.default.svc.:80",
            "graph.example:443",
        ] {
            assert!(allows(&hosts, host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:3000",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "kebpf.default.svc.evil.example",
            "notlocalhost",
            "kebpf",
            "[::1].evil.example",
            "localhost@evil.example",
            "evil example",
            "",
        ] {
            assert!(!allows(&hosts, host), "{host}");
        }
    }

    #[test]
    fn an_address_line_with_a_host_counts_more_than_the_header() {
        let request =
            Request::get("http://evil.example/").header(header::HOST, "localhost").body(Body::empty()).unwrap();
        assert_eq!(HostName::of(&request).unwrap().as_str(), "evil.example");
        assert_eq!(HostName::of(&Request::get("/").body(Body::empty()).unwrap()), None);
    }

    #[test]
    fn what_is_no_name_of_a_host_can_not_be_allowed() {
        for text in ["", "graph.example:80", "http://graph.example", "user@graph.example", "a b", "*"] {
            assert!(text.parse::<HostName>().is_err(), "{text}");
        }
    }
}
