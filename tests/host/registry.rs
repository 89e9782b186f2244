//! `--registry`: nodes that pull the labs' images. The registry is Debian's, with TLS and an authority of its own, of which the
//! nodes are told as a user would tell them.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    process::{Command, Stdio},
    time::Duration,
};

use testkit::{
    TestCluster, TestRegistry, machine,
    registry::{Wants, trust},
    until,
};

use crate::{
    Scene,
    context::{on, ordinary_kubeconfig},
};

pub const SCENES: &[(&str, Scene)] = &[
    ("labs_run_on_a_context_whose_nodes_pull_each_image_by_its_digest", pulled),
    ("plain_http_to_another_machine_is_spoken_only_when_asked_for", plain_http),
];

fn pulled(cluster: &TestCluster) {
    cluster.lab(&["clean"]).succeeds();
    let state = tempfile::tempdir().unwrap();
    let owner = TestCluster::of(cluster.number).with_state(state.path());
    // The address at which nodes reach this machine is there once they are; until then the registry is on loopback.
    let host = host(cluster);
    let registry =
        TestRegistry::start("127.0.0.1:0".parse().unwrap(), Wants { tls: true, also: Some(host), ..Wants::default() });
    let authority = registry.authority();
    let push = ["images", "push", &registry.host(), "--registry-ca", authority.to_str().unwrap()];
    let run = owner.lab(&push).succeeds();
    eprintln!("the labs' images pushed in {:.1} s", run.took.as_secs_f64());

    let at = SocketAddr::new(host, registry.port()).to_string();
    trust(&owner, &at, &authority);
    let mut lab = owner.command(&["lab", "2", "--registry", &at]);
    let lab = lab.env("SSL_CERT_FILE", &authority).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(until(Duration::from_secs(30), || has_address(host)), "the cluster gives this machine no address");
    let registry = registry.moved_to(at.parse().unwrap());
    let output = lab.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("can't be asked"), "it sees that the registry has the images: {said}");
    let loaded = names(&owner, "localhost/ebpf-lab/");
    assert_eq!(loaded, ["coredns:lab", "pause:lab"].map(str::to_owned).into(), "the rest is not loaded but pulled");

    let kubeconfig = ordinary_kubeconfig(&owner);
    let stranger = |arguments: &[&str]| {
        let arguments = [arguments, &["--registry", &at, "--profile", "offline"]].concat();
        on(cluster, &kubeconfig, "context:classroom", &arguments).succeeds()
    };
    let run = stranger(&["lab", "2-6"]);
    assert!(!run.stderr.contains("must have the labs' images"), "{}", run.stderr);
    assert!(run.stderr.contains("can't be asked") && run.stderr.contains("UnknownIssuer"), "{}", run.stderr);
    assert!(stranger(&["lab", "3-4"]).stderr.contains("nothing to do"), "a second run applies the same");
    stranger(&["check", "2-6", "--wait", "30s"]);

    let text =
        owner.kubectl(&["get", "pods", "-A", "-o", "jsonpath={range .items[*]}{.spec.containers[*].image} {end}"]);
    let (pulled, others): (BTreeSet<_>, BTreeSet<_>) =
        text.split_whitespace().partition(|image| image.starts_with(&format!("{at}/ebpf-lab/")));
    assert_eq!(others, ["localhost/ebpf-lab/coredns:lab"].into(), "every other image is the registry's");
    assert_eq!(pulled.len(), 10, "{pulled:?}");
    let asked = registry.requests();
    for image in pulled {
        let (name, digest) = image.strip_prefix(&format!("{at}/")).unwrap().split_once('@').expect("by digest");
        let manifest = format!("GET /v2/{name}/manifests/{digest}");
        let layer = format!("GET /v2/{name}/blobs/sha256:");
        for wanted in [manifest, layer] {
            let by_a_node = asked.iter().any(|(who, what)| what.starts_with(&wanted) && *who != host.to_string());
            assert!(by_a_node, "no node asked {wanted}:\n{asked:#?}");
        }
    }
    stranger(&["clean"]);
}

fn plain_http(cluster: &TestCluster) {
    cluster.lab(&["lab", "2"]).succeeds();
    let registry = TestRegistry::start(SocketAddr::new(host(cluster), 0), Wants::default());
    let refused = cluster.lab(&["images", "push", &registry.host()]);
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("does not speak TLS") && refused.stderr.contains("--plain-http"),
        "{}",
        refused.stderr
    );
    assert_eq!(registry.requests(), [], "not even a login went there");
    cluster.lab(&["images", "push", &registry.host(), "--plain-http"]).succeeds();
    assert_eq!(registry.count("PUT"), 10 * 3);
}

/// This machine among the nodes of a cluster.
fn host(cluster: &TestCluster) -> IpAddr {
    machine::among_nodes(cluster.number).into()
}

fn has_address(address: IpAddr) -> bool {
    let output = Command::new("ip").args(["-brief", "address"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).contains(&format!(" {address}/"))
}

/// What follows `prefix` in the names of the images that a node has.
fn names(cluster: &TestCluster, prefix: &str) -> BTreeSet<String> {
    let number = cluster.number;
    let socket = format!("/run/ebpf-lab/{number}/nodes/ebpf-worker/containerd/containerd.sock");
    let mut ctr = Command::new(format!("/var/lib/ebpf-lab/{number}/bin/ctr"));
    let output =
        ctr.args(["--address", &socket, "--namespace", "k8s.io", "images", "list", "--quiet"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|name| Some(name.strip_prefix(prefix)?.to_owned())).collect()
}
