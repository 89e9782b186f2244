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
            let Some(mut copy) = manifests.iter().find(|it| is_named(it, from)).cloned() else { return };
            copy["annotations"][ANNOTATION_REF_NAME] = to.as_str().into();
            manifests.retain(|it| name_of(it) != to.as_str());
            manifests.push(copy);
        })?;
        Ok(digest)
    }

    /// Lists an image under `reference`, which may have named another one before.
    pub(super) fn name(&self, writer: &Writer, reference: &Reference, descriptor: &Descriptor) -> Result<(), Error> {
        writer.edit_index(|manifests| {
            manifests.retain(|it| name_of(it) != reference.as_str());
            manifests.push(json!(descriptor));
        })
    }

    /// Removes names, all or none, and what no name needs any more; returns how many bytes that was. A digest stands for all tags of its
    /// name that have it.
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
        manifests.retain(|manifest| !references.iter().any(|reference| is_named(manifest, reference)));
    })
}

fn is_named(manifest: &Value, reference: &Reference) -> bool {
    reference.matches(name_of(manifest), manifest["digest"].as_str().unwrap_or_default())
}

fn name_of(manifest: &Value) -> &str {
    manifest["annotations"][ANNOTATION_REF_NAME].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use crate::store::{Built, Config, Error, Reference, Store};

    fn put(store: &Store, name: &str, program: &[u8]) -> String {
        let config = Config { architecture: "amd64".to_owned(), os: "linux".to_owned(), ..Config::default() };
        let programs = [(config, program.to_vec())];
        let built = Built { programs: &programs, created: Timestamp::UNIX_EPOCH, annotations: &[] };
        store.put(&name.parse().unwrap(), &built).unwrap()
    }

    fn names(store: &Store) -> Vec<String> {
        store.entries().unwrap().into_iter().map(|entry| entry.reference).collect()
    }

    #[test]
    fn a_probe_is_found_named_exported_and_removed_by_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path().join("store"));
        let old = put(&store, "x:v1", b"old");
        let new = put(&store, "x:v2", b"new");
        put(&store, "y:v1", b"old");
        let by_digest = |name: &str, digest: &str| format!("{name}@{digest}").parse::<Reference>().unwrap();
        assert_eq!(store.program(&by_digest("x", &old)).unwrap(), b"old");
        assert_eq!(store.program(&by_digest("x", &new)).unwrap(), b"new");
        assert_eq!(store.describe(&by_digest("x", &new)).unwrap().entry.reference, "x:v2");
        assert!(matches!(store.program(&by_digest("y", &new)), Err(Error::Unknown { .. })));

        store.tag(&by_digest("x", &old), &"x:kept".parse().unwrap()).unwrap();
        assert_eq!(names(&store), ["x:kept", "x:v1", "x:v2", "y:v1"]);
        // As it comes from a registry.
        let image = store.image(&by_digest("x", &old)).unwrap();
        store.put_image(&by_digest("x", &old), image, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(names(&store).len(), 5);
        let mut archive = vec![];
        store.export(&[by_digest("x", &new), by_digest("x", &old)], &mut archive).unwrap();
        let other = Store::at(folder.path().join("other"));
        assert_eq!(other.import(archive.as_slice()).unwrap().len(), 2);
        assert_eq!(other.program(&by_digest("x", &old)).unwrap(), b"old");

        store.remove(&[by_digest("x", &old)]).unwrap();
        assert_eq!(names(&store), ["x:v2", "y:v1"]);
        assert_eq!(store.program(&"y:v1".parse().unwrap()).unwrap(), b"old", "another name has it still");
    }
}
