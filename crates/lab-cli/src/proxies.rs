//! The proxies that the user's environment names: they lead to what is outside, and never to a cluster of ours.

use std::{collections::HashSet, env, ffi::OsString};

/// Every spelling: curl reads `http_proxy` alone, other programs the one or the other.
pub const VARIABLES: [&str; 10] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

/// What is reached without a proxy, in both spellings.
const NONE: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Go asks no proxy for these; others must be told.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.0/8", "::1"];

/// Those that are set, for a program that gets an environment of its own.
pub fn inherited() -> Vec<(&'static str, OsString)> {
    VARIABLES.into_iter().filter_map(|name| Some((name, env::var_os(name)?))).collect()
}

/// The variables with which a program reaches these addresses, and this machine, without a proxy; none where no proxy is set.
pub fn excepting(addresses: &[String]) -> Vec<(&'static str, String)> {
    excepting_in(addresses, |name| env::var(name).ok())
}

fn excepting_in(addresses: &[String], variable: impl Fn(&str) -> Option<String>) -> Vec<(&'static str, String)> {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    if !VARIABLES.iter().any(|name| !NONE.contains(name) && is_set(name)) {
        return vec![];
    }
    let theirs = NONE.map(|name| variable(name).unwrap_or_default()).join(",");
    let theirs = theirs.split(',').map(str::trim).filter(|item| !item.is_empty());
    let mut all: Vec<_> = theirs.chain(LOOPBACK).chain(addresses.iter().map(String::as_str)).collect();
    // For curl it means everything only where it stands alone.
    if all.contains(&"*") {
        all = vec!["*"];
    }
    let mut seen = HashSet::new();
    all.retain(|item| seen.insert(*item));
    let value = all.join(",");
    NONE.map(|name| (name, value.clone())).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is_excepted(set: &[(&str, &str)], expected: &str) {
        let variable = |name: &str| set.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
        let named = excepting_in(&["172.18.101.0/24".to_owned()], variable);
        if expected.is_empty() {
            assert_eq!(named, []);
        } else {
            assert_eq!(named, NONE.map(|name| (name, expected.to_owned())));
        }
    }

    #[test]
    fn our_addresses_stand_beside_the_users_exceptions_in_both_spellings() {
        let ours = "localhost,127.0.0.0/8,::1,172.18.101.0/24";
        is_excepted(&[("HTTPS_PROXY", "http://proxy:3128")], ours);
        is_excepted(&[("all_proxy", "socks5://proxy")], ours);
        let both = [("http_proxy", "p"), ("NO_PROXY", "corp.example, ,"), ("no_proxy", ".lan,corp.example")];
        is_excepted(&both, &format!("corp.example,.lan,{ours}"));
        is_excepted(&[("http_proxy", "p"), ("no_proxy", "*")], "*");
    }

    #[test]
    fn where_no_proxy_is_set_nothing_is_said() {
        is_excepted(&[], "");
        is_excepted(&[("NO_PROXY", "corp.example"), ("HTTPS_PROXY", "")], "");
    }
}
