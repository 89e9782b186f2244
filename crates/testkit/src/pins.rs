//! Versions that the clusters of the tests must have, from where they are pinned.

use std::{fs, path::Path};

/// Of Kubernetes, such as `v1.99.1`, as a go.mod in `kubernetes` has it.
pub fn kubernetes(checkout: &Path, go_mod: &str) -> String {
    let text = fs::read_to_string(checkout.join("kubernetes").join(go_mod)).expect("the go.mod of Kubernetes");
    let version = text.lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes "));
    version.expect("a go.mod that requires Kubernetes").to_owned()
}
