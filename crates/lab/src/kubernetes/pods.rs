//! Why pods are not ready, in words: what their containers wait for, how they ended, the cluster's warnings about
//! them, and the last lines that they wrote.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, LogParams},
};

/// More would hide what matters: pods of one workload mostly fail alike.
const MOST_PODS: usize = 2;
const MOST_EVENTS: usize = 3;
const LOG_LINES: i64 = 5;

/// What is wrong with a workload's pods, and what usually fixes it.
#[derive(Debug, Default)]
pub struct Troubles {
    pub why: Vec<String>,
    pub fix: Option<&'static str>,
}

/// Looks at the pods of a workload, and at the warnings about it and them.
pub async fn troubles(client: &Client, namespace: &str, workload: &str, selector: &ListParams) -> Troubles {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let Ok(pods) = api.list(selector).await else { return Troubles::default() };
    let mut troubles = Troubles::default();
    for pod in pods.iter().filter(|pod| !is_ready(pod)).take(MOST_PODS) {
        let reasons = reasons(pod);
        troubles.fix = troubles.fix.or_else(|| reasons.iter().find_map(|reason| fix(reason)));
        troubles.why.extend(reasons);
        troubles.why.extend(last_words(&api, pod).await);
    }
    troubles.why.extend(warnings(client, namespace, workload).await);
    troubles
}

/// A ready pod of an app, by its label `app`.
pub async fn one_ready(client: &Client, namespace: &str, app: &str) -> Result<String> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pods = api.list(&ListParams::default().labels(&format!("app={app}"))).await.context("failed to list pods")?;
    let pod = pods.iter().find(|pod| is_ready(pod) && pod.metadata.deletion_timestamp.is_none());
    pod.map(ResourceExt::name_any)
        .with_context(|| format!("no pod with the label app={app} is ready: run `cargo xtask lab 4`"))
}

pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
}

/// What a pod itself says.
fn reasons(pod: &Pod) -> Vec<String> {
    let name = pod.name_any();
    let Some(status) = &pod.status else { return vec![format!("pod {name} has no status yet")] };
    let unscheduled = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False");
    if let Some(condition) = unscheduled {
        let why = condition.message.as_deref().unwrap_or("no reason given");
        return vec![format!("pod {name} has no node: {why}")];
    }
    let containers = containers(pod).filter(|container| !container.ready);
    containers
        .filter_map(|container| Some(format!("pod {name}, container {}: {}", container.name, state(container)?)))
        .collect()
}

/// The containers that run at all, those that only prepare first.
fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let preparing = status.and_then(|status| status.init_container_statuses.as_ref()).into_iter().flatten();
    let done = |container: &&ContainerStatus| {
        let ended = container.state.as_ref().and_then(|state| state.terminated.as_ref());
        ended.is_none_or(|ended| ended.exit_code != 0)
    };
    preparing.filter(done).chain(status.and_then(|status| status.container_statuses.as_ref()).into_iter().flatten())
}

fn state(container: &ContainerStatus) -> Option<String> {
    let state = container.state.as_ref()?;
    let ended = state.terminated.as_ref().or(container.last_state.as_ref().and_then(|last| last.terminated.as_ref()));
    let ended = ended.map(|ended| {
        let reason = ended.reason.as_deref().unwrap_or("ended");
        format!("{reason}, exit code {}", ended.exit_code)
    });
    let now = match (&state.waiting, &state.running) {
        (Some(waiting), _) => {
            let reason = waiting.reason.as_deref().unwrap_or("waiting");
            waiting.message.as_ref().map_or(reason.to_owned(), |message| format!("{reason}: {message}"))
        }
        (None, Some(_)) => "runs, but is not ready".to_owned(),
        (None, None) => return ended,
    };
    Some(ended.map_or(now.clone(), |ended| format!("{now} (before: {ended})")))
}

/// What usually fixes a reason.
fn fix(reason: &str) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if has(&["x509: ", "HTTP response to HTTPS client"]) {
        Some(
            "the nodes don't trust the registry: tell them of it in a hosts.toml (README, \"Images for other clusters\")",
        )
    } else if has(&["ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName"]) {
        Some(if has(&["localhost/ebpf-lab/"]) {
            "the nodes lack the image: run `cargo xtask images load`, and compare the name in the manifest"
        } else if has(&["/ebpf-lab/"]) {
            "the registry lacks the image, or the nodes don't reach it: run `cargo xtask images push`, and read why above"
        } else {
            "the nodes can't pull the image, for the reason above; --profile offline needs no registry"
        })
    } else if has(&["CreateContainerConfigError"]) {
        Some("a ConfigMap, Secret or user that the container names is missing or wrong: compare the manifest")
    } else if has(&["CrashLoopBackOff", "exit code"]) {
        Some("the program ends by itself: its last lines above say why")
    } else if has(&["has no node"]) {
        Some("no node takes the pod: compare its tolerations and requests with `cargo xtask kubectl describe nodes`")
    } else {
        None
    }
}

