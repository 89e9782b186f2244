//! The container engine that kind uses, and kind itself, as commands.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use lab_cli::{
    Version,
    engine::{self, Program},
    network::Network,
};
use serde_json::Value;

use crate::{
    cmd::{Cmd, Here},
    error::refusal,
};

/// kind writes it on every container of a cluster.
const CLUSTER_LABEL: &str = "io.x-k8s.kind.cluster";
/// Bits of the kernel's capability sets.
const CAP_PERFMON: u64 = 1 << 38;
const CAP_BPF: u64 = 1 << 39;

/// An engine that answers and will do.
#[derive(Debug, Clone)]
pub struct Engine {
    engine: engine::Engine,
}

/// A node's container.
#[derive(Debug, PartialEq, Eq)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub running: bool,
    /// Its address on the nodes' network, while it runs.
    pub address: Option<Ipv4Addr>,
    mounts: Vec<PathBuf>,
}

impl Engine {
    /// Docker, or else Podman.
    ///
    /// # Errors
    /// There is none, or one that can't carry the labs; what fixes it is said.
    pub fn find() -> Result<Self> {
        let engine = engine::Engine::find(&Here).map_err(refusal)?;
        engine.obstacle().map_or(Ok(Self { engine }), |obstacle| Err(refusal(obstacle)))
    }

    /// Whether its networks are this machine's.
    pub fn is_local(&self) -> bool {
        self.engine.local
    }

    /// A command of the engine.
    pub fn command(&self, arguments: &[&str]) -> Cmd {
        Cmd::new(self.engine.program.command()).args(arguments)
    }

    /// A command of kind on this engine, which may write this kubeconfig and no other.
    pub fn kind(&self, arguments: &[&str], kubeconfig: &Path) -> Cmd {
        let kind = Cmd::new("kind").args(arguments).env("KUBECONFIG", kubeconfig);
        match self.engine.program {
            Program::Docker => kind,
            Program::Podman => kind.env("KIND_EXPERIMENTAL_PROVIDER", "podman"),
        }
    }

    /// The containers of a kind cluster, running or not, by their names.
    pub fn nodes(&self, cluster: &str) -> Result<Vec<Container>> {
        let label = format!("label={CLUSTER_LABEL}={cluster}");
        let ids = self.command(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &label]).read()?;
        let ids: Vec<_> = ids.split_whitespace().collect();
        if ids.is_empty() {
            return Ok(vec![]);
        }
        Container::read(&self.command(&["container", "inspect"]).args(ids).read()?)
    }

    /// The names of all kind clusters on this engine, whoever made them.
    pub fn clusters(&self) -> Result<Vec<String>> {
        let filter = format!("label={CLUSTER_LABEL}");
        let names = self.command(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]).read()?;
        Ok(names.lines().filter_map(|name| Some(name.strip_suffix("-control-plane")?.to_owned())).collect())
    }

    /// The network of kind's nodes; none before the first cluster.
    pub fn network(&self) -> Result<Option<Network>> {
        let output = self.command(&["network", "inspect", &network_name()]).output()?;
        if !output.status.success() {
            return Ok(None);
        }
        Network::read(&String::from_utf8_lossy(&output.stdout)).map(Some)
    }

    pub fn has_image(&self, image: &str) -> Result<bool> {
        Ok(self.command(&["image", "inspect", image]).output()?.status.success())
    }

    /// Refuses an engine whose privileged containers lack what a pod needs to load a probe: seen in a container of the nodes'
    /// image, because only trying it tells.
    pub fn refuse_without_bpf(&self, image: &str) -> Result<()> {
        let run = ["run", "--rm", "--privileged", "--network=none", "--entrypoint=cat", image, "/proc/self/status"];
        let status = self.command(&run).read().context("failed to start a privileged container of the nodes' image")?;
        if grants_bpf(&status) { Ok(()) } else { Err(refusal(engine::withheld_bpf(&self.engine.to_string()))) }
    }
}

impl Container {
    /// Reads what `container inspect` prints, of Docker and Podman alike.
    fn read(text: &str) -> Result<Vec<Self>> {
        let containers: Vec<Value> =
            serde_json::from_str(text).context("failed to read the description of containers")?;
        let mut containers: Vec<_> = containers.iter().map(Self::of).collect();
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(containers)
    }

    fn of(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mounts = value["Mounts"].as_array().into_iter().flatten();
        Self {
            id: text(&value["Id"]),
            name: text(&value["Name"]).trim_start_matches('/').to_owned(),
            running: value["State"]["Running"] == true,
            address: value["NetworkSettings"]["Networks"][network_name()]["IPAddress"]
                .as_str()
                .and_then(|ip| ip.parse().ok()),
            mounts: mounts.map(|mount| text(&mount["Source"]).into()).collect(),
        }
    }

    /// Whether a folder of the machine is mounted into it.
    pub fn mounts(&self, folder: &Path) -> bool {
        self.mounts.iter().any(|source| source == folder)
    }
}

/// The version of kind.
pub fn kind_version() -> Result<Version> {
    engine::kind(&Here).map_err(refusal)
}

/// kind's own choice of the network.
pub fn network_name() -> String {
    std::env::var("KIND_EXPERIMENTAL_DOCKER_NETWORK").unwrap_or_else(|_| "kind".to_owned())
}

/// Reads the bounding set from a `/proc/PID/status`.
fn grants_bpf(status: &str) -> bool {
    let set = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap_or_default();
    u64::from_str_radix(set.trim(), 16).is_ok_and(|set| set & CAP_BPF != 0 && set & CAP_PERFMON != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_read_with_their_mounts_and_addresses() {
        let text = r#"[{"Id": "b", "Name": "/ebpf-worker", "State": {"Running": false}, "NetworkSettings": {"Networks": {"kind": {"IPAddress": ""}}},
                        "Mounts": [{"Type": "bind", "Source": "/home/me/registries"}, {"Source": "/lib/modules"}]},
                       {"Id": "a", "Name": "ebpf-control-plane", "State": {"Running": true},
                        "NetworkSettings": {"Networks": {"kind": {"IPAddress": "172.18.0.3"}}}}]"#;
        let [control_plane, worker] = <[Container; 2]>::try_from(Container::read(text).unwrap()).unwrap();
        assert_eq!((control_plane.name.as_str(), worker.name.as_str()), ("ebpf-control-plane", "ebpf-worker"));
        assert_eq!((control_plane.running, worker.running), (true, false));
        assert_eq!((control_plane.address, worker.address), (Some([172, 18, 0, 3].into()), None));
        assert!(worker.mounts(Path::new("/home/me/registries")) && !control_plane.mounts(Path::new("/home/me")));
    }

    #[test]
    fn capabilities_are_read_from_what_the_kernel_says_of_a_process() {
        let status = |set: &str| format!("Name:\tcat\nCapEff:\t0000000000000000\nCapBnd:\t{set}\n");
        assert!(grants_bpf(&status("000001ffffffffff")));
        assert!(!grants_bpf(&status("0000003fffffffff")), "Docker 20.10's privileged containers");
        assert!(!grants_bpf(""));
    }
}
