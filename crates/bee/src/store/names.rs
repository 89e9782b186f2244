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
        references.iter().try_for_each(|reference| self.find(reference).map(drop))?;
        let goes = |manifest: &Value| references.iter().any(|reference| names(manifest, reference));
        // First the list: whoever reads it finds all that it names.
        let shorten = || writer.edit_index(|manifests| manifests.retain(|it| !goes(it)));
        let mut bytes = 0;
        if shorten().is_err() {
            // On a full disk there is no room for a shorter list either, unless what a killed writer left goes before.
            bytes += self.sweep(&writer)?;
            shorten()?;
        }
        Ok(bytes + self.sweep(&writer)?)
    }

    /// Removes what no name needs; returns how many bytes that was.
    fn sweep(&self, writer: &Writer) -> Result<u64, Error> {
        let index = writer.index()?;
        let needed = index.manifests().iter().map(|it| self.needed_by(it)).collect::<Option<Vec<_>>>();
        // What a damaged manifest needs nobody knows: then everything stays.
        needed.map_or(Ok(0), |needed| writer.keep_only(&needed.into_iter().flatten().collect::<HashSet<_>>()))
    }

    /// The digests of an image's parts, as far as they are stored.
    fn needed_by(&self, named: &Descriptor) -> Option<Vec<String>> {
        let manifests = self.manifests_of(named).ok()?;
        let mut digests = vec![named.as_digest_sha256()?.to_owned()];
        for descriptor in manifests.iter().filter(|it| self.layout.has(it) || *it == named) {
            let manifest = self.manifest(descriptor).ok()?;
            let parts = manifest.layers().iter().chain([manifest.config(), descriptor]);
            let parts = parts.map(|part| Some(part.as_digest_sha256()?.to_owned()));
            digests.extend(parts.collect::<Option<Vec<_>>>()?);
        }
        Some(digests)
    }
}

fn names(manifest: &Value, reference: &Reference) -> bool {
    manifest["annotations"][ANNOTATION_REF_NAME] == reference.as_str()
}
