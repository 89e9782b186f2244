//! `--on context:`: labs 3-6 on a cluster that is not ours. It is a second host cluster, handed over as an ordinary
//! kubeconfig, its nodes' images preloaded with `images load`.

use std::fs;

use testkit::{Run, TestCluster};

use crate::Scene;

pub const SCENES: &[(&str, Scene)] = &[
    ("a_context_that_does_not_exist_is_refused_and_the_others_are_listed", unknown),
    ("labs_3_to_6_run_on_a_context_with_preloaded_images_and_clean_takes_only_what_is_ours", labs),
];

fn unknown(cluster: &TestCluster) {
    let kubeconfig = ordinary_kubeconfig(cluster);
    let run = on(cluster, &kubeconfig, "context:nowhere", &["check", "3", "--wait", "0"]);
    assert_ne!(run.code, 0);
    assert!(run.stderr.contains("nowhere") && run.stderr.contains("classroom"), "{}", run.stderr);
}

fn labs(cluster: &TestCluster) {
    // The cluster as a stranger would find it: no lab of ours on it, something of somebody else's.
    cluster.lab(&["lab", "2"]).succeeds();
    for lab in ["6", "5", "4", "3"] {
        cluster.lab(&["reset", lab]).succeeds();
    }
    cluster.lab(&["images", "load"]).succeeds();
    cluster.kubectl(&["create", "configmap", "somebody-elses", "--from-literal=key=value"]);
    let kubeconfig = ordinary_kubeconfig(cluster);
    let run = |args: &[&str]| on(cluster, &kubeconfig, "context:classroom", args);

    let offline = |args: &[&str]| run(&[args, &["--profile", "offline"]].concat());
    offline(&["lab", "2-6"]).succeeds();
    offline(&["check", "2-6", "--wait", "30s"]).succeeds();
    offline(&["clean"]).succeeds();

    assert_eq!(cluster.kubectl(&["get", "configmap", "somebody-elses", "-o", "jsonpath={.data.key}"]), "value");
    cluster.passes("2", "10s");
    let left = cluster.kubectl(&["get", "all", "-A", "-l", "app.kubernetes.io/managed-by=ebpf-lab", "-o", "name"]);
    let left: Vec<_> = left.lines().filter(|name| name.contains("bumblebee") || name.contains("productpage")).collect();
    assert!(left.is_empty(), "{left:?}");
    cluster.kubectl(&["delete", "configmap", "somebody-elses"]);
}

/// A kubeconfig as a person would have it: another name, and a current context that must never be used.
pub fn ordinary_kubeconfig(cluster: &TestCluster) -> tempfile::NamedTempFile {
    let path = cluster.lab(&["kubeconfig"]).succeeds().stdout;
    let mut theirs: serde_json::Value = serde_json::from_str(&fs::read_to_string(path.trim()).unwrap()).unwrap();
    theirs["contexts"][0]["name"] = "classroom".into();
    theirs["current-context"] = "trap".into();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), theirs.to_string()).unwrap();
    file
}

pub fn on(cluster: &TestCluster, kubeconfig: &tempfile::NamedTempFile, choice: &str, args: &[&str]) -> Run {
    let stranger = TestCluster::on_context(cluster.number, choice.trim_start_matches("context:"));
    let started = std::time::Instant::now();
    let output = stranger.command(args).env("KUBECONFIG", kubeconfig.path()).output().expect("start lab");
    Run::new(output, started.elapsed())
}
