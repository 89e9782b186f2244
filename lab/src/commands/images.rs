//! `images`: which images the labs use, and loading them into the nodes.

use anyhow::Result;
use comfy_table::{Table, presets::NOTHING};
use interface::cli::ImagesAction;

use crate::{
    cluster::Outcome,
    images::{self, Image},
    live::Live,
    lock,
    workshop::Workshop,
};

pub async fn run(workshop: &Workshop, action: Option<ImagesAction>) -> Result<()> {
    let live = Live::new("build the labs' images");
    let images = images::build(&workshop.paths, &live, &images::ALL)?;
    live.finish();
    match action {
        None => list(workshop, &images),
        Some(ImagesAction::Load) => load(workshop, &images).await,
    }
}

fn list(workshop: &Workshop, images: &[Image]) -> Result<()> {
    if workshop.options.json {
        println!("{}", serde_json::to_string(&serde_json::json!({ "version": 1, "images": images }))?);
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["IMAGE", "DIGEST", "SIZE"]);
    for image in images {
        let digest = image.digest.chars().take(19).collect::<String>();
        table.add_row([image.reference.clone(), digest, format!("{:.1} MB", image.size as f64 / 1e6)]);
    }
    println!("{table}");
    Ok(())
}

async fn load(workshop: &Workshop, images: &[Image]) -> Result<()> {
    let _lock = lock::take(workshop)?;
    let live = Live::new("load images");
    let outcome = workshop.cluster.load_images(images, &live).await?;
    live.finish();
    let what = if outcome == Outcome::Changed { "loaded into the nodes" } else { "the nodes have all of them" };
    eprintln!("{} images: {what}", images.len());
    Ok(())
}
