//! The store of built probes: an OCI image layout, in the folder and with the media types of BumbleBee, so that each can
//! read what the other wrote (<https://github.com/opencontainers/image-spec/blob/main/image-layout.md>).
//!
//! Invariants: content is verified against its digest whenever it is read; files appear whole or not at all; writers take turns,
//! readers never wait; a digest depends on nothing but the probe.

mod archive;
mod error;
mod image;
mod layout;
mod names;
mod reference;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use oci_spec::image::{
    ANNOTATION_CREATED, ANNOTATION_REF_NAME, ANNOTATION_TITLE, Descriptor, ImageManifest, ImageManifestBuilder,
    MediaType, Os, PlatformBuilder, SCHEMA_VERSION,
};

pub use archive::ImportError;
pub use error::{Damage, Error};
pub use image::Image;
pub use layout::{MAX_JSON, MAX_PROGRAM};
pub use reference::Reference;

use layout::Layout;

/// BumbleBee's types of a probe's two blobs, and the names that it gives them.
const CONFIG: &str = "application/ebpf.oci.image.config.v1+json";
const CONFIG_TITLE: &str = "config.json";
pub const PROGRAM: &str = "application/ebpf.oci.image.program.v1+binary";
const PROGRAM_TITLE: &str = "program.o";

/// A folder of probes, which need not exist yet.
#[derive(Debug)]
pub struct Store {
    layout: Layout,
}

/// A probe that was built.
pub struct Built<'a> {
    pub program: &'a [u8],
    /// In OCI's words.
    pub architecture: &'a str,
    pub created: Timestamp,
    /// What its author says of it, `org.opencontainers.image.…`.
    pub annotations: &'a [(String, String)],
}

/// What the store knows about one probe.
#[derive(Debug)]
pub struct Entry {
    pub reference: String,
    /// Of the manifest: what `name@sha256:…` names.
    pub digest: String,
    pub platform: Option<String>,
    pub created: Option<Timestamp>,
    /// The program's size in bytes, or why it can't be read.
    pub size: Result<u64, Damage>,
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

    /// Stores `program` under `reference`, which may have named another one before; returns the manifest's digest.
    pub fn put(&self, reference: &Reference, built: &Built) -> Result<String, Error> {
        let Built { program, architecture, created, annotations } = built;
        let writer = self.layout.lock()?;
        writer.index()?;
        let mut manifest = manifest(writer.put_blob(b"{}")?, writer.put_blob(program)?)?;
        manifest.set_annotations((!annotations.is_empty()).then(|| annotations.iter().cloned().collect()));
        let mut descriptor = writer.put_blob(&layout::document(&manifest)?)?;
        descriptor.set_media_type(MediaType::ImageManifest);
        descriptor.set_annotations(Some(HashMap::from([
            (ANNOTATION_REF_NAME.to_owned(), reference.to_string()),
            (ANNOTATION_CREATED.to_owned(), created.to_string()),
        ])));
        descriptor.set_platform(Some(PlatformBuilder::default().architecture(*architecture).os(Os::Linux).build()?));
        let digest = descriptor.digest().to_string();
        self.name(&writer, reference, descriptor)?;
        Ok(digest)
    }

    /// Lists an image under `reference`, which may have named another one before.
    fn name(&self, writer: &layout::Writer, reference: &Reference, descriptor: Descriptor) -> Result<(), Error> {
        let mut index = writer.index()?;
        let is_another = |it: &Descriptor| annotation(it, ANNOTATION_REF_NAME) != Some(reference.as_str());
        let mut manifests: Vec<_> = index.manifests().iter().filter(|it| is_another(it)).cloned().collect();
        manifests.push(descriptor);
        index.set_manifests(manifests);
        writer.put_index(&index)
    }

    fn find(&self, reference: &Reference) -> Result<Descriptor, Error> {
        let index = self.layout.index()?;
        let found = index.manifests().iter().find(|it| annotation(it, ANNOTATION_REF_NAME) == Some(reference.as_str()));
        found.cloned().ok_or_else(|| Error::Unknown { reference: reference.clone(), store: self.folder().into() })
    }

    /// The program that `reference` names.
    pub fn program(&self, reference: &Reference) -> Result<Vec<u8>, Error> {
        self.program_of(&self.find(reference)?).map_err(|why| Error::Damaged { reference: reference.to_string(), why })
    }

    /// What the store knows about one probe, and what its author says of it, `org.opencontainers.image.…`.
    pub fn describe(&self, reference: &Reference) -> Result<(Entry, BTreeMap<String, String>), Error> {
        let descriptor = self.find(reference)?;
        let damaged = |why| Error::Damaged { reference: reference.to_string(), why };
        let manifest = self.layout.blob(&descriptor, layout::MAX_JSON).map_err(damaged)?;
        let manifest: ImageManifest = serde_json::from_slice(&manifest)
            .map_err(|why| damaged(Damage::new("its manifest is not readable", why)))?;
        let annotations = manifest.annotations().clone().unwrap_or_default().into_iter().collect();
        Ok((self.entry(&descriptor), annotations))
    }

    /// Everything in the store, by name; each program is read and verified.
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        let index = self.layout.index()?;
        let mut entries: Vec<_> = index.manifests().iter().map(|descriptor| self.entry(descriptor)).collect();
        entries.sort_by(|a, b| a.reference.cmp(&b.reference));
        Ok(entries)
    }

    fn entry(&self, descriptor: &Descriptor) -> Entry {
        let platform = descriptor.platform().as_ref();
        Entry {
            reference: annotation(descriptor, ANNOTATION_REF_NAME).unwrap_or("<none>").to_owned(),
            digest: descriptor.digest().to_string(),
            platform: platform.map(|it| format!("{}/{}", it.os(), it.architecture())),
            created: annotation(descriptor, ANNOTATION_CREATED).and_then(|text| text.parse().ok()),
            size: self.program_of(descriptor).map(|program| program.len() as u64),
        }
    }

    fn program_of(&self, descriptor: &Descriptor) -> Result<Vec<u8>, Damage> {
        let manifest = self.layout.blob(descriptor, layout::MAX_JSON)?;
        let manifest: ImageManifest =
            serde_json::from_slice(&manifest).map_err(|why| Damage::new("its manifest is not readable", why))?;
        let is_program = |layer: &&Descriptor| *layer.media_type() == MediaType::from(PROGRAM);
        let program = manifest.layers().iter().find(is_program);
        let program = program.ok_or_else(|| Damage::new("it is an image, but no eBPF program", PROGRAM))?;
        self.layout.blob(program, layout::MAX_PROGRAM)
    }
}

fn manifest(mut config: Descriptor, mut program: Descriptor) -> Result<ImageManifest, Error> {
    config.set_media_type(CONFIG.into());
    config.set_annotations(Some(HashMap::from([(ANNOTATION_TITLE.to_owned(), CONFIG_TITLE.to_owned())])));
    program.set_media_type(PROGRAM.into());
    program.set_annotations(Some(HashMap::from([(ANNOTATION_TITLE.to_owned(), PROGRAM_TITLE.to_owned())])));
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(config)
        .layers([program])
        .build()?;
    Ok(manifest)
}

fn annotation<'a>(descriptor: &'a Descriptor, key: &str) -> Option<&'a str> {
    Some(descriptor.annotations().as_ref()?.get(key)?.as_str())
}
