//! `images`: which images the labs use, loading them into the nodes, saving them as archives.

use std::{fs, path::Path};

use anyhow::Result;
use clikit::print;
use comfy_table::{Table, presets::NOTHING};
use lab_cli::cli::ImagesAction;

use super::push;
use crate::{
    caller,
    images::{self, Image},
    live::Live,
    lock,
    outcome::Outcome,
    workshop::Workshop,
};

pub async fn run(workshop: &Workshop, action: Option<ImagesAction>) -> Result<()> {
    if let Some(ImagesAction::Push(options)) = action {
        return push::run(workshop, &options).await;
    }
    let live = Live::new("build the labs' images");
    let images = images::build(&workshop.paths, &live, &workshop.images())?;
    live.finish();
    match action {
        Some(ImagesAction::Load) => load(workshop, &images).await,
        Some(ImagesAction::Save { folder }) => save(&images, &folder),
        _ => list(workshop, &images),
    }
}

fn list(workshop: &Workshop, images: &[Image]) -> Result<()> {
    if workshop.options.json {
        return Ok(print::json(serde_json::json!({ "version": 1, "images": images }))?);
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["IMAGE", "DIGEST", "SIZE"]);
    for image in images {
        let digest = image.digest.chars().take(19).collect::<String>();
        table.add_row([image.reference.clone(), digest, format!("{:.1} MB", image.size as f64 / 1e6)]);
    }
    Ok(print::lines(table)?)
}

async fn load(workshop: &Workshop, images: &[Image]) -> Result<()> {
    let _lock = lock::take(&workshop.paths, workshop.cluster.name())?;
    let live = Live::new("load images");
    let outcome = workshop.cluster.load_images(images, &live).await?;
    live.finish();
    let what = if outcome == Outcome::Changed { "loaded into the nodes" } else { "the nodes have all of them" };
    print::note(format!("{} images: {what}", images.len()));
    Ok(())
}

/// One archive an image: `bee.tar`. One that is cut short never has its name.
fn save(images: &[Image], folder: &Path) -> Result<()> {
    caller::folder(folder)?;
    for image in images {
        let path = folder.join(format!("{}.tar", image.name()));
        caller::replace(&path, |partial| Ok(fs::copy(&image.archive, partial).map(drop)?))?;
        print::own(&format!("{}\n", path.display()))?;
    }
    print::note(format!(
        "{} archives; load each with `docker load --input`, `ctr --namespace k8s.io images import` or `kind load image-archive`",
        images.len()
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_saved_under_its_images_name() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("bee-0123.tar");
        fs::write(&archive, "tar").unwrap();
        let image = Image { reference: images::reference("bee"), digest: "sha256:0".into(), archive, size: 3 };
        let folder = dir.path().join("deep/folder");
        save(&[image], &folder).unwrap();
        assert_eq!(fs::read_to_string(folder.join("bee.tar")).unwrap(), "tar");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left there");
    }
}
