//! Up the owner chain: from a pod to the workload that a person wrote.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};

use crate::objects::{ObjectName, Objects, Workload};

/// The two kinds that stand between a pod and its workload, each with what it is controlled by.
pub struct Owners {
    replica_sets: HashMap<ObjectName, Option<OwnerReference>>,
    jobs: HashMap<ObjectName, Option<OwnerReference>>,
}

impl Owners {
    pub fn new(objects: &Objects) -> Self {
        Self {
            replica_sets: objects.replica_sets.iter().map(|set| (ObjectName::of(&**set), controller(&**set))).collect(),
            jobs: objects.jobs.iter().map(|job| (ObjectName::of(&**job), controller(&**job))).collect(),
        }
    }

    pub fn workload(&self, pod: &Pod) -> Workload {
        let namespace = pod.namespace().unwrap_or_default();
        let workload = |owner: OwnerReference| Workload {
            kind: owner.kind.to_lowercase(),
            object: ObjectName::new(&namespace, owner.name),
        };
        // A static pod is owned by its node, which did not define it.
        let Some(owner) = controller(pod).filter(|owner| owner.kind != "Node") else {
            return Workload { kind: "pod".to_owned(), object: ObjectName::of(pod) };
        };
        let next = match owner.kind.as_str() {
            "ReplicaSet" => self.replica_sets.get(&ObjectName::new(&namespace, &owner.name)),
            "Job" => self.jobs.get(&ObjectName::new(&namespace, &owner.name)),
            _ => return workload(owner),
        };
        match next {
            Some(Some(next)) => workload(next.clone()),
            Some(None) => workload(owner),
            None => deployment_by_name(pod, &owner).unwrap_or_else(|| workload(owner)),
        }
    }
}

/// A deleted Deployment takes its ReplicaSets along before their pods have ended, and a new one's ReplicaSet may be
/// heard of after its pods. The Deployment's name is in the ReplicaSet's: name, dash, the hash that labels the pod.
fn deployment_by_name(pod: &Pod, owner: &OwnerReference) -> Option<Workload> {
    let hash = pod.labels().get("pod-template-hash")?;
    let name = owner.name.strip_suffix(hash)?.strip_suffix('-')?;
    let object = ObjectName::new(pod.namespace().unwrap_or_default(), name);
    Some(Workload { kind: "deployment".to_owned(), object })
}

fn controller(object: &impl Resource) -> Option<OwnerReference> {
    object.meta().owner_references.iter().flatten().find(|owner| owner.controller == Some(true)).cloned()
}
