//! One image whole, as it goes to a registry and comes from there.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use oci::digest::descriptor;
use oci_spec::image::{
    ANNOTATION_CREATED, ANNOTATION_REF_NAME, Descriptor, ImageIndex, ImageManifest, MediaType, Platform,
};
use tokio_util::bytes::Bytes;

use crate::store::{Damage, Error, PROGRAM, Reference, Store, layout, platform};

/// All documents byte for byte, and all that they name.
#[derive(Debug)]
pub struct Image {
    /// What the name is for, with its type, if the image is for several processors.
    pub index: Option<(MediaType, Bytes)>,
    /// Without an index it is one.
    pub manifests: Vec<Manifest>,
}

/// A probe for one processor.
#[derive(Debug)]
pub struct Manifest {
    pub document: Bytes,
    pub platform: Option<Platform>,
    pub blobs: Vec<(Descriptor, Bytes)>,
}

impl Image {
    /// What the name is for.
    pub fn descriptor(&self) -> Option<Descriptor> {
        match &self.index {
            Some((media_type, document)) => Some(descriptor(media_type.clone(), document)),
            None => self.manifests.first().map(Manifest::descriptor),
        }
    }

    /// Everything that it consists of, in the order in which each finds what it names.
    pub(super) fn into_contents(self) -> impl Iterator<Item = Bytes> {
        let manifests = self.manifests.into_iter().flat_map(Manifest::into_contents);
        manifests.chain(self.index.map(|(_, document)| document))
    }
}

impl Manifest {
    /// With its platform, as an index lists it.
    pub fn descriptor(&self) -> Descriptor {
        let mut descriptor = descriptor(MediaType::ImageManifest, &self.document);
        descriptor.set_platform(self.platform.clone());
        descriptor
    }

    fn into_contents(self) -> impl Iterator<Item = Bytes> {
        self.blobs.into_iter().map(|(_, bytes)| bytes).chain([self.document])
    }
}

impl Store {
    /// The image that `reference` names, for all its processors, every digest verified.
    pub fn image(&self, reference: &Reference) -> Result<Image, Error> {
        let named = self.find(reference)?;
        let manifests = self.manifests_of(&named).map_err(|why| Error::damaged(reference, why))?;
        let lacking: Vec<_> = manifests.iter().filter(|it| !self.layout.has(it)).filter_map(platform::words).collect();
        if !lacking.is_empty() {
            return Err(Error::Incomplete { reference: reference.clone(), lacking: lacking.join(", ") });
        }
        self.read_image(&named, &manifests).map_err(|why| Error::damaged(reference, why))
    }

    /// The manifests of an image, stored or not: itself, or what its index lists.
    pub(super) fn manifests_of(&self, named: &Descriptor) -> Result<Vec<Descriptor>, Damage> {
        if !platform::is_index(named.media_type()) {
            return Ok(vec![named.clone()]);
        }
        Ok(self.index_of(named)?.manifests().clone())
    }

    pub(super) fn index_of(&self, named: &Descriptor) -> Result<ImageIndex, Damage> {
        let index = self.layout.blob(named, layout::MAX_JSON)?;
        serde_json::from_slice(&index).map_err(|why| Damage::new("its index is not readable", why))
    }

    pub(super) fn manifest(&self, descriptor: &Descriptor) -> Result<ImageManifest, Damage> {
        let manifest = self.layout.blob(descriptor, layout::MAX_JSON)?;
        serde_json::from_slice(&manifest).map_err(|why| Damage::new("its manifest is not readable", why))
    }

    fn read_image(&self, named: &Descriptor, manifests: &[Descriptor]) -> Result<Image, Damage> {
        let manifests = manifests.iter().map(|it| self.read_manifest(it)).collect::<Result<_, _>>()?;
        if !platform::is_index(named.media_type()) {
            return Ok(Image { index: None, manifests });
        }
        let index = self.layout.blob(named, layout::MAX_JSON)?;
        Ok(Image { index: Some((named.media_type().clone(), index.into())), manifests })
    }

    fn read_manifest(&self, descriptor: &Descriptor) -> Result<Manifest, Damage> {
        let parsed = self.manifest(descriptor)?;
        let mut blobs = vec![];
        for part in parsed.layers().iter().chain([parsed.config()]) {
            blobs.push((part.clone(), self.layout.blob(part, layout::MAX_PROGRAM)?.into()));
        }
        let document = self.layout.blob(descriptor, layout::MAX_JSON)?.into();
        Ok(Manifest { document, platform: descriptor.platform().clone(), blobs })
    }

    /// Stores an image under `reference`; returns its digest.
    pub fn put_image(&self, reference: &Reference, image: Image, created: Timestamp) -> Result<String, Error> {
        let stored = self.put_images(vec![(reference.clone(), image)], created)?;
        stored.into_iter().next().map(|(_, digest)| digest).ok_or(Error::Empty)
    }

    /// Stores images, each under its name; returns names and digests. The names come last, when all that they need is there, and what
    /// several need is written once.
    pub fn put_images(
        &self,
        images: Vec<(Reference, Image)>,
        created: Timestamp,
    ) -> Result<Vec<(Reference, String)>, Error> {
        let writer = self.layout.lock()?;
        writer.index()?;
        let (mut written, mut named) = (HashSet::new(), vec![]);
        for (reference, image) in images {
            let descriptor = image.descriptor().ok_or(Error::Empty)?;
            for content in image.into_contents() {
                if written.insert((content.as_ptr(), content.len())) {
                    writer.put_blob(&content)?;
                }
            }
            named.push((reference, descriptor));
        }
        let mut stored = vec![];
        for (reference, mut descriptor) in named {
            descriptor.set_annotations(Some(index_annotations(&reference, created)));
            self.name(&writer, &reference, &descriptor)?;
            stored.push((reference, descriptor.digest().to_string()));
        }
        Ok(stored)
    }
}

/// What the store's index says of an image.
fn index_annotations(reference: &Reference, created: Timestamp) -> HashMap<String, String> {
    HashMap::from([
        (ANNOTATION_REF_NAME.to_owned(), reference.to_string()),
        (ANNOTATION_CREATED.to_owned(), created.to_string()),
    ])
}

/// Whether an image is a probe, and nothing else besides.
///
/// # Errors
/// It is not; the error says what it holds.
pub fn one_program(manifest: &ImageManifest) -> Result<(), String> {
    match manifest.layers().as_slice() {
        [] => Err("it has no content".to_owned()),
        [layer] if layer.media_type().to_string() == PROGRAM => Ok(()),
        [layer] => Err(format!("it holds {}, not {PROGRAM}", layer.media_type())),
        layers => Err(format!("it has {} layers, and a probe has one", layers.len())),
    }
}
