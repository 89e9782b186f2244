//! Steps that several labs share: applying a manifest, and taking it away again.

use std::path::PathBuf;

use anyhow::Result;
use kube::api::DynamicObject;

use super::Step;
use crate::{
    cluster::Outcome,
    images::{self, Image, pulled},
    kubernetes::{apply::Applier, manifest},
    live::Live,
    workshop::Workshop,
};

/// Applies a manifest of ours; pods restart when an image that they run was rebuilt.
pub fn apply(title: &'static str, file: &'static str) -> Step {
    Step::new(title, format!("kubectl apply --server-side -f manifests/{file}"), move |workshop, live| {
        Box::pin(async move { apply_file(workshop, live, file).await })
    })
}

/// Deletes what a manifest of ours made.
pub fn delete(title: &'static str, file: &'static str) -> Step {
    Step::new(title, format!("kubectl delete -f manifests/{file}"), move |workshop, live| {
        Box::pin(async move {
            let objects = manifest::read(&path(workshop, file))?;
            Applier::new(workshop.client().await?, workshop.cluster.ours(), live).delete(objects).await
        })
    })
}

async fn apply_file(workshop: &Workshop, live: &Live, file: &str) -> Result<Outcome> {
    let objects = manifest::read(&path(workshop, file))?;
    apply_objects(workshop, live, objects).await
}

/// Applies objects, each marked with the digests of its images, and naming them where the nodes find them.
pub async fn apply_objects(workshop: &Workshop, live: &Live, mut objects: Vec<DynamicObject>) -> Result<Outcome> {
    let images = images(workshop, live).await?;
    for object in &mut objects {
        manifest::follow_images(object, &images);
        if let Some(registry) = &workshop.options.registry {
            manifest::rewrite(&mut object.data, &|text| pulled::pulled_from(registry, &images, text));
        }
    }
    Applier::new(workshop.client().await?, workshop.cluster.ours(), live).apply(objects).await
}

/// The images of the labs, built if need be; with a registry, as they are there.
pub async fn images(workshop: &Workshop, live: &Live) -> Result<Vec<Image>> {
    let images = workshop.images.get_or_try_init(|| async {
        let (paths, built_live) = (workshop.paths.clone(), live.clone());
        let images = tokio::task::spawn_blocking(move || images::build(&paths, &built_live, &images::ALL)).await??;
        match &workshop.options.registry {
            Some(registry) => pulled::as_pushed(registry, images, live).await,
            None => Ok(images),
        }
    });
    images.await.cloned()
}

fn path(workshop: &Workshop, file: &str) -> PathBuf {
    workshop.paths.checkout.join("manifests").join(file)
}
