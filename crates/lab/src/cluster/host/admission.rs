//! What pods may ask for in a namespace that says nothing of it: the API server's own Pod Security.
//!
//! A pod with a folder or a namespace of the node is root on the student's machine. The labs' namespaces that need such pods say so
//! by their labels.

use serde_json::{Value, json};

/// The file that the API server is given (<https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-admission-controller>).
pub fn config() -> Value {
    json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [{
            "name": "PodSecurity",
            "configuration": {
                "apiVersion": "pod-security.admission.config.k8s.io/v1",
                "kind": "PodSecurityConfiguration",
                "defaults": { "enforce": "baseline", "enforce-version": "latest" },
            },
        }],
    })
}
