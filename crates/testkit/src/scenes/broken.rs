//! Each check with its lab broken on purpose: it must fail, name the object and the cause, and pass again once the lab is
//! run again. A check that passes by itself would be found here.

use std::time::Duration;

use crate::{Scene, TestCluster, until};

pub const SCENES: &[(&str, Scene)] = &[
    ("check_1_fails_when_the_probe_is_another", lab1),
    ("check_2_fails_when_cluster_dns_is_gone", lab2),
    ("check_3_fails_when_an_exporter_is_missing", lab3),
    ("check_3_fails_when_prometheus_is_down", lab3_prometheus),
    ("check_4_fails_when_an_image_is_missing", lab4),
    ("check_5_fails_when_the_daemonset_is_missing", lab5_daemonset),
    ("check_5_fails_when_a_label_is_wrong", lab5_label),
    ("check_5_fails_when_the_port_is_misnamed", lab5_port),
    ("check_6_fails_when_the_app_may_not_read_the_cluster", lab6_role),
    ("check_6_fails_when_the_image_is_missing", lab6_image),
];

/// Fixes a lab as a user would, and sees its check pass.
fn fix(cluster: &TestCluster, lab: &str) {
    cluster.lab(&["lab", lab]).succeeds();
    cluster.passes(lab, "2m");
}

fn lab1(cluster: &TestCluster) {
    let work = tempfile::tempdir().unwrap();
    // The store gets another probe under the workshop's name: it sees no connection.
    let probe = work.path().join("tcpconnect.c");
    let source = std::fs::read_to_string(cluster.paths().checkout.join("probes/tcpconnect.bpf.c")).unwrap();
    let deaf = source.replace("\t\trecord(&connection);", "\t\t(void)connection;");
    assert_ne!(source, deaf);
    std::fs::write(&probe, deaf).unwrap();
    let bee = |args: &[&str]| {
        let status = std::process::Command::new(cluster.paths().bin.join("bee")).args(args).status().unwrap();
        assert!(status.success(), "bee {args:?}");
    };
    let student = cluster.paths().checkout.join("work/tcpconnect.c");
    bee(&["build", probe.to_str().unwrap(), "tcpconnect:v1"]);
    cluster.does_not_pass("1", &["tcpconnect"]);
    bee(&["build", student.to_str().unwrap(), "tcpconnect:v1"]);
    cluster.passes("1", "1m");
}

fn lab2(cluster: &TestCluster) {
    cluster.kubectl(&["scale", "deployment/coredns", "-n", "kube-system", "--replicas=0"]);
    cluster.kubectl_waits(&["wait", "pods", "-n", "kube-system", "-l", "k8s-app=kube-dns", "--for=delete"]);
    cluster.does_not_pass("2", &["DNS"]);
    fix(cluster, "2");
}

fn lab3(cluster: &TestCluster) {
    cluster.kubectl(&["delete", "daemonset/prom-prometheus-node-exporter", "-n", "prometheus"]);
    cluster.does_not_pass("3", &["prom-prometheus-node-exporter"]);
    fix(cluster, "3");
}

fn lab3_prometheus(cluster: &TestCluster) {
    let resource = "prometheuses.monitoring.coreos.com/prom-kube-prometheus-stack-prometheus";
    cluster.kubectl(&[
        "patch",
        resource,
        "-n",
        "prometheus",
        "--type=merge",
        "-p",
        r#"{"spec":{"image":"localhost/ebpf-lab/none:lab"}}"#,
    ]);
    cluster.kubectl(&["delete", "pod", "-n", "prometheus", "prometheus-prom-kube-prometheus-stack-prometheus-0"]);
    cluster.does_not_pass("3", &["prometheus-prom-kube-prometheus-stack-prometheus"]);
    let query = cluster.lab(&["query", "up"]);
    assert_ne!(query.code, 0, "a query without a Prometheus fails");
    assert!(query.stderr.starts_with("error: "), "and says so plainly: {}", query.stderr);
    fix(cluster, "3");
}

fn lab4(cluster: &TestCluster) {
    cluster.kubectl(&["set", "image", "deployment/ratings-v1", "ratings=localhost/ebpf-lab/none:lab"]);
    cluster.kubectl(&["delete", "pods", "-l", "app=ratings"]);
    cluster.does_not_pass("4", &["ratings-v1", "none:lab"]);
    fix(cluster, "4");
}

fn lab5_daemonset(cluster: &TestCluster) {
    cluster.kubectl(&["delete", "daemonset/bumblebee"]);
    cluster.does_not_pass("5", &["daemonset/bumblebee"]);
    fix(cluster, "5");
}

fn lab5_label(cluster: &TestCluster) {
    let wrong = r#"{"spec":{"selector":{"matchLabels":{"app":"bumble"}}}}"#;
    cluster.kubectl(&["patch", "podmonitor/bumblebee", "--type=merge", "-p", wrong]);
    eventually_does_not_pass(cluster, "5", &["podmonitor"]);
    fix(cluster, "5");
}

fn lab5_port(cluster: &TestCluster) {
    let wrong = r#"[{"op":"replace","path":"/spec/podMetricsEndpoints/0/port","value":"http-monitor"}]"#;
    cluster.kubectl(&["patch", "podmonitor/bumblebee", "--type=json", "-p", wrong]);
    eventually_does_not_pass(cluster, "5", &["http-monitor"]);
    fix(cluster, "5");
}

fn lab6_role(cluster: &TestCluster) {
    cluster.kubectl(&["delete", "clusterrolebinding/kebpf"]);
    cluster.kubectl(&["delete", "pods", "-l", "app=kebpf"]);
    cluster.does_not_pass("6", &["kebpf"]);
    fix(cluster, "6");
}

fn lab6_image(cluster: &TestCluster) {
    cluster.kubectl(&["set", "image", "deployment/kebpf", "kebpf=localhost/ebpf-lab/none:lab"]);
    cluster.kubectl(&["delete", "pods", "-l", "app=kebpf"]);
    cluster.does_not_pass("6", &["deployment/kebpf"]);
    fix(cluster, "6");
}

/// Prometheus takes up a changed PodMonitor within some seconds; until then the old targets are up.
fn eventually_does_not_pass(cluster: &TestCluster, lab: &str, words: &[&str]) {
    let failed = until(Duration::from_secs(60), || cluster.lab(&["check", lab, "--wait", "0"]).code == 3);
    assert!(failed, "check {lab} goes on passing");
    cluster.does_not_pass(lab, words);
}
