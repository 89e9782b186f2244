//! What `lab --on kind` says where something is in the way, and that nothing is half-made then. What the machine at hand can't
//! show (Docker Desktop, a rootless engine, a kind that is too old) comes from recorded shims on PATH: scripts that print what
//! the real programs printed, and note how they were called.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use assert_cmd::Command;
use testkit::{program, until};

/// Docker 28 as root on this machine; NAME is its host's.
const DOCKER: &str = r#"info*) printf '{"ServerVersion":"28.2.2","CgroupVersion":"2","Name":"%s","DockerRootDir":"/var/lib/docker","SecurityOptions":["name=seccomp,profile=builtin"]}' "$NAME" ;;"#;
const NO_NODES: &str = "ps*) ;;";
const NO_NETWORK: &str =
    r#"'network inspect'*) echo 'Error response from daemon: network kind not found' >&2; exit 1 ;;"#;
const IMAGE_IS_THERE: &str = "'image inspect'*) echo '[]' ;;";
const GRANTS_BPF: &str = r"'run --rm --privileged'*) printf 'Name:\tcat\nCapBnd:\t000001ffffffffff\n' ;;";
const NEW_KIND: &str = "version*) echo 'kind v0.99.1 go1.26.8 linux/amd64' ;;";
const LOGS: &str = "'export logs'*) echo 'Exporting logs' ;;";
const DELETE: &str = "'delete cluster'*) echo 'Deleting cluster \"ebpf\" ...' >&2 ;;";

/// A machine of its own: no programs but those put on its PATH, no cluster.
struct World {
    folder: tempfile::TempDir,
    profile: &'static str,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["shims", "programs", "bin"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder, profile: "offline" }
    }

    /// A program whose answers are the branches of a `case "$*"`; anything else it is asked is an error.
    fn shim(self, name: &str, branches: &[&str]) -> Self {
        let text = format!(
            "#!/bin/sh\nprintf '%s\\n' \"{name} $* ($KIND_EXPERIMENTAL_PROVIDER)\" >> {calls}\nNAME=${{NAME-$HOSTNAME}}\n\
             case \"$*\" in\n{branches}\n*) echo \"{name}: not recorded: $*\" >&2; exit 99 ;;\nesac\n",
            calls = self.path("calls").display(),
            branches = branches.join("\n"),
        );
        self.program(&format!("shims/{name}"), &text)
    }

    fn program(self, path: &str, text: &str) -> Self {
        program(&self.path(path), text);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn lab(&self, arguments: &[&str]) -> Command {
        let mut lab = Command::cargo_bin("lab").unwrap();
        lab.args(["--on", "kind", "--profile", self.profile, "--timeout", "2s"]).args(arguments);
        lab.env("EBPF_LAB_CHECKOUT", Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).env("NO_COLOR", "1");
        for (name, folder) in [("CACHE", "cache"), ("STATE", "state"), ("BIN", "bin"), ("PROGRAMS", "programs")] {
            lab.env(format!("EBPF_LAB_{name}"), self.path(folder));
        }
        let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        lab.env("HOSTNAME", hostname.trim()).env("KUBECONFIG", self.path("kubeconfig")).env("PATH", self.path("shims"));
        lab.env_remove("KIND_EXPERIMENTAL_PROVIDER").env_remove("DOCKER_HOST");
        lab
    }

    /// `lab ARGUMENTS` ends with this code and says all of these words; answers everything that it said.
    #[track_caller]
    fn says(&self, arguments: &[&str], code: i32, words: &[&str]) -> String {
        let assert = self.lab(arguments).assert().code(code);
        let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        for word in words {
            assert!(said.contains(word), "{arguments:?} does not say {word:?}:\n{said}");
        }
        assert!(!said.contains("panicked") && !said.contains("not recorded"), "{said}");
        said
    }

    /// How the shims were called, one call a line.
    fn calls(&self) -> String {
        fs::read_to_string(self.path("calls")).unwrap_or_default()
    }

    /// No cluster was begun, and nothing of one is kept.
    #[track_caller]
    fn nothing_is_made(&self) {
        assert!(!self.calls().contains("kind create"), "{}", self.calls());
        self.nothing_is_left();
    }

    #[track_caller]
    fn nothing_is_left(&self) {
        for file in ["kind.yaml", "kubeconfig", "registries"] {
            assert!(!self.path("state/kind-ebpf").join(file).exists(), "{file} is left");
        }
        assert!(!self.path("kubeconfig").exists(), "the user's kubeconfig was made");
    }
}

