//! Whether a Deployment, StatefulSet or DaemonSet runs what its manifest says: all of it, and not an older version.
//!
//! A status counts only once the controller has seen the latest change: right after an apply it still tells about
//! the version before.

use std::fmt;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams},
    core::Selector,
    discovery::ApiResource,
};
use serde_json::Value;

use super::pods;
use crate::{error::words, finding::Finding};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
}

/// A workload by name; shown as kubectl names it.
#[derive(Debug, Clone)]
pub struct Workload {
    pub kind: Kind,
    pub namespace: &'static str,
    pub name: &'static str,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = format!("{:?}", self.kind).to_lowercase();
        write!(f, "{kind}/{}", self.name)
    }
}

impl Workload {
    pub const fn deployment(namespace: &'static str, name: &'static str) -> Self {
        Self { kind: Kind::Deployment, namespace, name }
    }

    pub const fn stateful_set(namespace: &'static str, name: &'static str) -> Self {
        Self { kind: Kind::StatefulSet, namespace, name }
    }

    pub const fn daemon_set(namespace: &'static str, name: &'static str) -> Self {
        Self { kind: Kind::DaemonSet, namespace, name }
    }

    /// Asks once; if pods are missing, says which and why. `lab` is the one that makes the workload.
    pub async fn ready(&self, client: &Client, lab: u8) -> Result<(), Finding> {
        let finding = |condition: String| Finding::new(format!("{self} in namespace {}", self.namespace), condition);
        let object = match self.api(client).get_opt(self.name).await {
            Ok(Some(object)) => object,
            Ok(None) => return Err(finding("does not exist".into()).fix(format!("run `cargo xtask lab {lab}`"))),
            Err(error) => return Err(finding("could not be asked for".into()).because(words(&error)).cluster_down()),
        };
        let progress = progress(self.kind, object.metadata.generation, &object.data);
        let Err(condition) = progress else { return Ok(()) };
        let troubles = pods::troubles(client, self.namespace, self.name, &selector(&object.data)).await;
        let describe = format!("cargo xtask kubectl describe {self} --namespace {}", self.namespace);
        let fix = troubles.fix.map_or(format!("if it stays so: `{describe}`"), str::to_owned);
        Err(finding(condition).why(troubles.why).fix(fix))
    }

    fn api(&self, client: &Client) -> Api<DynamicObject> {
        let resource = match self.kind {
            Kind::Deployment => ApiResource::erase::<Deployment>(&()),
            Kind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
            Kind::DaemonSet => ApiResource::erase::<DaemonSet>(&()),
        };
        Api::namespaced_with(client.clone(), self.namespace, &resource)
    }
}

/// The pods of a workload, as a request for them.
fn selector(data: &Value) -> ListParams {
    let labels: LabelSelector = serde_json::from_value(data["spec"]["selector"].clone()).unwrap_or_default();
    Selector::try_from(labels)
        .map_or_else(|_| ListParams::default(), |labels| ListParams::default().labels_from(&labels))
}

/// Nothing if the rollout is complete, else what is missing.
fn progress(kind: Kind, generation: Option<i64>, data: &Value) -> Result<(), String> {
    let (spec, status) = (&data["spec"], &data["status"]);
    let count = |field: &str| status[field].as_i64().unwrap_or(0);
    if status["observedGeneration"].as_i64() < generation {
        return Err("the latest change has not been acted on yet".into());
    }
    let (wanted, updated, existing, ready) = match kind {
        Kind::DaemonSet => (
            count("desiredNumberScheduled"),
            count("updatedNumberScheduled"),
            count("desiredNumberScheduled"),
            count("numberReady"),
        ),
        Kind::Deployment | Kind::StatefulSet => (
            spec["replicas"].as_i64().unwrap_or(1),
            count("updatedReplicas"),
            count("replicas"),
            count("readyReplicas"),
        ),
    };
    if wanted == 0 {
        return Err(if kind == Kind::DaemonSet { "no node wants its pods" } else { "scaled to 0 pods" }.into());
    }
    if updated < wanted {
        return Err(format!("{updated} of {wanted} pods run the latest version"));
    }
    if ready < wanted {
        return Err(format!("{ready} of {wanted} pods ready"));
    }
    if existing > wanted {
        return Err(format!("{} pods of an older version are still there", existing - wanted));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(status: Value) -> Value {
        json!({"spec": {"replicas": 2}, "status": status})
    }

    #[test]
    fn a_deployment_is_ready_when_all_its_pods_are_of_the_latest_version() {
        let done = json!({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2});
        assert_eq!(progress(Kind::Deployment, Some(3), &deployment(done)), Ok(()));
    }

    #[test]
    fn a_status_older_than_the_change_does_not_count() {
        let stale = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2});
        let why = progress(Kind::Deployment, Some(3), &deployment(stale)).unwrap_err();
        assert_eq!(why, "the latest change has not been acted on yet");
        assert!(progress(Kind::Deployment, Some(1), &deployment(json!({}))).is_err());
    }

    #[test]
    fn pods_of_the_old_version_are_not_the_rollout() {
        let both = json!({"observedGeneration": 3, "replicas": 3, "updatedReplicas": 2, "readyReplicas": 3});
        let why = progress(Kind::Deployment, Some(3), &deployment(both)).unwrap_err();
        assert_eq!(why, "1 pods of an older version are still there");
        let old = json!({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 1, "readyReplicas": 2});
        assert_eq!(
            progress(Kind::Deployment, Some(3), &deployment(old)).unwrap_err(),
            "1 of 2 pods run the latest version"
        );
    }

    #[test]
    fn a_daemonset_needs_a_ready_pod_on_every_node_that_wants_one() {
        let status = |ready| json!({"status": {"observedGeneration": 1, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberReady": ready}});
        assert_eq!(progress(Kind::DaemonSet, Some(1), &status(3)), Ok(()));
        assert_eq!(progress(Kind::DaemonSet, Some(1), &status(2)).unwrap_err(), "2 of 3 pods ready");
    }

    #[test]
    fn nothing_wanted_is_not_ready() {
        let status = json!({"observedGeneration": 1, "desiredNumberScheduled": 0});
        assert!(progress(Kind::DaemonSet, Some(1), &json!({"status": status})).is_err());
        let scaled_down = json!({"spec": {"replicas": 0}, "status": {"observedGeneration": 1}});
        assert!(progress(Kind::StatefulSet, Some(1), &scaled_down).is_err());
    }
}
