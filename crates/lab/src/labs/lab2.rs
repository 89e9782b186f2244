//! Lab 2, the cluster: three real nodes, cluster DNS, and MetalLB to give out LoadBalancer addresses.

use anyhow::{Context, Result};
use lab_cli::programs;
use serde_json::json;

use super::{Lab, metallb};
use crate::{
    check::{self, nodes},
    kubernetes::{manifest, rollout::Workload},
    labs::steps::{self, Step},
    live::Live,
    outcome::Outcome,
    wait::{self, NotYet},
    workshop::Workshop,
};

const METALLB: &str = "metallb-system";
const POOL: &str = "manifests/lab2/pool.yaml";

pub fn lab(workshop: &Workshop) -> Lab {
    let up = workshop.cluster.up_in_shell();
    let mut steps = vec![
        Step::new("wait for Kubernetes' programs to be built", "cargo xtask images", |workshop, live| {
            Box::pin(join(workshop, live))
        })
        .unbounded(),
    ];
    if let Some(shell) = workshop.cluster.fetch_in_shell() {
        let fetch =
            Step::new("get the image of the nodes", shell, |workshop, live| Box::pin(workshop.cluster.fetch(live)));
        steps.push(fetch.unbounded());
    }
    steps.extend([
        Step::new("start the cluster", up, |workshop, live| Box::pin(workshop.cluster.up(live))),
        steps::apply("say what pods may ask for", "lab2/pod-security.yaml"),
        images_step(workshop),
        Step::new("install MetalLB", "kubectl apply --server-side -f metallb-native.yaml", |workshop, live| {
            Box::pin(balancer(workshop, live))
        }),
        Step::new("give MetalLB its addresses", format!("kubectl apply --server-side -f {POOL}"), |workshop, live| {
            Box::pin(pool(workshop, live))
        }),
    ]);
    let mut checks = vec![nodes::all_ready(), nodes::dns_answers()];
    if workshop.cluster.needs_metallb() {
        checks.push(check::ready(Workload::deployment(METALLB, "controller"), 2));
        checks.push(check::ready(Workload::daemon_set(METALLB, "speaker"), 2));
        checks.push(nodes::address_pool());
    }
    Lab { number: 2, title: "Cluster: a Kubernetes of three nodes", steps, checks, undo: vec![] }
}

/// Without a registry, images must be in the nodes before anything runs them.
fn images_step(workshop: &Workshop) -> Step {
    match &workshop.options.registry {
        None => Step::new("load the labs' images into the nodes", "cargo xtask images load", |workshop, live| {
            Box::pin(load(workshop, live))
        }),
        Some(registry) => {
            let shell = format!("skopeo list-tags docker://{registry}/ebpf-lab/NAME    # each image");
            Step::new(format!("find the labs' images in {registry}"), shell, |workshop, live| {
                Box::pin(async move { steps::images(workshop, live).await.map(|_| Outcome::Unchanged) })
            })
        }
    }
}

/// The build may still run behind lab 1.
async fn join(workshop: &Workshop, live: &Live) -> Result<Outcome> {
    if programs::state(&workshop.paths)? == programs::State::Built {
        return Ok(Outcome::Unchanged);
    }
    wait::poll("Kubernetes' programs", std::time::Duration::from_secs(3600), live, || async {
        match programs::state(&workshop.paths)? {
            programs::State::Built => Ok(()),
            programs::State::Building(progress) => Err(NotYet::Because(progress.to_string())),
            programs::State::Failed(why) => Err(NotYet::Never(anyhow::anyhow!("their build failed: {why}"))),
            programs::State::Absent => {
                Err(NotYet::Never(anyhow::anyhow!("nobody builds them: run `cargo xtask lab 2`")))
            }
        }
    })
    .await?;
    Ok(Outcome::Changed)
}

async fn load(workshop: &Workshop, live: &Live) -> Result<Outcome> {
    let images = steps::images(workshop, live).await?;
    workshop.cluster.load_images(&images, live).await
}

async fn balancer(workshop: &Workshop, live: &Live) -> Result<Outcome> {
    if !workshop.cluster.needs_metallb() {
        return Ok(Outcome::Unchanged);
    }
    let objects = manifest::read(&workshop.paths.programs.join("manifests/metallb-native.yaml"))?;
    steps::apply_objects(workshop, live, objects.into_iter().filter_map(metallb::adapt).collect()).await
}

async fn pool(workshop: &Workshop, live: &Live) -> Result<Outcome> {
    if !workshop.cluster.needs_metallb() {
        return Ok(Outcome::Unchanged);
    }
    let range = workshop.cluster.load_balancer_range()?;
    let mut objects = manifest::read(&workshop.paths.checkout.join(POOL))?;
    let pool = objects.first_mut().context("the manifest of the pool is empty")?;
    manifest::set(&mut pool.data, &["spec", "addresses"], json!([range]));
    steps::apply_objects(workshop, live, objects).await
}