/// A machine on which all is well, until kind is to make the cluster.
fn fit(world: World) -> World {
    world.shim("docker", &[DOCKER, NO_NODES, NO_NETWORK, IMAGE_IS_THERE, GRANTS_BPF])
}

#[test]
fn without_an_engine_or_kind_the_host_cluster_is_named() {
    World::new().says(&["lab", "2"], 4, &["neither Docker nor Podman is on PATH", "--on host"]);
    let world = fit(World::new());
    world.says(&["lab", "2"], 4, &["kind is not on PATH", "--on host"]);
    world.nothing_is_made();
}

#[test]
fn a_docker_that_does_not_answer_as_recorded() {
    let down = r#"info*) echo '{"ID":"","ServerVersion":""}'; echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?' >&2; exit 1 ;;"#;
    let world = World::new().shim("docker", &[down]).shim("kind", &[NEW_KIND]);
    world.says(&["lab", "2"], 4, &["Docker does not answer: Cannot connect", "systemctl start docker", "--on host"]);
    world.nothing_is_made();
    let said = world.says(&["status"], 0, &[]);
    assert_eq!(said, "", "status shows what there is, also without an engine");
    world.says(&["clean"], 0, &["nothing to remove"]);
}

#[test]
fn a_rootless_docker_as_recorded() {
    let rootless = r#"info*) printf '{"ServerVersion":"28.2.2","CgroupVersion":"2","Name":"%s","SecurityOptions":["name=seccomp","name=rootless","name=cgroupns"]}' "$NAME" ;;"#;
    let world = World::new().shim("docker", &[rootless]).shim("kind", &[NEW_KIND]);
    world.says(&["lab", "2"], 4, &["runs rootless", "user namespace", "docker context use default"]);
    world.nothing_is_made();
}

#[test]
fn a_kind_and_a_docker_that_are_too_old_as_recorded() {
    let world = fit(World::new()).shim("kind", &["version*) echo 'kind v0.20.0 go1.20.4 linux/amd64' ;;"]);
    world.says(&["lab", "2"], 4, &["kind 0.20.0 is too old", "https://kind.sigs.k8s.io"]);
    world.nothing_is_made();
    let old = DOCKER.replace("28.2.2", "19.03.15");
    let world = World::new().shim("docker", &[&old]).shim("kind", &[NEW_KIND]);
    world.says(&["lab", "2"], 4, &["Docker 19.3.15 is too old for kind"]);
    world.nothing_is_made();
}

#[test]
fn a_docker_20_that_withholds_cap_bpf_as_recorded() {
    let without = GRANTS_BPF.replace("000001ffffffffff", "0000003fffffffff");
    let old = DOCKER.replace("28.2.2", "20.10.24+dfsg1");
    let world = World::new().shim("docker", &[&old, NO_NODES, NO_NETWORK, IMAGE_IS_THERE, &without]);
    let world = world.shim("kind", &[NEW_KIND]);
    world.says(&["lab", "2"], 4, &["Docker 20.10.24 gives containers no CAP_BPF", "Docker 23 or newer"]);
    world.nothing_is_made();
}

#[test]
fn the_hubs_limit_as_recorded() {
    let no_image = "'image inspect'*) echo 'Error: No such image' >&2; exit 1 ;;";
    let limit = "pull*) echo 'Error response from daemon: toomanyrequests: You have reached your pull rate limit.' >&2; exit 1 ;;";
    let world = World::new().shim("docker", &[DOCKER, NO_NODES, NO_NETWORK, no_image, limit]);
    let world = world.shim("kind", &[NEW_KIND]);
    world.says(&["lab", "2"], 4, &["can't be pulled", "docker.io limits how much", "--on host"]);
    world.nothing_is_made();
}

