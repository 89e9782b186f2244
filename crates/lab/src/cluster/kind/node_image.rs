//! Which image the nodes run, and getting it.

use anyhow::Result;
use lab_cli::pins::{self, NodeImage};

use super::{
    Kind,
    engine::{Engine, kind_version},
    failures,
};
use crate::{error::unfit, live::Live, outcome::Outcome};

impl Kind {
    /// The image that the command line names, or the newest pinned one that this kind can handle.
    pub(super) fn image(&self) -> Result<String> {
        if let Some(image) = &self.options.node_image {
            return Ok(image.clone());
        }
        let kind = kind_version()?;
        let pins = pins::pins()?;
        pins.kind.node_image(kind).map(|node| node.image.clone()).ok_or_else(|| {
            unfit(
                format!("no image of nodes is pinned for kind {kind}"),
                "install a newer kind: https://kind.sigs.k8s.io",
            )
        })
    }

    /// The image for `--explain`, which asks no program.
    pub(super) fn likely_image(&self) -> String {
        let pinned = || {
            let pins = pins::pins().ok()?;
            let newest = pins.kind.nodes.iter().map(|node| node.kind).max()?;
            pins.kind.node_image(newest).map(|NodeImage { image, .. }| image.clone())
        };
        self.options.node_image.clone().or_else(pinned).unwrap_or_default()
    }
}

/// Gets the image unless the engine has it.
pub async fn pull(engine: &Engine, image: &str, live: &Live) -> Result<Outcome> {
    if engine.has_image(image)? {
        return Ok(Outcome::Unchanged);
    }
    let pull = engine.command(&["pull", image]).follow(|line| live.waiting(format!("{image}: {line}"))).await;
    pull.map_err(|failed| {
        let said = failed.stderr.unwrap_or_default();
        let why = said.trim().lines().next_back().unwrap_or("no reason given").to_owned();
        let limit = failures::explain(&said).map(|(what, _)| format!("; {what}")).unwrap_or_default();
        unfit(
            format!("the image of the nodes can't be pulled: {image}: {why}{limit}"),
            "--on host runs the labs without Docker and without any image registry; with another registry at hand: --node-image \
             IMAGE; behind a proxy or a mirror, Docker's own `registry-mirrors` and `proxies` settings",
        )
    })?;
    Ok(Outcome::Changed)
}
