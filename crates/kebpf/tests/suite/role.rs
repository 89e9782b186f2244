//! The role that the manifest gives to kebpf is what kebpf does, and no more.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::bookinfo::Cluster;
use crate::fakes::{FakeKubernetes, FakePrometheus};
use crate::running::{Kebpf, until};

const MANIFEST: &str = "manifests/lab6/kebpf.yaml";

/// API group, resource, verb.
type Rules = BTreeSet<(String, String, String)>;

#[tokio::test(flavor = "multi_thread")]
async fn the_manifests_role_allows_what_kebpf_asks_for_and_nothing_else() {
    let granted = granted();
    let prometheus = FakePrometheus::start().await;
    let kubernetes = FakeKubernetes::start(Cluster::new()).await;
    let _kebpf = Kebpf::start(&prometheus.url, &kubernetes.url);
    let asked = || kubernetes.asked().into_iter().map(|(path, verb)| rule(&path, verb)).collect::<Rules>();
    until("it watches all that it lists", async || asked().len() >= granted.len()).await;
    assert_eq!(asked(), granted);
}

fn granted() -> Rules {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(MANIFEST);
    let objects: Vec<Value> = serde_saphyr::from_multiple(&std::fs::read_to_string(file).unwrap()).unwrap();
    let role = objects.iter().find(|object| object["kind"] == "ClusterRole").unwrap();
    let mut rules = Rules::new();
    for rule in role["rules"].as_array().unwrap() {
        let words = |key: &str| rule[key].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned());
        for (group, resource) in
            words("apiGroups").flat_map(|group| words("resources").map(move |r| (group.clone(), r)))
        {
            rules.extend(words("verbs").map(|verb| (group.clone(), resource.clone(), verb)));
        }
    }
    rules
}

/// Of `/api/v1/pods` or `/apis/apps/v1/replicasets`.
fn rule(path: &str, verb: &str) -> (String, String, String) {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (group, resource) = match parts[..] {
        ["api", "v1", resource] => ("", resource),
        ["apis", group, _, resource] => (group, resource),
        _ => panic!("{path} is no list of all objects of a kind"),
    };
    (group.to_owned(), resource.to_owned(), verb.to_owned())
}