#[test]
fn subnets_that_clash_as_recorded() {
    for (text, words) in [
        ("Pool overlaps with other one on this address space", "taken by another container network"),
        (
            "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
            "a VPN",
        ),
    ] {
        let create = format!(
            "'create cluster'*) echo 'ERROR: failed to create cluster: failed to ensure docker network: command \"docker network create -d=bridge kind\" \
             failed with error: exit status 1' >&2; echo 'Command Output: Error response from daemon: {text}' >&2; exit 1 ;;"
        );
        let world = fit(World::new()).shim("kind", &[NEW_KIND, &create, LOGS, DELETE]);
        world.says(&["lab", "2"], 4, &[words, text, "docker network create kind --subnet"]);
        assert!(world.calls().contains("kind delete cluster --name ebpf"), "what was begun is taken away");
        world.nothing_is_left();
    }
}

#[test]
fn a_kubelet_that_refuses_the_cgroups_as_recorded() {
    let create =
        "'create cluster'*) echo 'ERROR: failed to create cluster: failed to init node with kubeadm' >&2; exit 1 ;;";
    // What `kind export logs` leaves of the node.
    let logs = r#"'export logs'*) for last in "$@"; do :; done; echo 'E1125 run.go:72] "command failed" err="kubelet is configured to not run on a host using cgroup v1. cgroup v1 support is in maintenance mode"' > "$last/kubelet.log" ;;"#;
    let world = fit(World::new()).shim("kind", &[NEW_KIND, create, logs, DELETE]);
    world.says(&["lab", "2"], 4, &["refuses this machine's cgroups", "--node-image", "the nodes' logs: "]);
    world.nothing_is_left();
}

#[test]
fn podman_alone_is_used_and_kind_told_so_as_recorded() {
    let podman = r#"info*) printf '{"host":{"cgroupVersion":"v2","hostname":"%s","security":{"rootless":false}},"store":{"graphRoot":"/var/lib/containers/storage"},"version":{"Version":"5.4.2"}}' "$NAME" ;;"#;
    let network = r#"'network inspect'*) echo '[{"name":"kind","id":"f0","subnets":[{"subnet":"fc00:f853:ccd:e793::/64"},{"subnet":"10.89.0.0/24","gateway":"10.89.0.1"}],"containers":{}}]' ;;"#;
    let create = "'create cluster'*) echo 'ERROR: no more was recorded' >&2; exit 1 ;;";
    let world = World::new().shim("podman", &[podman, NO_NODES, network, IMAGE_IS_THERE, GRANTS_BPF]);
    let world = world.shim("kind", &[NEW_KIND, create, LOGS, DELETE]);
    world.says(&["lab", "2"], 4, &["no more was recorded"]);
    assert!(world.calls().lines().any(|call| call.starts_with("kind create") && call.ends_with("(podman)")));
}

/// Nodes of a whole cluster of ours, its configuration and its kubeconfig.
fn whole(world: World, more_of_docker: &[&str], kind: &[&str]) -> World {
    let folder = world.path("state/kind-ebpf");
    let registries = folder.join("registries");
    fs::create_dir_all(&registries).unwrap();
    let names = ["ebpf-control-plane", "ebpf-worker", "ebpf-worker2"];
    let node = |name: &str| serde_json::json!({ "Id": name, "Name": format!("/{name}"), "State": { "Running": true }, "Mounts": [{ "Source": registries }] });
    let inspect = format!("'container inspect'*) printf '%s' '{}' ;;", serde_json::json!(names.map(node)));
    let snapshot = include_str!(
        "../src/cluster/kind/snapshots/lab__cluster__kind__config__tests__the_configuration_that_kind_is_given.snap"
    );
    fs::write(folder.join("kind.yaml"), snapshot.splitn(3, "---\n").nth(2).unwrap()).unwrap();
    let kubeconfig = "{apiVersion: v1, kind: Config, clusters: [{name: ebpf, cluster: {server: 'https://127.0.0.1:1'}}], \
                      users: [{name: ebpf, user: {}}], contexts: [{name: ebpf, context: {cluster: ebpf, user: ebpf}}]}";
    fs::write(folder.join("kubeconfig"), kubeconfig).unwrap();
    let ids = format!("'ps --all --quiet --no-trunc'*) echo '{}' ;;", names.join(" "));
    let docker = [&[DOCKER, &ids, &inspect], more_of_docker].concat();
    world.shim("docker", &docker).shim("kind", &[&[NEW_KIND], kind].concat())
}

