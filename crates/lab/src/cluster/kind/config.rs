//! What `kind create cluster --config` is given, and what is read from it later: kind keeps no copy.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use lab_cli::network::{pods, services};
use serde::{Deserialize, Serialize};

use crate::cluster::SYNC_FREQUENCY;

/// Where containerd in a node looks how to reach each registry.
const REGISTRIES_IN_NODE: &str = "/etc/containerd/certs.d";

/// From 1.35 on a kubelet refuses a machine with cgroups of version 1 unless it is told so; it knows the word from 1.31 on.
const CGROUP_V1: &str = "failCgroupV1: false\n";

/// A cluster as kind's `v1alpha4` describes it; kind refuses fields that it does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    kind: String,
    api_version: String,
    name: String,
    networking: Networking,
    containerd_config_patches: Vec<String>,
    kubeadm_config_patches: Vec<String>,
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Networking {
    ip_family: String,
    pod_subnet: String,
    service_subnet: String,
    kube_proxy_mode: String,
    api_server_address: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    role: String,
    image: String,
    extra_mounts: Vec<Mount>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mount {
    host_path: String,
    container_path: String,
    read_only: bool,
}

impl Config {
    /// Cluster `number`: one control plane and `workers`, their registries described by files in `registries`.
    pub fn new(name: &str, number: u8, workers: u8, image: &str, registries: &Path) -> Self {
        let mount = Mount {
            host_path: registries.display().to_string(),
            container_path: REGISTRIES_IN_NODE.to_owned(),
            read_only: true,
        };
        let node =
            |role: &str| Node { role: role.to_owned(), image: image.to_owned(), extra_mounts: vec![mount.clone()] };
        let workers = (0..workers).map(|_| node("worker"));
        Self {
            kind: "Cluster".to_owned(),
            api_version: "kind.x-k8s.io/v1alpha4".to_owned(),
            name: name.to_owned(),
            networking: Networking {
                ip_family: "ipv4".to_owned(),
                pod_subnet: pods(number).to_string(),
                service_subnet: services(number).to_string(),
                // Not an eBPF one, which would rewrite a connection's address before the probe of lab 5 sees it.
                kube_proxy_mode: "iptables".to_owned(),
                api_server_address: "127.0.0.1".to_owned(),
            },
            // Node images from kind 0.27 on say so themselves, and a containerd that knows it under another name only warns.
            containerd_config_patches: vec![format!(
                "[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"{REGISTRIES_IN_NODE}\"\n"
            )],
            kubeadm_config_patches: vec![format!(
                "kind: KubeletConfiguration\n{CGROUP_V1}syncFrequency: {SYNC_FREQUENCY}\n"
            )],
            nodes: std::iter::once(node("control-plane")).chain(workers).collect(),
        }
    }

    /// The file's text.
    pub fn to_yaml(&self) -> Result<String> {
        serde_saphyr::to_string(self).context("failed to write kind's configuration as YAML")
    }

    /// The configuration that a cluster was made with; none if there is no such file.
    pub fn read(file: &Path) -> Option<Self> {
        serde_saphyr::from_str(&fs::read_to_string(file).ok()?).ok()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has the addresses of this cluster number.
    pub fn has_number(&self, number: u8) -> bool {
        self.networking.pod_subnet == pods(number).to_string()
    }

    pub fn workers(&self) -> usize {
        self.nodes.len().saturating_sub(1)
    }

    pub fn image(&self) -> &str {
        self.nodes.first().map_or("", |node| &node.image)
    }

    /// The nodes' names, as kind gives them.
    pub fn node_names(&self) -> Vec<String> {
        let workers = (1..=self.workers()).map(|index| match index {
            1 => format!("{}-worker", self.name),
            _ => format!("{}-worker{index}", self.name),
        });
        std::iter::once(format!("{}-control-plane", self.name)).chain(workers).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::new("ebpf", 1, 2, "kindest/node:v1.34.11@sha256:44e2", Path::new("/home/me/registries"))
    }

    #[test]
    fn the_configuration_that_kind_is_given() {
        insta::assert_snapshot!(config().to_yaml().unwrap());
    }

    #[test]
    fn what_was_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kind.yaml");
        assert_eq!(Config::read(&file), None);
        fs::write(&file, config().to_yaml().unwrap()).unwrap();
        let read = Config::read(&file).unwrap();
        assert_eq!(read, config());
        assert!(read.has_number(1) && !read.has_number(11));
        assert_eq!((read.workers(), read.image()), (2, "kindest/node:v1.34.11@sha256:44e2"));
    }

    #[test]
    fn nodes_are_named_as_kind_names_them() {
        assert_eq!(config().node_names(), ["ebpf-control-plane", "ebpf-worker", "ebpf-worker2"]);
        let one = Config::new("room", 3, 1, "image", Path::new("/x"));
        assert_eq!(one.node_names(), ["room-control-plane", "room-worker"]);
    }
}
