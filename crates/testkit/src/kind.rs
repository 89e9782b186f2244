//! Real kind where no image registry is in reach: a container engine of the tests' own and an image of nodes made from our Go
//! programs, by the scripts of `kind-node` beside the checkout.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use lab_cli::Paths;

use crate::pins;

/// A user's kubeconfig, which nothing here may change: its current context leads nowhere.
const KUBECONFIG: &str = "{apiVersion: v1, kind: Config, current-context: trap, clusters: [{name: trap, cluster: \
                          {server: 'https://127.0.0.1:1'}}], users: [], contexts: [{name: trap, context: {cluster: trap, user: trap}}]}\n";

/// A Docker engine of the tests' own; it ends with the value.
pub struct Engine {
    scripts: PathBuf,
    folder: PathBuf,
    docker_host: OsString,
}

impl Engine {
    /// Where the scripts are, if they are.
    pub fn scripts(checkout: &Path) -> Option<PathBuf> {
        let scripts = checkout.join("../shared/kind-node").canonicalize().ok()?;
        scripts.join("engine").is_file().then_some(scripts)
    }

    pub fn start(paths: &Paths) -> Self {
        let scripts = Self::scripts(&paths.checkout).expect("../shared/kind-node stands beside the checkout");
        let folder = paths.cache.join("kind-node");
        fs::create_dir_all(&folder).unwrap();
        let started = said(Command::new(scripts.join("engine")).arg("start").arg(folder.join("engine")));
        let docker_host = started.trim().strip_prefix("DOCKER_HOST=").expect("the engine says where it listens").into();
        Self { scripts, folder, docker_host }
    }

    /// `docker` on this engine.
    pub fn docker(&self) -> Command {
        let mut docker = Command::new("docker");
        docker.env("DOCKER_HOST", &self.docker_host);
        docker
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = Command::new(self.scripts.join("engine")).arg("stop").arg(self.folder.join("engine")).status();
    }
}

/// An engine that has the image of nodes.
pub struct KindNode {
    engine: Engine,
    /// Its tag is what kind takes for its version.
    image: String,
}

impl KindNode {
    /// Starts the engine and makes the image; its parts are cached from one run to the next.
    pub fn start(paths: &Paths) -> Self {
        let engine = Engine::start(paths);
        fs::write(engine.folder.join("kubeconfig"), KUBECONFIG).unwrap();
        let hyperkube = paths.programs.join("bin/hyperkube");
        let mut build = Command::new(engine.scripts.join("build"));
        let image = format!("localhost/ebpf-lab-test/kind-node:{}", pins::kubernetes(&paths.checkout, "go.mod"));
        said(build.arg(hyperkube).arg(&image).arg(engine.folder.join("image")).env("DOCKER_HOST", &engine.docker_host));
        Self { engine, image }
    }

    pub fn image(&self) -> &str {
        &self.image
    }

    /// What `lab` and docker need to know of it.
    pub fn environment(&self) -> Vec<(String, OsString)> {
        vec![
            ("DOCKER_HOST".to_owned(), self.engine.docker_host.clone()),
            ("KUBECONFIG".to_owned(), self.engine.folder.join("kubeconfig").into()),
        ]
    }

    /// `docker ARGS…` on this engine.
    #[track_caller]
    pub fn docker(&self, args: &[&str]) -> String {
        said(self.engine.docker().args(args))
    }

    /// Whether the kubeconfig that stands for the user's is as it was.
    pub fn kubeconfig_is_untouched(&self) -> bool {
        fs::read_to_string(self.engine.folder.join("kubeconfig")).is_ok_and(|text| text == KUBECONFIG)
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

#[track_caller]
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
