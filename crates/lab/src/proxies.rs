//! Which proxy of the user's environment stands before an address: as kubectl and every other program in Go decides it.

use std::{env, net::IpAddr};

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

/// A proxy, as the environment has it.
pub struct Proxy {
    /// With the login.
    pub url: String,
    pub parts: Intercept,
}

/// The proxy on the way to a server, if there is one.
pub fn before(server: &Uri) -> Option<Proxy> {
    before_in(server, |name| env::var(name).ok())
}

fn before_in(server: &Uri, variable: impl Fn(&str) -> Option<String>) -> Option<Proxy> {
    let first = |names: &[&str]| names.iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
    if is_here(server.host()?) {
        return None;
    }
    let named = match server.scheme_str() {
        Some("https") => first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
        _ => first(&["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]),
    };
    let named = named?;
    let url = if named.contains("://") { named } else { format!("http://{named}") };
    let except = first(&["NO_PROXY", "no_proxy"]).unwrap_or_default();
    let parts = Matcher::builder().all(url.clone()).no(except).build().intercept(server)?;
    Some(Proxy { url, parts })
}

/// Whether a proxy would take it for itself.
fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn stands_before(server: &str, environment: &[(&str, &str)], expected: Option<&str>) {
        let variable =
            |name: &str| environment.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
        let found = before_in(&server.parse().unwrap(), variable);
        assert_eq!(found.map(|proxy| proxy.url).as_deref(), expected, "{server} with {environment:?}");
    }

    #[test]
    fn the_proxy_is_that_of_the_servers_scheme_in_either_spelling() {
        let both = [("HTTP_PROXY", "http://plain:3128"), ("https_proxy", "tls:3128")];
        stands_before("https://api.example:6443", &both, Some("http://tls:3128"));
        stands_before("http://api.example", &both, Some("http://plain:3128"));
        stands_before("https://api.example", &[("ALL_PROXY", "socks5://s:1080")], Some("socks5://s:1080"));
        stands_before("https://api.example", &[("HTTPS_PROXY", "")], None);
        stands_before("https://api.example", &[], None);
        stands_before("https://api.example", &[("HTTPS_PROXY", "http://me:secret@p:1")], Some("http://me:secret@p:1"));
    }

    #[test]
    fn exceptions_are_the_servers_and_odd_ones_break_nothing() {
        let except = |list: &'static str| [("HTTPS_PROXY", "http://p:1"), ("no_proxy", list)];
        for list in ["api.example", ".example", "example,", " , example ,,", "*", "10.0.0.0/8,api.example"] {
            stands_before("https://api.example:6443", &except(list), None);
        }
        for list in ["", ",", "p", "api.example.org", "::::", "%"] {
            stands_before("https://api.example:6443", &except(list), Some("http://p:1"));
        }
        stands_before("https://10.1.2.3:6443", &except("10.0.0.0/8"), None);
        stands_before("https://11.1.2.3:6443", &except("10.0.0.0/8"), Some("http://p:1"));
    }

    #[test]
    fn no_proxy_is_asked_for_this_machine() {
        for here in ["https://127.0.0.1:6443", "https://localhost:1", "https://[::1]:6443", "https://127.9.9.9"] {
            stands_before(here, &[("HTTPS_PROXY", "http://p:1")], None);
        }
    }
}
