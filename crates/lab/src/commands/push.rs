//! `images push`: the images that the labs' pods run to a registry, for clusters whose nodes pull from it.

use std::time::Instant;

use anyhow::{Context, Result};
use clikit::print;
use lab_cli::{Registry, cli::PushOptions};
use oci::layout::{self, Layout};
use serde_json::json;

use crate::{
    error::{unfit, unfit_for},
    images::{self, Image, registry::Pushes, repository},
    live::Live,
    wait,
    workshop::Workshop,
};

pub async fn run(workshop: &Workshop, options: &PushOptions) -> Result<()> {
    let registry = options.to.as_ref().or(workshop.options.registry.as_ref());
    let registry = registry.ok_or_else(|| unfit("no registry is named", "cargo xtask images push HOST:PORT"))?;
    let client = Pushes::new(registry, options).await?;
    let live = Live::new(format!("push the labs' images to {registry}"));
    let images = images::build(&workshop.paths, &live, workshop.profile.images())?;
    // What is damaged is found before anything is sent.
    let layouts = images.iter().map(layout::read).collect::<Result<Vec<_>, _>>().map_err(unfit_for)?;
    let images: Vec<_> = images.iter().zip(&layouts).collect();
    let sent = send(workshop, &client, &images, &live).await?;
    // Tags come last: whoever pulls meanwhile gets the old images, all of them, or the new ones.
    for (image, layout) in &images {
        live.waiting(format!("tag {}", image.name()));
        bounded(workshop, client.tag(image, layout))
            .await
            .with_context(|| format!("failed to tag {}", image.name()))?;
    }
    live.finish();
    print(workshop, registry, &images, &sent)
}

/// Sends what the registry lacks, one line an image; answers the bytes of each.
async fn send(workshop: &Workshop, client: &Pushes, images: &[(&Image, &Layout)], live: &Live) -> Result<Vec<u64>> {
    let mut sent = vec![];
    for (i, (image, layout)) in images.iter().enumerate() {
        let (name, started) = (image.name(), Instant::now());
        live.waiting(name);
        let bytes = bounded(workshop, client.send(image, layout, live)).await;
        let bytes = bytes.with_context(|| format!("failed to push {name}"))?;
        let what = match bytes {
            0 => "the registry has it".to_owned(),
            _ => format!("{:.1} MB in {:.1} s", bytes as f64 / 1e6, started.elapsed().as_secs_f64()),
        };
        live.say(&format!("[{}/{}] {name}: {what}", i + 1, images.len()));
        sent.push(bytes);
    }
    Ok(sent)
}

async fn bounded<T>(workshop: &Workshop, work: impl Future<Output = Result<T>>) -> Result<T> {
    let limit = workshop.timeout();
    let done = wait::within(limit, work).await;
    done.with_context(|| format!("timed out after {} s; raise it with --timeout", limit.as_secs()))?
}

fn print(workshop: &Workshop, registry: &Registry, images: &[(&Image, &Layout)], sent: &[u64]) -> Result<()> {
    if workshop.options.json {
        let image = |((image, _), sent): (&(&Image, &Layout), &u64)| json!({ "reference": repository(image, registry), "digest": image.digest, "sent": sent });
        let images: Vec<_> = images.iter().zip(sent).map(image).collect();
        print::json(json!({ "version": 1, "images": images }))?;
    } else {
        images
            .iter()
            .try_for_each(|(image, _)| print::line(format!("{}@{}", repository(image, registry), image.digest)))?;
    }
    print::note(format!("{} images are there; `--registry {registry}` has the nodes pull them", images.len()));
    Ok(())
}
