//! Behind a company's proxy, which knows nothing of clusters on this machine: no command asks it for one.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use testkit::{
    Run, TestCluster,
    forward::{ForwardProxy, environment},
};

use crate::Scene;

pub const SCENES: &[(&str, Scene)] = &[
    ("no_command_asks_a_proxy_for_the_cluster", labs),
    ("in_the_shell_the_cluster_is_reached_without_the_proxy", shell),
];

/// Commands that talk to the cluster once it has all labs.
const COMMANDS: [&[&str]; 8] = [
    &["check", "2-6", "--wait", "30s"],
    &["status"],
    &["query", "up"],
    &["traffic"],
    &["open"],
    &["images", "load"],
    &["kubectl", "get", "nodes"],
    &["lab", "2"],
];

fn labs(cluster: &TestCluster) {
    cluster.lab(&["clean"]).succeeds();
    let proxy = ForwardProxy::to_nowhere();
    let behind = |url: &str, arguments: &[&str]| Run::of(cluster.command(arguments).envs(environment(url)));
    behind(&proxy.url(), &["lab", "2-6"]).succeeds();
    for url in [proxy.url(), "http://127.0.0.1:1".to_owned()] {
        for command in COMMANDS {
            let run = behind(&url, command).succeeds();
            assert!(!run.stderr.contains("proxy"), "{command:?}: {}", run.stderr);
        }
        behind(&url, &["reset", "6"]).succeeds();
        behind(&url, &["lab", "6"]).succeeds();
    }
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

fn shell(cluster: &TestCluster) {
    cluster.lab(&["lab", "2-6"]).succeeds();
    let proxy = ForwardProxy::to_nowhere();
    let mut shell = cluster.command(&["shell"]);
    shell.envs(environment(&proxy.url())).env("SHELL", "/bin/sh").env("NO_PROXY", "corp.example");
    let script = format!(
        "kubectl get nodes -o name && curl -sSf --max-time 30 http://{} >/dev/null && echo \"NO_PROXY=$NO_PROXY\"; exit\n",
        cluster.first_address
    );
    let run = typed(&mut shell, &script).succeeds();
    assert!(
        run.stdout.contains("node/ebpf-worker2") && run.stdout.contains("NO_PROXY=corp.example,"),
        "{}",
        run.stdout
    );
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

fn typed(command: &mut Command, text: &str) -> Run {
    let started = std::time::Instant::now();
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start lab");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    Run::new(child.wait_with_output().unwrap(), started.elapsed())
}
