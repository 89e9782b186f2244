//! Other names for what is stored, and no names any more.

use std::collections::HashSet;

use oci_spec::image::{ANNOTATION_REF_NAME, Descriptor};

use super::{Error, Reference, Store, annotation};

impl Store {
    /// Gives what `from` names a second name; returns the manifest's digest.
    pub fn tag(&self, from: &Reference, to: &Reference) -> Result<String, Error> {
        let writer = self.layout.lock()?;
        let mut descriptor = self.find(from)?;
        let mut annotations = descriptor.annotations().clone().unwrap_or_default();
        annotations.insert(ANNOTATION_REF_NAME.to_owned(), to.to_string());
        descriptor.set_annotations(Some(annotations));
        let digest = descriptor.digest().to_string();
        self.name(&writer, to, descriptor)?;
        Ok(digest)
    }

    /// Removes names, all or none, and what no name needs any more; returns how many bytes that was.
    pub fn remove(&self, references: &[Reference]) -> Result<u64, Error> {
        let writer = self.layout.lock()?;
        references.iter().try_for_each(|reference| self.find(reference).map(drop))?;
        let mut index = writer.index()?;
        let goes = |it: &Descriptor| {
            references.iter().any(|reference| annotation(it, ANNOTATION_REF_NAME) == Some(reference.as_str()))
        };
        let kept: Vec<_> = index.manifests().iter().filter(|it| !goes(it)).cloned().collect();
        let needed = kept.iter().map(|it| self.needed_by(it)).collect::<Option<Vec<_>>>();
        index.set_manifests(kept);
        // First the list: whoever reads it finds all that it names.
        writer.put_index(&index)?;
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
