//! How `lab` calls helm for the real chart, which only the internet has: the command line, and what is said for each of helm's failures.
//!
//! In helm's place stands a shim that writes down how it is called and fails with words recorded from Helm 3.22 and 4.3. With helm
//! itself, a chart of ours is installed on a real cluster: see `tests/host/upstream.rs`.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

#[path = "support/shim.rs"]
mod shim;
mod support;

use std::{collections::BTreeSet, fs, path::Path};

use lab_cli::pins::pins;
use serde_json::Value;
use shim::RecordedShim;
use support::lab;
use testkit::api::{ApiServer, empty};

/// Lab 3 with a shim for helm: what it said, and how helm was called.
fn lab3(version: &str, recorded: &str, more: &[&str], code: i32) -> (String, String) {
    let world = tempfile::tempdir().unwrap();
    let shim = RecordedShim::new(world.path(), version, recorded);
    ApiServer::answering(empty).kubeconfig(world.path());
    let mut command = lab(world.path());
    command.args(["lab", "3", "--profile", "upstream", "--on", "context:mine"]).args(more).env("PATH", shim.path());
    // What a user has set for another cluster must not reach ours.
    command.env("HELM_KUBEAPISERVER", "https://elsewhere").env("HELM_NAMESPACE", "elsewhere");
    let assert = command.assert().code(code);
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    (redact(&said, world.path()), redact(&shim.calls(), world.path()))
}

fn redact(text: &str, world: &Path) -> String {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text =
        text.replace(&world.display().to_string(), "[world]").replace(&checkout.display().to_string(), "[checkout]");
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    for line in &mut lines {
        if let Some((before, digest)) = line.split_once("--labels ebpf-lab=") {
            *line = format!("{before}--labels ebpf-lab=[digest]{}", digest.get(16..).unwrap_or_default());
        }
    }
    lines.join("\n")
}

/// The failure's own words must be shown, and the hint that belongs to them.
#[track_caller]
fn explains(recorded: &str, hint: &str) {
    let (said, _) = lab3("v4.3.1", recorded, &[], 1);
    let first = recorded.lines().next().unwrap();
    assert!(said.contains(first), "helm's own words are lost:\n{said}");
    assert!(said.lines().any(|line| line.starts_with("hint: ") && line.contains(hint)), "no hint `{hint}`:\n{said}");
}

#[test]
fn helm_is_called_for_the_pinned_chart_on_our_cluster_only_by_recorded_shim() {
    let (_, calls) = lab3("v3.14.0+g3fc9f4b", "Error: recorded", &[], 1);
    insta::assert_snapshot!(calls);
}

#[test]
fn a_repository_that_is_out_of_reach_is_explained_by_recorded_shim() {
    let text = "Error: looks like \"https://prometheus-community.github.io/helm-charts\" is not a valid chart repository or cannot be \
                reached: Get \"https://prometheus-community.github.io/helm-charts/index.yaml\": dial tcp: lookup \
                prometheus-community.github.io on 127.0.0.53:53: no such host";
    explains(text, "use --profile offline");
}

#[test]
fn a_chart_version_that_is_gone_is_explained_by_recorded_shim() {
    let text = "Error: chart \"kube-prometheus-stack\" version \"88.5.3\" not found in \
                https://prometheus-community.github.io/helm-charts repository";
    explains(text, "manifests/pins.toml names a version");
}

#[test]
fn another_helm_at_work_is_explained_by_recorded_shim() {
    let text = "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress";
    explains(text, "another helm works on release prom");
}

#[test]
fn missing_kinds_are_explained_by_recorded_shim() {
    let text = "Error: unable to build kubernetes objects from release manifest: resource mapping not found for name: \
                \"prom-kube-prometheus-stack-prometheus\" namespace: \"prometheus\" from \"\": no matches for kind \"Prometheus\" in \
                version \"monitoring.coreos.com/v1\"\nensure CRDs are installed first";
    explains(text, "the operator's kinds are missing");
}

#[test]
fn objects_made_without_helm_are_explained_by_recorded_shim() {
    let text = "Error: unable to continue with install: ServiceAccount \"prom-kube-state-metrics\" in namespace \"prometheus\" exists \
                and cannot be imported into the current release: invalid ownership metadata; label validation error: missing key \
                \"app.kubernetes.io/managed-by\": must be set to \"Helm\"";
    explains(text, "reset 3 --profile offline");
}

#[test]
fn objects_changed_by_others_are_explained_by_recorded_shim() {
    let text = "Error: UPGRADE FAILED: conflict occurred while applying object prometheus/prom-kube-state-metrics apps/v1, \
                Kind=Deployment: Apply failed with 1 conflict: conflict with \"kubectl-set\" using apps/v1: \
                .spec.template.spec.containers[name=\"kube-state-metrics\"].image";
    explains(text, "by other means than helm");
}

#[test]
fn a_cluster_that_went_away_is_explained_by_recorded_shim() {
    let text = "Error: kubernetes cluster unreachable: Get \"https://172.18.101.1:6443/version\": dial tcp 172.18.101.1:6443: connect: \
                connection refused";
    explains(text, "is the cluster up?");
}

