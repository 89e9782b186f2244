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
        let whole = |it: Manifest| it.blobs.into_iter().map(|(_, bytes)| bytes).chain([it.document]);
        self.manifests.into_iter().flat_map(whole).chain(self.index.map(|(_, document)| document))
    }
}

impl Manifest {
    /// With its platform, as an index lists it.
    pub fn descriptor(&self) -> Descriptor {
        let mut descriptor = descriptor(MediaType::ImageManifest, &self.document);
        descriptor.set_platform(self.platform.clone());
        descriptor
    }
}

impl Store {
    /// The image that `reference` names, for all its processors, every digest verified.
    pub fn image(&self, reference: &Reference) -> Result<Image, Error> {
        let named = self.find(reference)?;
        let damaged = |why| Error::Damaged { reference: reference.to_string(), why };
        let manifests = self.manifests_of(&named).map_err(damaged)?;
        let lacking: Vec<_> = manifests.iter().filter(|it| !self.layout.has(it)).filter_map(platform::words).collect();
        if !lacking.is_empty() {
            return Err(Error::Incomplete { reference: reference.clone(), lacking: lacking.join(", ") });
        }
        let manifests =
            manifests.iter().map(|it| self.manifest_whole(it)).collect::<Result<_, _>>().map_err(damaged)?;
        let index = platform::is_index(named.media_type())
            .then(|| Ok((named.media_type().clone(), self.layout.blob(&named, layout::MAX_JSON)?.into())));
        Ok(Image { index: index.transpose().map_err(damaged)?, manifests })
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

    fn manifest_whole(&self, descriptor: &Descriptor) -> Result<Manifest, Damage> {
        let parsed = self.manifest(descriptor)?;
        let named = parsed.layers().iter().chain([parsed.config()]);
        let blob = |it: &Descriptor| Ok((it.clone(), self.layout.blob(it, layout::MAX_PROGRAM)?.into()));
        let blobs = named.map(blob).collect::<Result<_, Damage>>()?;
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
        let name = |(reference, mut descriptor): (Reference, Descriptor)| {
            descriptor.set_annotations(Some(HashMap::from([
                (ANNOTATION_REF_NAME.to_owned(), reference.to_string()),
                (ANNOTATION_CREATED.to_owned(), created.to_string()),
            ])));
            self.name(&writer, &reference, &descriptor)?;
            Ok((reference, descriptor.digest().to_string()))
        };
        named.into_iter().map(name).collect()
    }
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
