//! What pods may do on the host cluster: ours what docs/pods.md says, others no more than Pod Security allows; and a NetworkPolicy,
//! which nothing would enforce, is refused.

use std::fs;

use serde_json::Value;
use testkit::{
    TestCluster,
    pods::{rows, table, unreasoned},
};

use crate::Scene;

pub const SCENES: &[(&str, Scene)] = &[
    ("every_container_is_in_the_table_of_the_docs_as_it_runs", documented),
    ("accounts_have_no_rights_beyond_what_their_programs_ask_for", least_rights),
    ("a_pod_with_a_folder_of_the_node_is_refused_wherever_the_labs_need_none", pod_security),
    ("a_network_policy_is_refused_in_words", network_policy),
];

const NAMESPACES: [&str; 4] = ["default", "kube-system", "metallb-system", "prometheus"];

fn documented(cluster: &TestCluster) {
    let kinds = "deployments,daemonsets,statefulsets,serviceaccounts";
    let all: Value = serde_json::from_str(&cluster.kubectl(&["get", kinds, "-A", "-o", "json"])).unwrap();
    let mut objects = all["items"].as_array().unwrap().clone();
    objects.retain(|object| NAMESPACES.iter().any(|namespace| object["metadata"]["namespace"] == *namespace));
    let rows = rows(&objects);
    assert_eq!(unreasoned(&rows), [""; 0]);
    let page = fs::read_to_string(cluster.paths().checkout.join("docs/pods.md")).unwrap();
    let lines: Vec<_> = page.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(lines, table(&rows), "docs/pods.md should have\n{}", table(&rows).join("\n"));
}

/// By account: what it needs, and what an account of its kind often has. kebpf's whole role is compared in its own tests.
fn least_rights(cluster: &TestCluster) {
    let operator = "prometheus:prom-kube-prometheus-stack-operator";
    let prometheus = "prometheus:prom-kube-prometheus-stack-prometheus";
    for (account, verb, what, namespace, is_allowed) in [
        ("default:kebpf", "watch", "pods", "default", true),
        ("default:kebpf", "get", "pods", "default", false),
        ("default:kebpf", "list", "secrets", "default", false),
        (operator, "update", "secrets", "prometheus", true),
        (operator, "get", "secrets", "default", false),
        (operator, "create", "statefulsets", "default", false),
        (operator, "delete", "podmonitors", "default", false),
        (operator, "list", "nodes", "default", false),
        (prometheus, "watch", "pods", "default", true),
        (prometheus, "get", "secrets", "prometheus", false),
        (prometheus, "list", "nodes", "default", false),
        ("prometheus:prom-kube-state-metrics", "list", "secrets", "prometheus", false),
        ("kube-system:coredns", "watch", "services", "default", true),
        ("kube-system:coredns", "list", "pods", "default", false),
    ] {
        let user = format!("--as=system:serviceaccount:{account}");
        let answer = cluster.try_kubectl(&["auth", "can-i", verb, what, "-n", namespace, &user]).stdout;
        assert_eq!(answer.trim() == "yes", is_allowed, "{account} may {verb} {what} in {namespace}: {answer}");
    }
}

const ROOT: &str = "
apiVersion: v1
kind: Pod
metadata: {name: root}
spec:
  hostPID: true
  containers: [{name: root, image: localhost/ebpf-lab/pause:lab, volumeMounts: [{name: root, mountPath: /root}]}]
  volumes: [{name: root, hostPath: {path: /}}]
";

fn pod_security(cluster: &TestCluster) {
    cluster.kubectl(&["create", "namespace", "somebodys"]);
    let apply = |namespace: &str| cluster.try_apply(ROOT, &["--dry-run=server", "-n", namespace]).stderr;
    // A new namespace has no account at first, and no pod gets further than that.
    let words = "violates PodSecurity \"baseline:latest\": host namespaces (hostPID=true), hostPath volumes";
    for namespace in ["somebodys", "kube-system", "kube-public"] {
        let refused = testkit::until(std::time::Duration::from_secs(10), || apply(namespace).contains(words));
        assert!(refused, "{namespace}: {}", apply(namespace));
    }
    for namespace in ["default", "prometheus"] {
        let said = apply(namespace);
        assert!(said.contains("Warning: would violate PodSecurity"), "{namespace}: {said}");
    }
    cluster.kubectl(&["delete", "namespace", "somebodys", "--wait=false"]);
}

const DENY_ALL: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny-all}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
";

fn network_policy(cluster: &TestCluster) {
    let run = cluster.try_apply(DENY_ALL, &[]);
    let words = "nothing enforces NetworkPolicies on this cluster";
    assert!(run.code != 0 && run.stderr.contains(words), "{}{}", run.stdout, run.stderr);
    assert_eq!(cluster.kubectl(&["get", "networkpolicies", "-A", "-o", "name"]), "");
}
