//! What is ours and what is not: a cluster of the same name that somebody else made, the user's kubeconfig, and what `clean` gives
//! back.

use testkit::{Scene, TestCluster, machine};

use crate::{docker, node};

pub const FIRST: &[(&str, Scene)] = &[
    ("a_cluster_of_the_same_name_that_is_not_ours_is_neither_used_nor_removed", foreign),
    ("an_image_of_nodes_that_cannot_be_pulled_leaves_nothing_and_names_the_host_cluster", no_image),
];
pub const LAST: &[(&str, Scene)] = &[
    ("a_cluster_of_another_shape_or_number_is_refused_beside_it", other_shape),
    ("clean_leaves_no_container_no_network_and_no_context", clean),
    ("the_users_kubeconfig_was_never_touched", kubeconfig),
];

/// A container that kind would take for a node of a cluster of our name.
fn foreign(cluster: &TestCluster) {
    let image = node().as_ref().unwrap().image().to_owned();
    let name = format!("ebpf-{}", cluster.number);
    let label = format!("io.x-k8s.kind.cluster={name}");
    let theirs = format!("{name}-control-plane");
    docker(&["create", "--name", &theirs, "--label", &label, "--label", "io.x-k8s.kind.role=control-plane", &image]);
    for arguments in [&["lab", "2"][..], &["clean"]] {
        let run = cluster.lab(arguments);
        assert_eq!(run.code, 4, "{}", run.stderr);
        assert!(run.stderr.contains("this workshop did not make it"), "{}", run.stderr);
        assert!(run.stderr.contains("--name"), "it says what to do: {}", run.stderr);
    }
    assert_eq!(docker(&["ps", "--all", "--format", "{{.Names}}"]).trim(), theirs, "it is as it was");
    docker(&["rm", &theirs]);
}

fn no_image(cluster: &TestCluster) {
    let run = cluster.but("--node-image", "localhost:1/nobody/has-it:v1.34.4").lab(&["lab", "2"]);
    assert_eq!(run.code, 4, "{}", run.stderr);
    for words in ["localhost:1/nobody/has-it:v1.34.4", "can't be pulled", "--on host"] {
        assert!(run.stderr.contains(words), "{words:?} is not in {}", run.stderr);
    }
    assert_eq!(docker(&["ps", "--all", "--quiet"]), "");
    assert_eq!(node().as_ref().unwrap().network(), None, "not even a network was made");
}

fn other_shape(cluster: &TestCluster) {
    let refused = |flag: &str, value: &str, words: &str| {
        let run = cluster.but(flag, value).lab(&["lab", "2"]);
        assert_eq!(run.code, 4, "{}", run.stderr);
        assert!(run.stderr.contains(words), "{}", run.stderr);
    };
    refused("--workers", "3", "has 2 workers, not 3");
    refused("--name", "another", &format!("has the addresses of number {} already", cluster.number));
    cluster.passes("2", "0");
}

fn clean(cluster: &TestCluster) {
    let kubeconfig = cluster.lab(&["kubeconfig"]).succeeds().stdout;
    cluster.lab(&["clean"]).succeeds();
    assert_eq!(docker(&["ps", "--all", "--quiet"]), "", "every container is gone");
    assert_eq!(docker(&["network", "ls", "--quiet", "--filter", "name=kind"]), "", "so is the network");
    assert_eq!(docker(&["volume", "ls", "--quiet"]), "", "and what the nodes kept");
    let folder = std::path::Path::new(kubeconfig.trim()).parent().unwrap();
    assert!(!folder.exists(), "{} is left", folder.display());
    let routes = machine::traces().into_iter().filter(|trace| trace.starts_with("route: ") && trace.contains("br-"));
    assert_eq!(routes.collect::<Vec<_>>(), Vec::<String>::new());
    let again = cluster.lab(&["clean"]).succeeds();
    assert!(again.stderr.contains("nothing to remove"), "{}", again.stderr);
}

fn kubeconfig(_: &TestCluster) {
    assert!(node().as_ref().unwrap().kubeconfig_is_untouched());
}
