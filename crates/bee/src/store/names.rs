//! Other names for what is stored, and no names any more.

use std::collections::HashSet;

use oci_spec::image::{ANNOTATION_REF_NAME, Descriptor};
use serde_json::{Value, json};

use crate::store::layout::Writer;
use crate::store::{Error, Reference, Store};

impl Store {
    /// Gives what `from` names a second name; returns the manifest's digest.
    pub fn tag(&self, from: &Reference, to: &Reference) -> Result<String, Error> {
        let writer = self.layout.lock()?;
        let digest = self.find(from)?.digest().to_string();
        writer.edit_index(|manifests| {
            let Some(mut copy) = manifests.iter().find(|it| names(it, from)).cloned() else { return };
            copy["annotations"][ANNOTATION_REF_NAME] = to.as_str().into();
            manifests.retain(|it| !names(it, to));
            manifests.push(copy);
        })?;
        Ok(digest)
    }

    /// Lists an image under `reference`, which may have named another one before.
    pub(super) fn name(&self, writer: &Writer, reference: &Reference, descriptor: &Descriptor) -> Result<(), Error> {
        writer.edit_index(|manifests| {
            manifests.retain(|it| !names(it, reference));
            manifests.push(json!(descriptor));
        })
    }

    /// Removes names, all or none, and what no name needs any more; returns how many bytes that was.
    pub fn remove(&self, references: &[Reference]) -> Result<u64, Error> {
        let writer = self.layout.lock()?;
        for reference in references {
            self.find(reference)?;
        }
        let mut bytes = 0;
        // First the list: whoever reads it finds all that it names.
        if unlist(&writer, references).is_err() {
            // On a full disk there is no room for a shorter list either, unless what a killed writer left goes before.
            bytes += self.sweep(&writer)?;
            unlist(&writer, references)?;
        }
        Ok(bytes + self.sweep(&writer)?)
    }

    /// Removes what no name needs; returns how many bytes that was.
    fn sweep(&self, writer: &Writer) -> Result<u64, Error> {
        let index = writer.index()?;
        let mut needed = HashSet::new();
        for named in index.manifests() {
            // What a damaged manifest needs nobody knows: then everything stays.
            let Some(digests) = self.needed_by(named) else { return Ok(0) };
            needed.extend(digests);
        }
        writer.keep_only(&needed)
    }

    /// The digests of an image's parts, as far as they are stored.
    fn needed_by(&self, named: &Descriptor) -> Option<Vec<String>> {
        let manifests = self.manifests_of(named).ok()?;
        let mut digests = vec![named.as_digest_sha256()?.to_owned()];
        for descriptor in manifests.iter().filter(|it| self.layout.has(it) || *it == named) {
            let manifest = self.manifest(descriptor).ok()?;
            for part in manifest.layers().iter().chain([manifest.config(), descriptor]) {
                digests.push(part.as_digest_sha256()?.to_owned());
            }
        }
        Some(digests)
    }
}

fn unlist(writer: &Writer, references: &[Reference]) -> Result<(), Error> {
    writer.edit_index(|manifests| {
        manifests.retain(|manifest| !references.iter().any(|reference| names(manifest, reference)));
    })
}

fn names(manifest: &Value, reference: &Reference) -> bool {
    manifest["annotations"][ANNOTATION_REF_NAME] == reference.as_str()
}
