//! The store of built probes: an OCI image layout, in the folder and with the media types of BumbleBee, so that each can
//! read what the other wrote (<https://github.com/opencontainers/image-spec/blob/main/image-layout.md>).
//!
//! Invariants: content is verified against its digest whenever it is read; files appear whole or not at all; writers take turns,
//! readers never wait; a digest depends on nothing but the probe.

mod archive;
mod built;
mod config;
mod error;
mod image;
mod layout;
mod names;
mod platform;
mod reference;
#[cfg(feature = "whole")]
pub mod registry;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use oci_spec::image::{ANNOTATION_CREATED, ANNOTATION_REF_NAME, Descriptor, MediaType};

pub use archive::ImportError;
pub use built::Built;
pub use config::{Config, Map, Program};
pub use error::{Damage, Error};
pub use image::{Image, Manifest, one_program};
pub use layout::{MAX_JSON, MAX_PROGRAM};
pub use platform::{is_for_this_machine, is_index, of_config as platform_of_config};
pub use reference::{NoNewName, Reference};

use layout::Layout;

/// BumbleBee's type of a compiled probe.
pub const PROGRAM: &str = "application/ebpf.oci.image.program.v1+binary";

/// The most processors that an image is for.
pub const MOST_PLATFORMS: usize = 16;

/// A folder of probes, which need not exist yet.
#[derive(Debug)]
pub struct Store {
    layout: Layout,
}

/// What the store knows about one probe.
#[derive(Debug)]
pub struct Entry {
    pub reference: String,
    /// Of the manifest or index: what `name@sha256:…` names.
    pub digest: String,
    /// As `linux/amd64`; several if it is for several.
    pub platforms: Vec<String>,
    pub created: Option<Timestamp>,
    /// The size in bytes of the programs that are stored, or why one can't be read.
    pub size: Result<u64, Damage>,
}

/// What an image says of itself.
#[derive(Debug)]
pub struct Description {
    pub entry: Entry,
    /// Its author's words, `org.opencontainers.image.…`.
    pub annotations: BTreeMap<String, String>,
    /// This machine's, or else the first that is stored; of BumbleBee's images it is empty.
    pub config: Config,
}

impl Store {
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { layout: Layout::at(folder.into()) }
    }

    /// BumbleBee's place, under the calling user's home folder.
    pub fn default_folder() -> Option<PathBuf> {
        Some(etcetera::home_dir().ok()?.join(".bumblebee/store"))
    }

    pub fn folder(&self) -> &Path {
        self.layout.folder()
    }

    /// The program that `reference` names, for this machine if it is for several.
    pub fn program(&self, reference: &Reference) -> Result<Vec<u8>, Error> {
        let named = self.find(reference)?;
        let manifests = self.manifests_of(&named).map_err(|why| Error::damaged(reference, why))?;
        let mine = if platform::is_index(named.media_type()) {
            manifests.iter().find(|it| is_for_this_machine(it) && self.layout.has(it))
        } else {
            // BPF code is the same everywhere, and who says no processor may mean any.
            manifests.first()
        };
        let Some(mine) = mine else {
            let platforms: Vec<_> = manifests.iter().filter_map(platform::words).collect();
            return Err(Error::OtherProcessor { reference: reference.clone(), platforms: platforms.join(", ") });
        };
        self.program_of(mine).map_err(|why| Error::damaged(reference, why))
    }

    /// What the store knows about one probe, and what that says of itself. Its program is not looked into.
    pub fn describe(&self, reference: &Reference) -> Result<Description, Error> {
        let named = self.find(reference)?;
        self.description_of(&named).map_err(|why| Error::damaged(reference, why))
    }

    /// Everything in the store, by name; each program is read and verified.
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        let index = self.layout.index()?;
        let mut entries: Vec<_> = index.manifests().iter().map(|descriptor| self.entry(descriptor)).collect();
        entries.sort_by(|a, b| a.reference.cmp(&b.reference));
        Ok(entries)
    }

    fn find(&self, reference: &Reference) -> Result<Descriptor, Error> {
        let index = self.layout.index()?;
        let found = index.manifests().iter().find(|it| {
            let name = annotation(it, ANNOTATION_REF_NAME).unwrap_or_default();
            reference.matches(name, it.digest().as_ref())
        });
        found.cloned().ok_or_else(|| Error::Unknown { reference: reference.clone(), store: self.folder().into() })
    }

    fn entry(&self, named: &Descriptor) -> Entry {
        let manifests = self.manifests_of(named);
        let platforms = manifests.as_ref().map_or(vec![], |all| all.iter().filter_map(platform::words).collect());

        Entry {
            reference: annotation(named, ANNOTATION_REF_NAME).unwrap_or("<none>").to_owned(),
            digest: named.digest().to_string(),
            platforms,
            created: annotation(named, ANNOTATION_CREATED).and_then(|text| text.parse().ok()),
            size: manifests.and_then(|all| self.stored_size(named, &all)),
        }
    }

    fn stored_size(&self, named: &Descriptor, manifests: &[Descriptor]) -> Result<u64, Damage> {
        let mut size = 0;
        for manifest in manifests.iter().filter(|it| self.layout.has(it) || *it == named) {
            size += self.program_of(manifest)?.len() as u64;
        }
        Ok(size)
    }

    fn description_of(&self, named: &Descriptor) -> Result<Description, Damage> {
        let mut stored = self.manifests_of(named)?;
        stored.retain(|it| self.layout.has(it) || it == named);
        let first = stored.iter().find(|it| is_for_this_machine(it)).or(stored.first());
        let first = first.ok_or_else(|| Damage::new("nothing of it is stored", named.digest()))?;
        let manifest = self.manifest(first)?;
        // BumbleBee's config is of no use to us, so a strange one is no damage.
        let config = self.layout.blob(manifest.config(), layout::MAX_JSON)?;
        let config = serde_json::from_slice(&config).unwrap_or_default();
        let annotations =
            if first == named { manifest.annotations().clone() } else { self.index_of(named)?.annotations().clone() };
        let annotations = annotations.unwrap_or_default().into_iter().collect();
        Ok(Description { entry: self.entry(named), annotations, config })
    }

    fn program_of(&self, descriptor: &Descriptor) -> Result<Vec<u8>, Damage> {
        let manifest = self.manifest(descriptor)?;
        let program = manifest.layers().iter().find(|layer| *layer.media_type() == MediaType::from(PROGRAM));
        let program = program.ok_or_else(|| Damage::new("it is an image, but no eBPF program", PROGRAM))?;
        self.layout.blob(program, layout::MAX_PROGRAM)
    }
}

fn annotation<'a>(descriptor: &'a Descriptor, key: &str) -> Option<&'a str> {
    Some(descriptor.annotations().as_ref()?.get(key)?.as_str())
}
