//! Reads an image archive back and holds every digest in it against its bytes, before anything of it goes to somebody else.

use std::{
    fs::File,
    io::{self, BufReader, Seek},
    path::{Path, PathBuf},
};

use futures::Stream;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio_util::{bytes::Bytes, io::ReaderStream};

use crate::{Error, Image};

/// Documents are a few kilobytes, and few; what is more is none of ours.
const LARGEST_DOCUMENT: u64 = 1 << 20;
const MOST_DOCUMENTS: usize = 16;
const MOST_FILES: usize = 10_000;
/// How much of a blob is read at a time.
const PIECE: usize = 256 << 10;

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
pub fn read(image: &Image) -> Result<Layout, Error> {
    let path = image.archive.display();
    let entries = entries(&image.archive).map_err(Error::at(format!("read the image archive {path}")))?;
    verify(image, &entries).map_err(|why| {
        Error::fixable(
            format!("the image archive {path} is damaged: {why}"),
            format!("remove it, and the same command builds it anew: rm {path}"),
        )
    })
}

impl Layout {
    /// The bytes of one of its blobs, in pieces.
    pub fn stream(&self, blob: &Blob) -> Result<impl Stream<Item = io::Result<Bytes>> + use<>, Error> {
        let archive =
            self.open(blob).map_err(Error::at(format!("read the image archive {}", self.archive.display())))?;
        let archive = tokio::fs::File::from_std(archive).take(blob.size);
        Ok(ReaderStream::with_capacity(archive, PIECE))
    }

    /// The archive, where one of its blobs begins.
    fn open(&self, blob: &Blob) -> io::Result<File> {
        let mut archive = File::open(&self.archive)?;
        archive.seek(io::SeekFrom::Start(blob.offset))?;
        Ok(archive)
    }
}

fn entries(archive: &Path) -> io::Result<Vec<Entry>> {
    let mut archive = tar::Archive::new(BufReader::new(File::open(archive)?));
    let read = |(number, entry): (usize, io::Result<tar::Entry<_>>)| {
        let mut entry = entry?;
        let (size, offset) = (entry.size(), entry.raw_file_position());
        let path = entry.path()?.to_string_lossy().into_owned();
        let keep = size <= LARGEST_DOCUMENT && number < MOST_DOCUMENTS;
        let mut content = Content { hash: Sha256::new(), bytes: vec![], keep };
        io::copy(&mut entry, &mut content)?;
        Ok(Entry { path, hash: hex::encode(content.hash.finalize()), size, offset, bytes: content.bytes })
    };
    archive.entries()?.take(MOST_FILES).enumerate().map(read).collect()
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
fn verify(image: &Image, entries: &[Entry]) -> Result<Layout, String> {
    let root = match document::<ImageIndex>(file(entries, "index.json")?)?.manifests().as_slice() {
        [root] => root.clone(),
        _ => return Err("index.json names several images".to_owned()),
    };
    ensure(root.digest().to_string() == image.digest, || format!("it holds {}, not {}", root.digest(), image.digest))?;
    let manifest_file = blob(entries, &root)?;
    let manifest: ImageManifest = document(manifest_file)?;
    let config_file = blob(entries, manifest.config())?;
    let config: ImageConfiguration = document(config_file)?;
    let layers = manifest.layers().iter().map(|layer| blob(entries, layer)).collect::<Result<Vec<_>, _>>()?;

    // No layer is compressed, so that its digest is that of what it unpacks to.
    let digests: Vec<_> = layers.iter().map(|layer| format!("sha256:{}", layer.hash)).collect();
    ensure(*config.rootfs().diff_ids() == digests, || "its config names other layers than its manifest".to_owned())?;
    let docker: Vec<DockerImage> = document(file(entries, "manifest.json")?)?;
    let [docker] = docker.as_slice() else { return Err("manifest.json names several images".to_owned()) };
    let same = docker.config == config_file.path
        && docker.repo_tags == [image.reference.clone()]
        && docker.layers.iter().eq(layers.iter().map(|layer| &layer.path));
    ensure(same, || "manifest.json names other files than index.json".to_owned())?;

    let blobs = layers.into_iter().chain([config_file]).map(|entry| Blob {
        digest: format!("sha256:{}", entry.hash),
        size: entry.size,
        offset: entry.offset,
    });
    Ok(Layout { archive: image.archive.clone(), manifest: manifest_file.bytes.clone(), blobs: blobs.collect() })
}

fn file<'a>(entries: &'a [Entry], path: &str) -> Result<&'a Entry, String> {
    entries.iter().find(|entry| entry.path == path).ok_or_else(|| format!("{path} is missing"))
}

fn blob<'a>(entries: &'a [Entry], descriptor: &Descriptor) -> Result<&'a Entry, String> {
    let digest = descriptor.digest().to_string();
    let entry = file(entries, &path_of(&digest))?;
    ensure(digest == format!("sha256:{}", entry.hash), || {
        format!("the bytes of {digest} have the hash {}", entry.hash)
    })?;
    ensure(descriptor.size() == entry.size, || {
        format!("{digest} has {} bytes, not {}", entry.size, descriptor.size())
    })?;
    Ok(entry)
}

fn document<T: DeserializeOwned>(entry: &Entry) -> Result<T, String> {
    serde_json::from_slice(&entry.bytes).map_err(|why| format!("{}: {why}", entry.path))
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn path_of(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{Recipe, archive};

    fn image(folder: &Path) -> Image {
        let program = folder.join("tool");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        let recipe = Recipe { name: "tool".into(), program, files: vec![], arguments: vec!["serve".into()] };
        archive::write(folder, &recipe, "localhost/ebpf-lab/tool:lab").unwrap()
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
            assert!(error.to_string().contains("is damaged"), "{}: {error}", entry.path);
            assert!(error.hint().unwrap().contains("rm "), "{}", entry.path);
        }
        fs::write(&image.archive, &whole[..whole.len() / 2]).unwrap();
        assert!(read(&image).is_err(), "half of it is not it");
    }
}
