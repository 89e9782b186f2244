//! Images that nodes pull from a registry, in place of having them.
//!
//! Manifests name them by digest: a node verifies it, and whatever comes under the tag later, all nodes run the same. It is the
//! digest that the registry has, because whoever pushed them need not have built on this machine.

use anyhow::Result;
use futures::future::try_join_all;
use lab_cli::{Registry, cli::PushOptions};

use super::{Image, registry::Pushes, repository};
use crate::{
    error::{message, unfit},
    live::Live,
};

/// A string of a manifest with our images named as nodes find them in a registry, wherever in it a name stands; nothing if it
/// names none.
pub fn pulled_from(registry: &Registry, images: &[Image], text: &str) -> Option<String> {
    let named = images.iter().find(|image| text.contains(&image.reference))?;
    let pulled = format!("{}@{}", repository(named, registry), named.digest);
    Some(text.replace(&named.reference, &pulled))
}

/// These images with the digests that they have in a registry.
///
/// # Errors
/// The registry answers, and lacks some.
pub async fn as_pushed(registry: &Registry, images: Vec<Image>, live: &Live) -> Result<Vec<Image>> {
    live.waiting(format!("asking {registry} for the labs' images"));
    match digests(registry, &images).await {
        Ok(theirs) => {
            let (images, others) = adopt(registry, images, theirs)?;
            if !others.is_empty() {
                let (others, push) = (others.join(", "), format!("cargo xtask images push {registry}"));
                live.say(&format!(
                    "{registry} has other images than this checkout builds: {others}. `{push}` brings these"
                ));
            }
            Ok(images)
        }
        Err(error) => {
            // The nodes may be where it can be reached, or know its authority.
            let why = message(&error);
            live.say(&format!(
                "{registry} can't be asked for its images ({why}): it must have those that are built here"
            ));
            Ok(images)
        }
    }
}

async fn digests(registry: &Registry, images: &[Image]) -> Result<Vec<Option<String>>> {
    let client = Pushes::new(registry, &PushOptions::default()).await?;
    try_join_all(images.iter().map(|image| client.digest(image.name()))).await
}

/// The images with the registry's digests, and the names of those that differ from ours.
fn adopt(registry: &Registry, images: Vec<Image>, theirs: Vec<Option<String>>) -> Result<(Vec<Image>, Vec<String>)> {
    let (mut adopted, mut others, mut missing) = (vec![], vec![], vec![]);
    for (image, theirs) in images.into_iter().zip(theirs) {
        match theirs {
            None => missing.push(image.name().to_owned()),
            Some(digest) => {
                if digest != image.digest {
                    others.push(image.name().to_owned());
                }
                adopted.push(Image { digest, ..image });
            }
        }
    }
    if missing.is_empty() {
        return Ok((adopted, others));
    }
    let what = format!("{registry} lacks images of the labs: {}", missing.join(", "));
    Err(unfit(what, format!("cargo xtask images push {registry}")))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn images() -> Vec<Image> {
        let image = |name: &str, digest: &str| {
            let digest = format!("sha256:{digest}");
            Image { reference: crate::images::reference(name), digest, archive: PathBuf::new(), size: 0 }
        };
        vec![image("prometheus", "1"), image("prometheus-config-reloader", "2")]
    }

    fn registry() -> Registry {
        "10.0.0.5:5000/room".parse().unwrap()
    }

    #[test]
    fn images_in_a_registry_are_named_by_digest_wherever_a_name_stands() {
        let pulled = |text: &str| pulled_from(&registry(), &images(), text);
        assert_eq!(
            pulled("localhost/ebpf-lab/prometheus:lab").unwrap(),
            "10.0.0.5:5000/room/ebpf-lab/prometheus@sha256:1"
        );
        assert_eq!(
            pulled("--prometheus-config-reloader=localhost/ebpf-lab/prometheus-config-reloader:lab").unwrap(),
            "--prometheus-config-reloader=10.0.0.5:5000/room/ebpf-lab/prometheus-config-reloader@sha256:2"
        );
        assert_eq!(pulled("localhost/ebpf-lab/none:lab"), None);
        assert_eq!(pulled("quay.io/prometheus/prometheus:v3"), None);
    }

    #[test]
    fn the_registrys_digests_are_taken_and_the_difference_said() {
        let theirs = ["sha256:1", "sha256:9"].map(|digest| Some(digest.to_owned()));
        let (images, others) = adopt(&registry(), images(), theirs.to_vec()).unwrap();
        assert_eq!(images.iter().map(|image| image.digest.as_str()).collect::<Vec<_>>(), ["sha256:1", "sha256:9"]);
        assert_eq!(others, ["prometheus-config-reloader"]);
    }

    #[test]
    fn an_image_that_the_registry_lacks_is_named_before_a_node_looks_for_it() {
        let error = adopt(&registry(), images(), vec![None, Some("sha256:2".to_owned())]).unwrap_err();
        assert_eq!(error.to_string(), "10.0.0.5:5000/room lacks images of the labs: prometheus");
        assert_eq!(crate::error::hint(&error), Some("cargo xtask images push 10.0.0.5:5000/room"));
    }
}
