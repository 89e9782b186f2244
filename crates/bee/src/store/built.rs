//! A probe that was built becomes an image: as BumbleBee has it for one processor, with OCI's index above for several.

use std::collections::HashMap;

use jiff::Timestamp;
use oci::digest::descriptor;
use oci_spec::image::{
    ANNOTATION_TITLE, Descriptor, ImageIndex, ImageIndexBuilder, ImageManifestBuilder, MediaType, SCHEMA_VERSION,
};
use tokio_util::bytes::Bytes;

use crate::store::{Config, Error, Image, Manifest, PROGRAM, Reference, Store, layout, platform};

/// BumbleBee's type of a probe's other blob, and the names that it gives both.
const CONFIG: &str = "application/ebpf.oci.image.config.v1+json";
const CONFIG_TITLE: &str = "config.json";
const PROGRAM_TITLE: &str = "program.o";

/// A probe that was built.
pub struct Built<'a> {
    /// One for each processor.
    pub programs: &'a [(Config, Vec<u8>)],
    pub created: Timestamp,
    /// What its author says of it, `org.opencontainers.image.…`.
    pub annotations: &'a [(String, String)],
}

impl Store {
    /// Stores a probe under `reference`, which may have named another one before; returns the digest.
    ///
    /// # Errors
    /// The store can't be written.
    pub fn put(&self, reference: &Reference, built: &Built) -> Result<String, Error> {
        self.put_image(reference, built.image()?, built.created)
    }
}

impl Built<'_> {
    fn image(&self) -> Result<Image, Error> {
        let manifests = self.programs.iter().map(|program| self.manifest(program)).collect::<Result<Vec<_>, _>>()?;
        let index = match manifests.as_slice() {
            [_] => None,
            several => Some((MediaType::ImageIndex, layout::document(&self.index(several)?)?.into())),
        };
        Ok(Image { index, manifests })
    }

    fn manifest(&self, (config, program): &(Config, Vec<u8>)) -> Result<Manifest, Error> {
        let config = layout::document(config)?;
        let blobs = vec![
            (titled(PROGRAM, PROGRAM_TITLE, program), Bytes::from(program.clone())),
            (titled(CONFIG, CONFIG_TITLE, &config), Bytes::from(config)),
        ];
        let manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageManifest)
            .config(blobs[1].0.clone())
            .layers([blobs[0].0.clone()]);
        let mut manifest = manifest.build()?;
        manifest.set_annotations(self.annotations());
        Ok(Manifest {
            document: layout::document(&manifest)?.into(),
            platform: platform::of_config(&blobs[1].1),
            blobs,
        })
    }

    fn index(&self, manifests: &[Manifest]) -> Result<ImageIndex, Error> {
        let manifests: Vec<_> = manifests.iter().map(Manifest::descriptor).collect();
        let index = ImageIndexBuilder::default().schema_version(SCHEMA_VERSION).media_type(MediaType::ImageIndex);
        let mut index = index.manifests(manifests).build()?;
        index.set_annotations(self.annotations());
        Ok(index)
    }

    fn annotations(&self) -> Option<HashMap<String, String>> {
        (!self.annotations.is_empty()).then(|| self.annotations.iter().cloned().collect())
    }
}

fn titled(media_type: &str, title: &str, content: &[u8]) -> Descriptor {
    let mut descriptor = descriptor(media_type, content);
    descriptor.set_annotations(Some(HashMap::from([(ANNOTATION_TITLE.to_owned(), title.to_owned())])));
    descriptor
}