#[test]
fn a_helm_that_is_too_old_is_refused_before_anything_is_made_by_recorded_shim() {
    let (said, calls) = lab3("v3.9.4+gdbc6d8e", "", &[], 4);
    assert!(
        said.contains("helm v3.9.4+gdbc6d8e is too old") && said.contains("hint: run the same command with --install"),
        "{said}"
    );
    assert!(!calls.contains("upgrade"), "{calls}");
}

#[test]
fn a_missing_helm_is_named_before_anything_is_made() {
    let world = tempfile::tempdir().unwrap();
    ApiServer::answering(empty).kubeconfig(world.path());
    let mut command = lab(world.path());
    command.args(["lab", "3", "--profile", "upstream", "--on", "context:mine"]).env("PATH", world.path());
    let assert = command.assert().code(4);
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(
        said.contains("the upstream profile needs helm") && said.contains("hint: run the same command with --install"),
        "{said}"
    );
}

#[test]
fn explain_prints_the_real_charts_command_line() {
    let world = tempfile::tempdir().unwrap();
    ApiServer::answering(empty).kubeconfig(world.path());
    let mut command = lab(world.path());
    let line = ["lab", "3-5", "--profile", "upstream", "--on", "context:mine", "--explain"];
    let assert = command.args(line).assert().success();
    insta::assert_snapshot!(String::from_utf8_lossy(&assert.get_output().stdout));
}

/// The keys that were seen in values.yaml of this version of the chart, and of its subcharts. With another version, look again.
const CHART_VERSION: [u32; 3] = [88, 5, 3];
const CHART_KEYS: [&str; 23] = [
    "alertmanager.enabled",
    "coreDns.enabled",
    "defaultRules.create",
    "grafana.defaultDashboardsEnabled",
    "grafana.serviceMonitor.enabled",
    "grafana.testFramework.enabled",
    "kubeApiServer.enabled",
    "kubeControllerManager.enabled",
    "kubeEtcd.enabled",
    "kubeProxy.enabled",
    "kubeScheduler.enabled",
    "kubelet.enabled",
    "prometheus-node-exporter.hostRootFsMount.enabled",
    "prometheus.prometheusSpec.podMonitorSelectorNilUsesHelmValues",
    "prometheus.prometheusSpec.resources",
    "prometheus.prometheusSpec.retention",
    "prometheus.prometheusSpec.scrapeInterval",
    "prometheus.prometheusSpec.serviceMonitorSelectorNilUsesHelmValues",
    "prometheus.serviceMonitor.selfMonitor",
    "prometheusOperator.admissionWebhooks.enabled",
    "prometheusOperator.kubeletService.enabled",
    "prometheusOperator.serviceMonitor.selfMonitor",
    "prometheusOperator.tls.enabled",
];

#[test]
fn every_value_that_we_set_is_a_key_of_the_pinned_chart() {
    assert_eq!(
        pins().unwrap().chart.version,
        CHART_VERSION.map(|number| number.to_string()).join("."),
        "look through values.yaml of the new version, then correct the list"
    );
    let values = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/lab3/values.yaml");
    let values: Value = serde_saphyr::from_str(&fs::read_to_string(values).unwrap()).unwrap();
    let mut keys = BTreeSet::new();
    collect(&values, "", &mut keys);
    let known: BTreeSet<_> = CHART_KEYS.into_iter().map(str::to_owned).collect();
    assert_eq!(keys, known);
}

/// The paths of all values; those below `resources` are Kubernetes' own.
fn collect(value: &Value, path: &str, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) if !path.ends_with(".resources") => {
            for (name, field) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(field, &path, keys);
            }
        }
        _ => drop(keys.insert(path.to_owned())),
    }
}

/// What bee exports, by the source that writes it; what Prometheus itself adds for each target.
#[test]
fn the_dashboards_queries_name_only_metrics_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let (bee, probe) = (read("crates/bee/src/metrics/mod.rs"), read("probes/tcpconnect.bpf.c"));
    let dashboard: Value = serde_json::from_str(&read("manifests/lab3/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let queries: Vec<_> = panels
        .flat_map(|panel| panel["targets"].as_array().unwrap())
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    let words = queries.iter().flat_map(|query| query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    let metrics: BTreeSet<_> =
        words.filter(|word| word.contains('_') && !["pod_ip", "cluster_ip", "sort_desc"].contains(word)).collect();
    assert!(metrics.len() > 5, "{metrics:?}");
    for metric in metrics {
        let of_prometheus = ["scrape_duration_seconds", "scrape_samples_scraped"].contains(&metric);
        let of_bee = bee.contains(&format!("\"{metric}\""));
        let of_probe =
            metric.strip_prefix("ebpf_solo_io_").is_some_and(|map| probe.contains(&format!("}} {map} SEC(")));
        assert!(of_prometheus || of_bee || of_probe, "nobody exports {metric}");
    }
}
