//! Probes as one file, for a room without a registry: an OCI image layout as a tar archive
//! (<https://github.com/opencontainers/image-spec/blob/main/image-layout.md>).
//!
//! What is imported comes from somebody else. Nothing of it is unpacked: its files are read into memory within bounds, under names
//! that a layout has, and only what has the digest that names it is stored, by the store's own way.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Write};

use jiff::Timestamp;
use oci_spec::image::{ANNOTATION_REF_NAME, Descriptor, ImageIndex, ImageManifest};
use serde::de::DeserializeOwned;
use tar::{Archive, Builder, EntryType, Header};
use tokio_util::bytes::Bytes;

use crate::allowance::MOST;
use crate::store::{
    Damage, Error, Image, MOST_PLATFORMS, Manifest, Reference, Store, annotation, image, layout, platform,
};

/// All files of an archive together, which are in memory until all is found to be right, and what tar has around them.
const MOST_BYTES: u64 = MOST as u64;
const HEADERS: u64 = 4 << 20;
const MOST_FILES: usize = 10_000;
const BLOBS: &str = "blobs/sha256/";
/// Images, each of which may name all the others' files.
const MOST_IMAGES: usize = 1000;

/// Why an archive is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("the archive can't be read")]
    Read(#[source] io::Error),
    #[error("not a tar archive, or a damaged one")]
    NoArchive,
    #[error("the archive has {0:?}, which is not part of an OCI image layout")]
    File(String),
    #[error("the archive has {0} twice")]
    Twice(String),
    #[error("the archive has more than {MOST_FILES} files, {MOST_IMAGES} probes or {} MB", MOST_BYTES >> 20)]
    TooLarge,
    #[error("the archive is damaged")]
    Damaged(#[from] Damage),
    #[error("the archive has no probe")]
    Empty,
    #[error("invalid probe name {0:?} in the archive")]
    Name(String),
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<io::Error> for ImportError {
    /// What the system did not say, tar did, in the words of whatever the file has.
    fn from(why: io::Error) -> Self {
        if why.raw_os_error().is_some() { Self::Read(why) } else { Self::NoArchive }
    }
}

impl Store {
    /// Writes these probes as one archive; the same probes give the same bytes.
    ///
    /// # Errors
    /// The store has no such probe, or it is damaged; the output can't be written.
    pub fn export(&self, references: &[Reference], output: impl Write) -> Result<(), Error> {
        let mut blobs = BTreeMap::new();
        let mut manifests = vec![];
        for reference in references {
            manifests.push(self.find(reference)?);
            for content in self.image(reference)?.into_contents() {
                blobs.insert(layout::sha256(&content), content);
            }
        }
        let mut index = layout::empty_index()?;
        index.set_manifests(manifests);
        let index = layout::document(&index)?;
        write_archive(output, &index, &blobs).map_err(|why| Error::Write { path: "the archive".into(), why })
    }

    /// Stores all probes of an archive under their names; returns names and digests. None is stored if one of them can't be.
    ///
    /// # Errors
    /// It is no archive of a layout, or something in it is not what it says.
    pub fn import(&self, input: impl Read) -> Result<Vec<(Reference, String)>, ImportError> {
        let files = files(input)?;
        let index = files.get(layout::INDEX).ok_or_else(|| Damage::new("it has no", layout::INDEX))?;
        let index: ImageIndex = document(index)?;
        let named = index.manifests();
        if named.len() > MOST_IMAGES {
            return Err(ImportError::TooLarge);
        }
        let images = named.iter().map(|descriptor| image_of(&files, descriptor)).collect::<Result<Vec<_>, _>>()?;
        if images.is_empty() {
            return Err(ImportError::Empty);
        }
        Ok(self.put_images(images, Timestamp::now())?)
    }
}

fn write_archive(output: impl Write, index: &[u8], blobs: &BTreeMap<String, Bytes>) -> io::Result<()> {
    let mut archive = Builder::new(output);
    append(&mut archive, layout::MARKER.0, layout::MARKER.1.as_bytes())?;
    append(&mut archive, layout::INDEX, index)?;
    for (digest, bytes) in blobs {
        append(&mut archive, &layout::blob_path(digest), bytes)?;
    }
    archive.into_inner()?.flush()
}

/// Without owner and time, so that the same content gives the same bytes.
fn append(archive: &mut Builder<impl Write>, path: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, path, bytes)
}

/// The archive's files by their paths.
type Files = HashMap<String, Bytes>;

fn files(input: impl Read) -> Result<Files, ImportError> {
    let mut files = Files::new();
    let mut left = MOST_BYTES;
    for entry in Archive::new(input.take(MOST_BYTES + HEADERS)).entries()? {
        let entry = entry?;
        let path = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
        match entry.header().entry_type() {
            EntryType::Directory => continue,
            EntryType::Regular if is_of_layout(&path) => {}
            _ => return Err(ImportError::File(beginning(&path))),
        }
        if files.len() >= MOST_FILES {
            return Err(ImportError::TooLarge);
        }
        left = left.checked_sub(entry.size()).ok_or(ImportError::TooLarge)?;
        let mut bytes = vec![];
        entry.take(MOST_BYTES).read_to_end(&mut bytes)?;
        hold_against_digest(&path, &bytes)?;
        if files.insert(path.clone(), bytes.into()).is_some() {
            return Err(ImportError::Twice(path));
        }
    }
    Ok(files)
}

/// `manifest.json` is docker's own description beside OCI's.
fn is_of_layout(path: &str) -> bool {
    match path.strip_prefix(BLOBS) {
        Some(digest) => is_hex_sha256(digest),
        None => [layout::INDEX, layout::MARKER.0, "manifest.json"].contains(&path),
    }
}

fn is_hex_sha256(digest: &str) -> bool {
    digest.len() == 64 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Once, however many images name it.
fn hold_against_digest(path: &str, bytes: &[u8]) -> Result<(), Damage> {
    match path.strip_prefix(BLOBS) {
        Some(digest) if layout::sha256(bytes) != digest => {
            Err(Damage::new("its name is the digest of other bytes", path))
        }
        _ => Ok(()),
    }
}

/// One image of the archive, every digest verified.
fn image_of(files: &Files, named: &Descriptor) -> Result<(Reference, Image), ImportError> {
    let name = annotation(named, ANNOTATION_REF_NAME).unwrap_or_default();
    let reference: Reference = name.parse().map_err(|_| ImportError::Name(beginning(name)))?;
    if reference.digest().is_some_and(|digest| digest != named.digest().as_ref()) {
        return Err(Damage::new("a name has the digest of another probe", beginning(name)).into());
    }
    if !platform::is_index(named.media_type()) {
        return Ok((reference, Image { index: None, manifests: vec![manifest(files, named)?] }));
    }
    let bytes = blob(files, named)?;
    let index: ImageIndex = document(&bytes)?;
    let listed: Vec<_> = index.manifests().iter().filter(|it| has(files, it)).collect();
    if listed.len() > MOST_PLATFORMS {
        return Err(Damage::new("it is for too many processors", listed.len()).into());
    }
    let manifests = listed.into_iter().map(|it| manifest(files, it)).collect::<Result<Vec<_>, _>>()?;
    if manifests.is_empty() {
        return Err(Damage::new("it lacks all that this index lists", named.digest()).into());
    }
    Ok((reference, Image { index: Some((named.media_type().clone(), bytes)), manifests }))
}

fn has(files: &Files, descriptor: &Descriptor) -> bool {
    descriptor.as_digest_sha256().is_some_and(|digest| files.contains_key(&layout::blob_path(digest)))
}

fn manifest(files: &Files, descriptor: &Descriptor) -> Result<Manifest, Damage> {
    let bytes = blob(files, descriptor)?;
    let parsed: ImageManifest = document(&bytes)?;
    image::one_program(&parsed).map_err(|why| Damage::new("not an eBPF probe", why))?;
    let mut blobs = vec![];
    for part in parsed.layers().iter().chain([parsed.config()]) {
        blobs.push((part.clone(), blob(files, part)?));
    }
    Ok(Manifest { document: bytes, platform: descriptor.platform().clone(), blobs })
}

fn blob(files: &Files, part: &Descriptor) -> Result<Bytes, Damage> {
    let digest =
        part.as_digest_sha256().ok_or_else(|| Damage::new("bee reads only sha256 digests, not", part.digest()))?;
    let bytes = files.get(&layout::blob_path(digest)).ok_or_else(|| Damage::new("it lacks", part.digest()))?;
    if bytes.len() as u64 != part.size() {
        return Err(Damage::new("it has another size than is said of it", part.digest()));
    }
    Ok(bytes.clone())
}

/// What is longer than the store would read is not parsed: it takes many times its length.
fn document<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Damage> {
    if bytes.len() as u64 > layout::MAX_JSON {
        return Err(Damage::new("a description is too long", format!("{} bytes", bytes.len())));
    }
    serde_json::from_slice(bytes).map_err(|why| Damage::new("a description is not readable", why))
}

/// Somebody else's words, of which the beginning will do.
fn beginning(text: &str) -> String {
    text.chars().take(100).collect()
}
