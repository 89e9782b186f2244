//! Whose images the labs run: [`offline`], those that are built here, or [`upstream`], the upstream projects' own.
//!
//! The labs are one code path. Where the two profiles must differ, a lab asks `workshop.profile`; it never asks which one it is.

mod bookinfo;
mod offline;
mod upstream;

use std::{sync::Arc, time::Duration};

use kube::api::DynamicObject;
use lab_cli::{Options, pins::Pins};

/// What differs between the profiles.
pub trait Profile: Send + Sync {
    /// Those images of ours that the labs' pods run, by the last part of their names.
    fn images(&self) -> &'static [&'static str];

    /// The registries that the nodes pull other images from, `host:port`.
    fn registries(&self) -> &'static [&'static str] {
        &[]
    }

    /// Makes an object of a manifest run this profile's images. The manifests name ours, MetalLB's its own.
    fn adapt(&self, object: &mut DynamicObject);

    /// What a person would have to change in the manifest of Bookinfo, for `--explain`; nothing if its images are the profile's.
    fn bookinfo_in_words(&self) -> Option<String> {
        None
    }

    /// The command that asks for a page inside the productpage container, each time over a connection of its own.
    fn requests(&self, url: &str, count: usize) -> Vec<String>;

    /// How long a lab waits for its conditions before it calls them failed.
    fn patience(&self) -> Duration;
}

/// The profile that the options choose.
pub fn choose(options: &Options, pins: &Pins) -> Arc<dyn Profile> {
    match options.profile() {
        lab_cli::Profile::Offline => Arc::new(offline::Offline),
        lab_cli::Profile::Upstream => Arc::new(upstream::Upstream::new(pins.bookinfo.clone())),
    }
}