/// The last lines of a container that ended or does not get ready; of its previous life if it starts again and again.
async fn last_words(api: &Api<Pod>, pod: &Pod) -> Vec<String> {
    let started = |container: &&ContainerStatus| {
        !container.ready && (container.restart_count > 0 || container.started == Some(true))
    };
    let Some(container) = containers(pod).find(started) else { return vec![] };
    let waits = container.state.as_ref().is_some_and(|state| state.waiting.is_some());
    let params = LogParams {
        container: Some(container.name.clone()),
        previous: waits && container.restart_count > 0,
        tail_lines: Some(LOG_LINES),
        limit_bytes: Some(4096),
        ..LogParams::default()
    };
    let Ok(text) = api.logs(&pod.name_any(), &params).await else { return vec![] };
    text.lines().map(|line| format!("log of {}: {}", container.name, line.trim_end())).collect()
}

/// The cluster's latest warnings about a workload and its pods, each once.
async fn warnings(client: &Client, namespace: &str, workload: &str) -> Vec<String> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let Ok(events) = api.list(&ListParams::default().fields("type=Warning").limit(500)).await else { return vec![] };
    latest(events.items, workload)
}

fn latest(mut events: Vec<Event>, workload: &str) -> Vec<String> {
    // A workload's pods and replica sets begin with its name.
    events.retain(|event| {
        let name = event.involved_object.name.as_deref().unwrap_or_default();
        name.strip_prefix(workload).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    });
    events.sort_by_key(|event| event.metadata.creation_timestamp.as_ref().map(|time| std::cmp::Reverse(time.0)));
    let mut seen = BTreeSet::new();
    let line = |event: &Event| {
        let reason = event.reason.as_deref().unwrap_or("Warning");
        let message = event.message.as_deref().unwrap_or_default();
        seen.insert(reason.to_owned()).then(|| format!("event {reason}: {message}"))
    };
    events.iter().filter_map(line).take(MOST_EVENTS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "kebpf-1"}, "status": status})).unwrap()
    }

    fn container(state: Value, restarts: i32) -> Value {
        json!({"name": "kebpf", "image": "i", "imageID": "", "ready": false, "restartCount": restarts, "state": state})
    }

    #[test]
    fn an_image_that_is_missing_is_named_with_what_fixes_it() {
        let said = |message: &str| {
            let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": message}});
            reasons(&pod(json!({"containerStatuses": [container(waiting, 0)]})))
        };
        let ours = said("localhost/ebpf-lab/kebpf:lab: not found");
        assert_eq!(ours, ["pod kebpf-1, container kebpf: ErrImagePull: localhost/ebpf-lab/kebpf:lab: not found"]);
        assert!(fix(&ours[0]).unwrap().contains("cargo xtask images load"));
        assert!(fix(&said("quay.io/x/y:1: no such host")[0]).unwrap().contains("--profile offline"));
        let pulled = "r.example:5000/ebpf-lab/kebpf@sha256:0";
        assert!(fix(&said(&format!("{pulled}: not found"))[0]).unwrap().contains("cargo xtask images push"));
        let distrust = format!("{pulled}: tls: x509: certificate signed by unknown authority");
        assert!(fix(&said(&distrust)[0]).unwrap().contains("hosts.toml"));
    }

    #[test]
    fn a_crash_shows_how_it_ended_before() {
        let mut crashing = container(json!({"waiting": {"reason": "CrashLoopBackOff"}}), 3);
        crashing["lastState"] = json!({"terminated": {"exitCode": 2, "reason": "Error"}});
        let reasons = reasons(&pod(json!({"containerStatuses": [crashing]})));
        assert_eq!(reasons, ["pod kebpf-1, container kebpf: CrashLoopBackOff (before: Error, exit code 2)"]);
    }

    #[test]
    fn a_pod_without_a_node_says_why() {
        let condition = json!({"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"});
        let reasons = reasons(&pod(json!({"conditions": [condition]})));
        assert_eq!(reasons, ["pod kebpf-1 has no node: 0/3 nodes are available"]);
    }

    #[test]
    fn an_init_container_that_succeeded_is_no_trouble() {
        let done = container(json!({"terminated": {"exitCode": 0}}), 0);
        let runs = container(json!({"running": {}}), 0);
        let reasons = reasons(&pod(json!({"initContainerStatuses": [done], "containerStatuses": [runs]})));
        assert_eq!(reasons, ["pod kebpf-1, container kebpf: runs, but is not ready"]);
    }

    #[test]
    fn warnings_are_those_of_the_workload_each_once() {
        let event = |name: &str, reason: &str| -> Event {
            let value =
                json!({"metadata": {"name": "e"}, "involvedObject": {"name": name}, "reason": reason, "message": "m"});
            serde_json::from_value(value).unwrap()
        };
        let events = vec![event("kebpf-1", "Failed"), event("kebpf-1", "Failed"), event("kebpfx", "Other")];
        assert_eq!(latest(events, "kebpf"), ["event Failed: m"]);
    }
}
