//! Real kind where no image registry is in reach: a container engine of the tests' own and an image of nodes made from our Go
//! programs. Only tests need any of it; a user's kind has an engine and pulls its nodes.

mod engine;
mod node_image;

pub use engine::Engine;

use std::{ffi::OsString, fs, path::PathBuf};

use lab_cli::Paths;

use crate::{pins, program::said};

/// A user's kubeconfig, which nothing here may change: its current context leads nowhere.
const KUBECONFIG: &str = "{apiVersion: v1, kind: Config, current-context: trap, clusters: [{name: trap, cluster: \
                          {server: 'https://127.0.0.1:1'}}], users: [], contexts: [{name: trap, context: {cluster: trap, user: trap}}]}\n";

/// An engine that has the image of nodes.
pub struct KindNode {
    engine: Engine,
    /// The one that no test may change.
    kubeconfig: PathBuf,
    /// Its tag is what kind takes for its version.
    image: String,
}

impl KindNode {
    /// Starts the engine and makes the image; its parts are cached from one run to the next.
    pub fn start(paths: &Paths) -> Self {
        let engine = Engine::start(paths);
        let folder = paths.cache.join("kind-node");
        let kubeconfig = folder.join("kubeconfig");
        fs::write(&kubeconfig, KUBECONFIG).unwrap();
        let version = pins::kubernetes(&paths.checkout, "go.mod");
        let image = format!("localhost/ebpf-lab-test/kind-node:{version}");
        node_image::build(&engine, paths, &folder.join("image"), &image, &version);
        Self { engine, kubeconfig, image }
    }

    pub fn image(&self) -> &str {
        &self.image
    }

    /// What `lab` and docker need to know of it.
    pub fn environment(&self) -> Vec<(String, OsString)> {
        vec![
            ("DOCKER_HOST".to_owned(), self.engine.docker_host()),
            ("KUBECONFIG".to_owned(), self.kubeconfig.clone().into()),
        ]
    }

    /// `docker ARGS…` on this engine.
    #[track_caller]
    pub fn docker(&self, args: &[&str]) -> String {
        said(self.engine.docker().args(args))
    }

    /// Whether the kubeconfig that stands for the user's is as it was.
    pub fn kubeconfig_is_untouched(&self) -> bool {
        fs::read_to_string(&self.kubeconfig).is_ok_and(|text| text == KUBECONFIG)
    }

    /// The first two numbers of the addresses of the nodes' network, such as `172.18`; none before the first cluster.
    pub fn network(&self) -> Option<String> {
        let name = self.docker(&["network", "ls", "--quiet", "--filter", "name=^kind$"]);
        let name = name.lines().next()?;
        let subnets =
            self.docker(&["network", "inspect", name, "--format", "{{range .IPAM.Config}}{{.Subnet}} {{end}}"]);
        let subnet = subnets.split_whitespace().find(|subnet| subnet.contains('.'))?;
        Some(subnet.split('.').take(2).collect::<Vec<_>>().join("."))
    }
}
