//! Proxies: every command reaches a cluster on this machine without one, and another by the one that its context or the environment
//! names, but for the exceptions.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

mod support;

use support::lab;
use testkit::{
    api::{ApiServer, empty, kubeconfig},
    forward::{ForwardProxy, environment},
};

/// Nobody listens there.
const DEAD: &str = "http://127.0.0.1:1";
const ELSEWHERE: &str = "http://api.elsewhere.invalid:6443";

/// Every command of ours that asks the API server. The others that do are kubectl and helm.
const COMMANDS: [&[&str]; 7] = [
    &["lab", "3"],
    &["check", "2", "--wait", "0"],
    &["check", "3-6", "--wait", "0"],
    &["status"],
    &["query", "up"],
    &["traffic"],
    &["reset", "5"],
];

/// Whether each command reaches the server of a cluster that is described so.
#[track_caller]
fn each_command_reaches(server: &ApiServer, cluster: &str, environment: &[(&str, String)], expected: bool) {
    for command in COMMANDS {
        let (world, before) = (tempfile::tempdir().unwrap(), server.requests());
        kubeconfig(world.path(), cluster);
        let mut lab = lab(world.path());
        lab.args(command).args(["--on", "context:mine", "--profile", "offline", "--timeout", "2s"]);
        lab.env_remove("NO_PROXY").env_remove("no_proxy").envs(environment.iter().cloned());
        let said = String::from_utf8(lab.output().unwrap().stderr).unwrap();
        assert!(!said.contains("kube/"), "{command:?} asks for a feature: {said}");
        assert_eq!(server.requests() > before, expected, "{command:?}, {cluster}, {environment:?}: {said}");
    }
}

#[test]
fn a_cluster_on_this_machine_is_reached_without_a_proxy() {
    let server = ApiServer::answering(empty);
    let (cluster, proxy) = (format!("{{server: 'http://{}'}}", server.address), ForwardProxy::to_nowhere());
    each_command_reaches(&server, &cluster, &environment(DEAD), true);
    each_command_reaches(&server, &cluster, &environment(&proxy.url()), true);
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[test]
fn another_cluster_is_reached_by_the_environments_proxy() {
    let server = ApiServer::answering(empty);
    let (cluster, proxy) = (format!("{{server: '{ELSEWHERE}'}}"), ForwardProxy::to(server.address));
    each_command_reaches(&server, &cluster, &environment(&proxy.url()), true);
    assert!(!proxy.asked().is_empty() && proxy.asked().iter().all(|asked| asked == "api.elsewhere.invalid:6443"));
}

#[test]
fn a_contexts_own_proxy_comes_before_the_environments() {
    let server = ApiServer::answering(empty);
    let proxy = ForwardProxy::to(server.address);
    let cluster = format!("{{server: '{ELSEWHERE}', proxy-url: '{}'}}", proxy.url());
    each_command_reaches(&server, &cluster, &environment(DEAD), true);
}

#[test]
fn exceptions_are_honoured_even_in_a_list_that_ends_with_a_comma() {
    let server = ApiServer::answering(empty);
    let (cluster, proxy) = (format!("{{server: '{ELSEWHERE}'}}"), ForwardProxy::to(server.address));
    let except = ("no_proxy", "corp.example, .elsewhere.invalid,".to_owned());
    let environment = [environment(&proxy.url()), vec![except]].concat();
    each_command_reaches(&server, &cluster, &environment, false);
    assert_eq!(proxy.asked(), Vec::<String>::new());
}
