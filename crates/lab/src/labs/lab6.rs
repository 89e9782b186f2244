//! Lab 6, kebpf: the live graph of which services talk to each other.

use std::net::IpAddr;

use anyhow::{Context, Result};
use http::Uri;
use kube::config::Kubeconfig;

use super::Lab;
use crate::{
    check::{self, graph},
    kubernetes::{manifest, rollout::Workload},
    labs::steps::{self, Step},
    live::Live,
    outcome::Outcome,
    workshop::Workshop,
};

const MANIFEST: &str = "lab6/kebpf.yaml";
/// How the manifest's list of names begins under which kebpf answers.
const NAMES: &str = "kebpf,kebpf.";

pub fn lab(_workshop: &Workshop) -> Lab {
    let apply = format!("kubectl apply --server-side -f manifests/{MANIFEST}");
    Lab {
        number: 6,
        title: "kebpf, the graph of who talks to whom",
        steps: vec![Step::new("install kebpf", apply, |workshop, live| Box::pin(install(workshop, live)))],
        checks: vec![
            check::ready(Workload::deployment("default", "kebpf"), 6),
            graph::page_answers(),
            graph::holds_bookinfo(),
        ],
        undo: vec![steps::delete("remove kebpf", MANIFEST)],
    }
}

/// Whoever comes by `kubectl proxy` asks in the API server's name, which is a name of kebpf's then.
async fn install(workshop: &Workshop, live: &Live) -> Result<Outcome> {
    let mut objects = manifest::read(&workshop.paths.checkout.join("manifests").join(MANIFEST))?;
    let kubeconfig =
        Kubeconfig::read_from(workshop.cluster.kubeconfig()).context("failed to read the cluster's kubeconfig")?;
    if let Some(name) = api_server(&kubeconfig) {
        for object in &mut objects {
            manifest::rewrite(&mut object.data, &|text| text.starts_with(NAMES).then(|| format!("{text},{name}")));
        }
    }
    steps::apply_objects(workshop, live, objects).await
}

/// The name of the API server, where it has one: addresses are always answered.
fn api_server(kubeconfig: &Kubeconfig) -> Option<String> {
    let url: Uri = kubeconfig.clusters.first()?.cluster.as_ref()?.server.as_ref()?.parse().ok()?;
    let name = url.host()?;
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    (!is_address).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_server_with_a_name_is_a_name_of_kebpfs() {
        for (server, name) in [
            ("https://api.room.example:6443", Some("api.room.example")),
            ("https://172.18.101.1:6443", None),
            ("https://[fd00::1]:6443", None),
        ] {
            let text = format!("{{clusters: [{{name: a, cluster: {{server: '{server}'}}}}]}}");
            assert_eq!(api_server(&Kubeconfig::from_yaml(&text).unwrap()).as_deref(), name);
        }
        let manifest = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests").join(MANIFEST);
        let text = std::fs::read_to_string(manifest).unwrap();
        assert!(text.contains(&format!("{{name: KEBPF_ALLOWED_HOSTS, value: \"{NAMES}")), "the list begins otherwise");
    }
}
