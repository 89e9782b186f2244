//! Whether Prometheus scrapes bee on every node; if it knows no target at all, what in the PodMonitor does not fit.

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::{Api, Client, api::DynamicObject, core::GroupVersionKind, discovery::ApiResource};
use serde_json::Value;

use super::{Check, client};
use crate::{
    error::words,
    finding::Finding,
    kubernetes::is_not_found,
    promql::{self, Target},
};

/// The names that the workshop gives the DaemonSet and the PodMonitor, both in `default`.
const NAME: &str = "bumblebee";
/// The operator names a scrape job after the PodMonitor and the number of its endpoint.
const JOB: &str = "podMonitor/default/bumblebee/";

pub fn check() -> Check {
    Check::new("Prometheus scrapes bumblebee on every node", |workshop, _| {
        Box::pin(async move { all_up(&client(workshop).await?).await })
    })
}

/// Asks once.
pub async fn all_up(client: &Client) -> Result<(), Finding> {
    let daemonset = Api::<DaemonSet>::namespaced(client.clone(), "default").get(NAME).await;
    let daemonset = daemonset.map_err(|error| {
        Finding::new("daemonset/bumblebee in namespace default", "could not be asked for")
            .because(words(&error))
            .fix("run `cargo xtask lab 5`")
    })?;
    let finding = |condition: String| Finding::new("podmonitor/bumblebee in namespace default", condition);
    let targets = promql::targets(client, JOB).await;
    let targets = targets.map_err(|error| {
        finding("Prometheus could not be asked for its targets".into())
            .because(crate::error::message(&error))
            .fix("`cargo xtask check 3` says what is wrong with Prometheus")
    })?;
    let wanted = daemonset.status.as_ref().map_or(0, |status| status.desired_number_scheduled);
    let Err(condition) = enough(&targets, wanted) else { return Ok(()) };
    if targets.is_empty() {
        let template = serde_json::to_value(&daemonset).unwrap_or_default();
        return Err(no_targets(client, &template, finding(condition)).await);
    }
    let missing = targets.iter().filter(|target| target.health != "up");
    let why =
        missing.map(|target| format!("{} is {}: {}", target.scrape_url, target.health, target.last_error)).collect();
    Err(finding(condition).why(why).fix("a new target is up after its first scrape, which takes seconds; `cargo xtask kubectl logs daemonset/bumblebee` shows bee's own words"))
}

fn enough(targets: &[Target], wanted: i32) -> Result<(), String> {
    let up = targets.iter().filter(|target| target.health == "up").count();
    let wanted = usize::try_from(wanted).unwrap_or(0);
    if wanted == 0 || up < wanted {
        Err(format!("{up} of {wanted} targets up, Prometheus knows {}", targets.len()))
    } else {
        Ok(())
    }
}

/// Why a PodMonitor selects nothing.
async fn no_targets(client: &Client, daemonset: &Value, finding: Finding) -> Finding {
    let kind = GroupVersionKind::gvk("monitoring.coreos.com", "v1", "PodMonitor");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", &ApiResource::from_gvk(&kind));
    match api.get(NAME).await {
        Ok(monitor) => match mismatch(&monitor.data, daemonset) {
            Some(why) => finding.because(why).fix("correct it, or run `cargo xtask lab 5`, which does"),
            None => finding
                .because("it fits the DaemonSet: Prometheus has not read it yet")
                .fix("that takes up to half a minute; then `cargo xtask kubectl logs --namespace prometheus deployment/prom-kube-prometheus-stack-operator`"),
        },
        Err(error) if is_not_found(&error) => finding.because("it does not exist").fix("run `cargo xtask lab 5`"),
        Err(error) => finding.because(words(&error)).cluster_down(),
    }
}

/// What of a PodMonitor does not fit a DaemonSet's pods.
fn mismatch(monitor: &Value, daemonset: &Value) -> Option<String> {
    let pods = &daemonset["spec"]["template"];
    let labels = monitor["spec"]["selector"]["matchLabels"].as_object();
    for (key, value) in labels.into_iter().flatten() {
        let actual = &pods["metadata"]["labels"][key];
        if actual != value {
            return Some(format!(
                "it selects pods with the label {key}={}, theirs is {actual}",
                value.as_str().unwrap_or_default()
            ));
        }
    }
    let containers = pods["spec"]["containers"].as_array().into_iter().flatten();
    let ports: Vec<_> =
        containers.filter_map(|container| container["ports"].as_array()).flatten().map(|port| &port["name"]).collect();
    let endpoints = monitor["spec"]["podMetricsEndpoints"].as_array().into_iter().flatten();
    let wrong = endpoints.map(|endpoint| &endpoint["port"]).find(|port| port.is_string() && !ports.contains(port));
    wrong.map(|port| format!("it scrapes the port {port}, the pods' ports are named {ports:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn target(health: &str) -> Target {
        Target { scrape_url: String::new(), health: health.into(), last_error: String::new() }
    }

    fn daemonset() -> Value {
        let container = json!({"ports": [{"name": "http-monitoring"}]});
        json!({"spec": {"template": {"metadata": {"labels": {"app": "bumblebee"}}, "spec": {"containers": [container]}}}})
    }

    fn monitor(app: &str, port: &str) -> Value {
        json!({"spec": {"selector": {"matchLabels": {"app": app}}, "podMetricsEndpoints": [{"port": port}]}})
    }

    #[test]
    fn every_node_that_runs_a_pod_needs_a_target() {
        assert_eq!(enough(&[target("up"), target("up")], 2), Ok(()));
        assert_eq!(enough(&[target("up"), target("unknown")], 2).unwrap_err(), "1 of 2 targets up, Prometheus knows 2");
        assert!(enough(&[], 0).is_err());
    }

    #[test]
    fn a_podmonitor_that_fits_has_no_mismatch() {
        assert_eq!(mismatch(&monitor("bumblebee", "http-monitoring"), &daemonset()), None);
    }

    #[test]
    fn a_wrong_label_and_a_wrong_port_are_named() {
        let label = mismatch(&monitor("bumble", "http-monitoring"), &daemonset()).unwrap();
        assert_eq!(label, "it selects pods with the label app=bumble, theirs is \"bumblebee\"");
        let port = mismatch(&monitor("bumblebee", "metrics"), &daemonset()).unwrap();
        assert!(port.contains("the port \"metrics\""), "{port}");
    }
}
