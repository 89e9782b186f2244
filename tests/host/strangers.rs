//! What a cluster shows to users of this machine who have no key of it, and how long a key is good.

use std::{collections::BTreeSet, fs, process::Command};

use lab_cli::range::Range;
use testkit::{TestCluster, machine};

use crate::Scene;

pub const SCENES: &[(&str, Scene)] = &[
    ("no_port_of_a_node_tells_anything_without_a_key", ports),
    ("the_administrators_certificate_is_renewed_before_it_ends", renewal),
];

/// Whatever listens on a node's own addresses wants a token or a certificate.
fn ports(cluster: &TestCluster) {
    cluster.lab(&["lab", "2"]).succeeds();
    cluster.passes("2", "30s");
    let mut asked = BTreeSet::new();
    for node in ["control-plane", "worker", "worker2"] {
        for socket in listening(
            &format!("ebpf-lab-{}-{node}", cluster.number),
            machine::base(cluster.number).nodes(cluster.number),
        ) {
            for path in ["/metrics", "/healthz", "/configz", "/debug/pprof/", "/"] {
                for scheme in ["http", "https"] {
                    let status = status(&format!("{scheme}://{socket}{path}"));
                    // Whether it lives, and nothing else.
                    let is_told = status.starts_with('2') && path != "/healthz";
                    assert!(!is_told, "{scheme}://{socket}{path} answers {status}");
                    asked.insert(socket.rsplit(':').next().unwrap().to_owned());
                }
            }
        }
    }
    assert!(["6443", "10250", "9120"].iter().all(|port| asked.contains(*port)), "{asked:?}");
}

/// `address:port` of what listens in a network namespace, but for loopback; where it listens everywhere, the node's address.
fn listening(namespace: &str, nodes: Range) -> BTreeSet<String> {
    let text = |command: &[&str]| {
        let output = Command::new("ip").args(["netns", "exec", namespace]).args(command).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let addresses = text(&["ip", "-4", "-brief", "address"]);
    let addresses = addresses.split_whitespace().filter_map(|word| word.split('/').next()?.parse().ok());
    let own = addresses.into_iter().find(|address| nodes.contains(*address)).unwrap();
    let sockets = text(&["ss", "-Htln"]);
    let places = sockets.lines().map(|line| line.split_whitespace().nth(3).unwrap().to_owned());
    let open = places.filter(|place| !place.starts_with("127.") && !place.starts_with("[::1]"));
    open.map(|place| format!("{own}:{}", place.rsplit(':').next().unwrap())).collect()
}

/// As whoever is on this machine sees it.
fn status(url: &str) -> String {
    let arguments = ["-sk", "--noproxy", "*", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}"];
    let output = Command::new("curl").args(arguments).arg(url).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn renewal(cluster: &TestCluster) {
    cluster.lab(&["lab", "2"]).succeeds();
    let kubeconfig = || fs::read_to_string(cluster.lab(&["kubeconfig"]).succeeds().stdout.trim()).unwrap();
    let before = kubeconfig();
    let admins = format!("/var/lib/ebpf-lab/{}/pki/admin.kubeconfig", cluster.number);
    assert!(Command::new("touch").args(["-d", "-300 days", &admins]).status().unwrap().success());
    cluster.lab(&["lab", "2"]).succeeds();
    assert_ne!(kubeconfig(), before, "it is another");
    cluster.passes("2", "30s");
    let again = kubeconfig();
    cluster.lab(&["lab", "2"]).succeeds();
    assert_eq!(kubeconfig(), again, "and is kept");
}