/// Programs that are none, good enough to make images of.
fn with_programs(mut world: World) -> World {
    fs::create_dir(world.path("programs/bin")).unwrap();
    for name in [
        "controller",
        "speaker",
        "operator",
        "prometheus-config-reloader",
        "kube-state-metrics",
        "prometheus",
        "node_exporter",
    ] {
        world = world.program(&format!("programs/bin/{name}"), "#!/bin/sh\n");
    }
    for name in ["bookinfo", "kebpf"] {
        world = world.program(&format!("bin/{name}"), "#!/bin/sh\n");
    }
    world.program("bin/bee", "#!/bin/sh\nfor last in \"$@\"; do :; done\necho object > \"$last\"\n")
}

#[test]
fn loads_that_fail_as_recorded() {
    let nothing = r#"exec*) echo 'REF TYPE DIGEST SIZE PLATFORMS LABELS' ;;"#;
    for (text, words) in [
        (
            "failed to detect containerd snapshotter: unknown containerd config version: 4",
            "this kind is older than the image of its nodes",
        ),
        (
            "failed to load image: ctr: content digest sha256:2fb2e22f1a6e1d3b8d2a8fa9b3d8b8f3b1a8b1c1: not found",
            "docker save --platform linux/amd64",
        ),
    ] {
        let load = format!("'load image-archive'*) echo 'ERROR: {text}' >&2; exit 1 ;;");
        let world = with_programs(whole(World::new(), &[nothing], &[&load]));
        world.says(&["images", "load"], 4, &[words, text]);
        let loads = world.calls().lines().filter(|call| call.starts_with("kind load")).count();
        assert_eq!(loads, 1, "all images in one archive");
    }
}

#[test]
fn images_that_every_node_has_are_not_loaded_again_as_recorded() {
    // First the real digests, as `images` lists them; then a node that has them.
    let world = with_programs(whole(World::new(), &[], &[]));
    let list = world.lab(&["images", "--json"]).assert().success();
    let list: serde_json::Value = serde_json::from_slice(&list.get_output().stdout).unwrap();
    let lines = list["images"].as_array().unwrap().iter().map(|image| {
        format!(
            "{} application/vnd.oci.image.manifest.v1+json {} 1 MiB linux/amd64 -",
            image["reference"].as_str().unwrap(),
            image["digest"].as_str().unwrap()
        )
    });
    let known = lines.collect::<Vec<_>>().join("\n");
    let world = whole(world, &[&format!("exec*) printf '%s\\n' '{known}' ;;")], &[]);
    world.says(&["images", "load"], 0, &["the nodes have all of them"]);
    assert!(!world.calls().contains("kind load"), "{}", world.calls());
}

