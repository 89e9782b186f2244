//! Steps that several labs share: applying a manifest, and taking it away again.

use std::path::PathBuf;

use anyhow::Result;
use kube::api::DynamicObject;

use crate::{
    images::{self, Image, pulled},
    kubernetes::{apply::Applier, manifest},
    live::Live,
    outcome::Outcome,
    workshop::Workshop,
};

pub type Step = lab_engine::steps::Step<Workshop>;

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

/// Applies objects, each with the images of the profile, marked with their digests, and named where the nodes find them.
pub async fn apply_objects(workshop: &Workshop, live: &Live, mut objects: Vec<DynamicObject>) -> Result<Outcome> {
    let images = images(workshop, live).await?;
    for object in &mut objects {
        workshop.profile.adapt(object);
        manifest::follow_images(object, &images);
        if let Some(registry) = &workshop.options.registry {
            manifest::rewrite(&mut object.data, &|text| pulled::pulled_from(registry, &images, text));
        }
    }
    Applier::new(workshop.client().await?, workshop.cluster.ours(), live).apply(objects).await
}

/// Our images that the cluster and the labs need, built if need be; with a registry, the labs' as they are there.
pub async fn images(workshop: &Workshop, live: &Live) -> Result<Vec<Image>> {
    let images = workshop.known_images.get_or_try_init(|| async {
        match &workshop.options.registry {
            None => build(workshop, live, workshop.images()).await,
            Some(registry) => {
                let images = build(workshop, live, workshop.profile.images().to_vec()).await?;
                pulled::as_pushed(registry, images, live).await
            }
        }
    });
    images.await.cloned()
}

async fn build(workshop: &Workshop, live: &Live, names: Vec<&'static str>) -> Result<Vec<Image>> {
    let (paths, live) = (workshop.paths.clone(), live.clone());
    tokio::task::spawn_blocking(move || images::build(&paths, &live, &names)).await?
}

fn path(workshop: &Workshop, file: &str) -> PathBuf {
    workshop.paths.checkout.join("manifests").join(file)
}
