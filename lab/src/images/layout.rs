//! Reads an image archive back and holds every digest in it against its bytes, before anything of it goes to somebody else.

use std::{
    fs::File,
    io::{self, BufReader, Seek},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Image;
use crate::error::unfit;

/// Documents are a few kilobytes; what is larger is no document of ours.
const LARGEST_DOCUMENT: u64 = 1 << 20;

/// An image as it lies in an archive, every digest verified.
#[derive(Debug)]
pub struct Layout {
    archive: PathBuf,
    /// The manifest, byte for byte: its digest is the image's.
    pub manifest: Vec<u8>,
    /// What the manifest names, the config last.
    pub blobs: Vec<Blob>,
}

/// A layer or a config: a stretch of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// `sha256:…` of its bytes.
    pub digest: String,
    pub size: u64,
    offset: u64,
}

/// What Docker before version 25 reads.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// One file of the archive.
struct Entry {
    path: String,
    hash: String,
    size: u64,
    offset: u64,
    /// Empty for a large file.
    bytes: Vec<u8>,
}

/// The image's archive, if it is what was once written.
///
/// # Errors
/// A byte that changed since, a file that is missing: the archive can be built anew.
pub fn read(image: &Image) -> Result<Layout> {
    let path = image.archive.display();
    let entries = entries(&image.archive).with_context(|| format!("read the image archive {path}"))?;
    verify(image, &entries).map_err(|error| {
        unfit(
            format!("the image archive {path} is damaged: {error:#}"),
            format!("remove it, and the same command builds it anew: rm {path}"),
        )
    })
}

impl Layout {
    /// The archive, where one of its blobs begins.
    pub fn open(&self, blob: &Blob) -> io::Result<File> {
        let mut archive = File::open(&self.archive)?;
        archive.seek(io::SeekFrom::Start(blob.offset))?;
        Ok(archive)
    }
}

fn entries(archive: &Path) -> Result<Vec<Entry>> {
    let mut archive = tar::Archive::new(BufReader::new(File::open(archive)?));
    let read = |entry: io::Result<tar::Entry<_>>| {
        let mut entry = entry?;
        let (size, offset) = (entry.size(), entry.raw_file_position());
        let path = entry.path()?.to_string_lossy().into_owned();
        let mut content = Content { hash: Sha256::new(), bytes: vec![], keep: size <= LARGEST_DOCUMENT };
        io::copy(&mut entry, &mut content)?;
        Ok(Entry { path, hash: hex::encode(content.hash.finalize()), size, offset, bytes: content.bytes })
    };
    archive.entries()?.map(read).collect()
}

/// Hashes what passes, and keeps it if it is small.
struct Content {
    hash: Sha256,
    bytes: Vec<u8>,
    keep: bool,
}

impl io::Write for Content {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        if self.keep {
            self.bytes.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// From the index down to each layer: one says the digest of the next, and the files beside them say the same.
fn verify(image: &Image, entries: &[Entry]) -> Result<Layout> {
    let file =
        |path: &str| entries.iter().find(|entry| entry.path == path).with_context(|| format!("{path} is missing"));
    let blob = |descriptor: &Descriptor| {
        let digest = descriptor.digest().to_string();
        let entry = file(&path_of(&digest))?;
        ensure!(digest == format!("sha256:{}", entry.hash), "the bytes of {digest} have the hash {}", entry.hash);
        ensure!(descriptor.size() == entry.size, "{digest} has {} bytes, not {}", entry.size, descriptor.size());
        anyhow::Ok(entry)
    };
    let index: ImageIndex = serde_json::from_slice(&file("index.json")?.bytes).context("index.json")?;
    let [root] = index.manifests().as_slice() else { anyhow::bail!("index.json names several images") };
    ensure!(root.digest().to_string() == image.digest, "it holds {}, not {}", root.digest(), image.digest);
    let manifest_file = blob(root)?;
    let manifest: ImageManifest = serde_json::from_slice(&manifest_file.bytes).context("its manifest")?;
    let config_file = blob(manifest.config())?;
    let config: ImageConfiguration = serde_json::from_slice(&config_file.bytes).context("its config")?;
    let layers = manifest.layers().iter().map(blob).collect::<Result<Vec<_>>>()?;

    // No layer is compressed, so that its digest is that of what it unpacks to.
    let digests: Vec<_> = layers.iter().map(|layer| format!("sha256:{}", layer.hash)).collect();
    ensure!(*config.rootfs().diff_ids() == digests, "its config names other layers than its manifest");
    let docker: Vec<DockerImage> = serde_json::from_slice(&file("manifest.json")?.bytes).context("manifest.json")?;
    let [docker] = docker.as_slice() else { anyhow::bail!("manifest.json names several images") };
    let same = docker.config == config_file.path
        && docker.repo_tags == [image.reference.clone()]
        && docker.layers.iter().eq(layers.iter().map(|layer| &layer.path));
    ensure!(same, "manifest.json names other files than index.json");

    let blobs = layers.into_iter().chain([config_file]).map(|entry| Blob {
        digest: format!("sha256:{}", entry.hash),
        size: entry.size,
        offset: entry.offset,
    });
    Ok(Layout { archive: image.archive.clone(), manifest: manifest_file.bytes.clone(), blobs: blobs.collect() })
}

fn path_of(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use super::*;
    use crate::images::{archive, catalog::Recipe, rootfs::Content};

    fn image(folder: &Path) -> Image {
        let program = folder.join("tool");
        fs::write(&program, "#!program").unwrap();
        let recipe = Recipe { name: "tool", program: program.clone(), files: vec![], arguments: &["serve"] };
        let files = BTreeMap::from([("/bin/tool".into(), Content::File { source: program, executable: true })]);
        archive::write(folder, &recipe, "localhost/ebpf-lab/tool:lab", &files).unwrap()
    }

    #[test]
    fn an_archive_read_back_gives_the_bytes_that_its_digests_name() {
        let folder = tempfile::tempdir().unwrap();
        let image = image(folder.path());
        let layout = read(&image).unwrap();
        assert_eq!(format!("sha256:{}", hex::encode(Sha256::digest(&layout.manifest))), image.digest);
        assert_eq!(layout.blobs.len(), 2, "a layer and a config");
        for blob in &layout.blobs {
            let mut bytes = vec![];
            io::Read::read_to_end(&mut io::Read::take(layout.open(blob).unwrap(), blob.size), &mut bytes).unwrap();
            assert_eq!(format!("sha256:{}", hex::encode(Sha256::digest(&bytes))), blob.digest);
        }
    }

    #[test]
    fn a_byte_that_changed_in_any_file_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let image = image(folder.path());
        let whole = fs::read(&image.archive).unwrap();
        // What says only that it is a layout holds nothing.
        let files = entries(&image.archive).unwrap().into_iter().filter(|entry| entry.path != "oci-layout");
        for entry in files {
            let mut damaged = whole.clone();
            damaged[entry.offset as usize + entry.size as usize / 2] ^= 1;
            fs::write(&image.archive, damaged).unwrap();
            let error = read(&image).expect_err(&entry.path);
            assert!(error.to_string().contains("is damaged"), "{}: {error:#}", entry.path);
            assert!(crate::error::hint(&error).unwrap().contains("rm "), "{}", entry.path);
        }
        fs::write(&image.archive, &whole[..whole.len() / 2]).unwrap();
        assert!(read(&image).is_err(), "half of it is not it");
    }
}