#[test]
fn docker_desktop_needs_cloud_provider_kind_and_then_serves_ports_of_this_machine_as_recorded() {
    let desktop = DOCKER.replace("\"$NAME\"", "docker-desktop");
    let world = World::new().shim("docker", &[&desktop, NO_NODES, NO_NETWORK, IMAGE_IS_THERE, GRANTS_BPF]);
    let world = world.shim("kind", &[NEW_KIND]);
    world.says(&["lab", "2"], 4, &["out of this machine's reach", "go install sigs.k8s.io/cloud-provider-kind@latest"]);
    world.nothing_is_made();

    let published = "port*) echo '0.0.0.0:49153' ;;";
    let balancer = "'ps --quiet --filter label=io.x-k8s.cloud-provider-kind.loadbalancer.name=ebpf/default/kebpf'*) echo c0ffee ;;";
    let theirs =
        "'ps --all --quiet --filter label=io.x-k8s.cloud-provider-kind.cluster=ebpf'*) echo c0ffee ;;\nrm*) ;;";
    let docker = [IMAGE_IS_THERE, NO_NETWORK, balancer, theirs, published];
    let world = whole(World::new(), &docker, &[DELETE]);
    let world =
        world.program("shims/cloud-provider-kind", "#!/bin/sh\ntrap 'kill $!; exit' TERM\n/bin/sleep 3600 &\nwait\n");
    let text = fs::read_to_string(world.path("shims/docker")).unwrap().replace("\"$NAME\"", "docker-desktop");
    let world = world.program("shims/docker", &text);
    let open = world.lab(&["open"]).assert().success();
    assert_eq!(String::from_utf8_lossy(&open.get_output().stdout), "http://127.0.0.1:49153\n");

    // It is started once, outlives the lab (whose API server was not recorded), and ends with the cluster.
    world.says(&["lab", "2"], 1, &["waiting for the API server"]);
    let pid = fs::read_to_string(world.path("state/kind-ebpf/cloud-provider-kind.pid")).unwrap();
    let runs = || fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
    assert!(runs());
    world.says(&["lab", "2"], 1, &[]);
    assert_eq!(
        fs::read_to_string(world.path("state/kind-ebpf/cloud-provider-kind.pid")).unwrap(),
        pid,
        "not a second one"
    );
    world.says(&["clean"], 0, &["removed"]);
    assert!(until(Duration::from_secs(5), || !runs()));
    assert!(world.calls().contains("docker rm --force c0ffee"), "what it ran goes with it");
}

#[test]
fn caches_stand_on_the_nodes_network_with_images_from_registries_as_recorded() {
    // kind makes the cluster and writes its kubeconfig; of the cluster itself nothing was recorded.
    let create = r#"'create cluster'*) for word in "$@"; do [ "$before" != --kubeconfig ] || file=$word; before=$word; done
        echo '{"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "kind-ebpf", "cluster": {"server": "https://127.0.0.1:1"}}],
               "users": [{"name": "kind-ebpf", "user": {}}], "contexts": [{"name": "kind-ebpf", "context": {"cluster": "kind-ebpf", "user": "kind-ebpf"}}]}' > "$file" ;;"#;
    let no_cache = "'container inspect --format'*) echo 'Error: No such container' >&2; exit 1 ;;\nrm*) exit 1 ;;";
    let docker =
        [DOCKER, NO_NODES, NO_NETWORK, IMAGE_IS_THERE, GRANTS_BPF, no_cache, "'run --detach'*) echo c0ffee ;;"];
    let world = World::new().shim("docker", &docker).shim("kind", &[NEW_KIND, create, DELETE]);
    let world = World { profile: "upstream", ..world };
    world.says(&["lab", "2"], 1, &["waiting for the API server"]);
    for registry in ["docker.io", "quay.io", "registry.k8s.io"] {
        let run = format!("--name ebpf-lab-cache-{registry} --network kind --restart unless-stopped");
        assert!(world.calls().contains(&run), "{}", world.calls());
        let hosts = world.path("state/kind-ebpf/registries").join(registry).join("hosts.toml");
        assert!(fs::read_to_string(hosts).unwrap().contains(&format!("http://ebpf-lab-cache-{registry}:5000")));
    }
    assert!(world.calls().contains("REGISTRY_PROXY_REMOTEURL=https://registry-1.docker.io"));
    let kubeconfig = fs::read_to_string(world.path("state/kind-ebpf/kubeconfig")).unwrap();
    assert!(kubeconfig.contains("\"current-context\": \"ebpf\"") && !kubeconfig.contains("kind-ebpf"), "{kubeconfig}");
}
