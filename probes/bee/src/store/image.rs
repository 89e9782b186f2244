//! One image whole, as it goes to a registry and comes from there.

use std::collections::HashMap;

use jiff::Timestamp;
use oci_spec::image::{ANNOTATION_CREATED, ANNOTATION_REF_NAME, Descriptor, ImageManifest, MediaType, Platform};

use super::{Damage, Error, Reference, Store, layout};

/// A manifest, byte for byte, and all that it names.
#[derive(Debug)]
pub struct Image {
    pub manifest: Vec<u8>,
    pub platform: Option<Platform>,
    pub blobs: Vec<(Descriptor, Vec<u8>)>,
}

impl Store {
    /// The image that `reference` names, every digest verified.
    pub fn image(&self, reference: &Reference) -> Result<Image, Error> {
        let descriptor = self.find(reference)?;
        self.image_of(&descriptor).map_err(|why| Error::Damaged { reference: reference.to_string(), why })
    }

    fn image_of(&self, descriptor: &Descriptor) -> Result<Image, Damage> {
        let manifest = self.layout.blob(descriptor, layout::MAX_JSON)?;
        let parsed: ImageManifest =
            serde_json::from_slice(&manifest).map_err(|why| Damage::new("its manifest is not readable", why))?;
        let named = parsed.layers().iter().chain([parsed.config()]);
        let blob = |it: &Descriptor| Ok((it.clone(), self.layout.blob(it, layout::MAX_PROGRAM)?));
        let blobs = named.map(blob).collect::<Result<_, Damage>>()?;
        Ok(Image { manifest, platform: descriptor.platform().clone(), blobs })
    }

    /// Stores an image under `reference`; returns the manifest's digest. The name comes last, when all that it needs is there.
    pub fn put_image(&self, reference: &Reference, image: &Image) -> Result<String, Error> {
        let writer = self.layout.lock()?;
        for (_, bytes) in &image.blobs {
            writer.put_blob(bytes)?;
        }
        let mut descriptor = writer.put_blob(&image.manifest)?;
        descriptor.set_media_type(MediaType::ImageManifest);
        descriptor.set_annotations(Some(HashMap::from([
            (ANNOTATION_REF_NAME.to_owned(), reference.to_string()),
            (ANNOTATION_CREATED.to_owned(), Timestamp::now().to_string()),
        ])));
        descriptor.set_platform(image.platform.clone());
        let digest = descriptor.digest().to_string();
        self.name(&writer, reference, descriptor)?;
        Ok(digest)
    }
}
