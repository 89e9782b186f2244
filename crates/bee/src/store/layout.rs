//! The files of an OCI image layout: reading that trusts nothing, writing that leaves nothing half-done.
//!
//! bee reads a user's store as root. So nothing read here leads outside the store (no symbolic link is followed, no path comes
//! from content), blocks (a FIFO is no file) or is bigger than it may be.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use oci::files::{self, as_owner};
use oci_spec::image::{Descriptor, ImageIndex, ImageIndexBuilder, MediaType, SCHEMA_VERSION};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::atomic_file;
use crate::object::SIZE_LIMIT;
use crate::store::{Damage, Error};

/// What is longer is no program that bee would look at.
pub const MAX_PROGRAM: u64 = SIZE_LIMIT as u64;
/// Room for some ten thousand probes in the list of what is stored.
const MAX_INDEX: u64 = 4 << 20;
/// Of a description that comes with an image: a manifest has two blobs. Parsed, it takes many times its length.
pub const MAX_JSON: u64 = 1 << 20;

pub const INDEX: &str = "index.json";
pub const MARKER: (&str, &str) = ("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);

#[derive(Debug)]
pub struct Layout {
    folder: PathBuf,
}

/// The one writer; its lock ends with it, also when the process is killed.
pub struct Writer<'a> {
    layout: &'a Layout,
    _lock: File,
}

impl Layout {
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The list of what is stored; empty where nothing was stored yet.
    pub fn index(&self) -> Result<ImageIndex, Error> {
        match self.read(INDEX, MAX_INDEX) {
            Ok(text) => {
                serde_json::from_slice(&text).map_err(|why| self.damaged_index(Damage::new("not an OCI index", why)))
            }
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(empty_index()?),
            Err(why) => Err(self.damaged_index(Damage::new("it can't be read", why))),
        }
    }

    /// The content that `descriptor` names, if it is still what it was.
    pub fn blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, Damage> {
        let digest = descriptor.as_digest_sha256();
        let digest = digest.ok_or_else(|| Damage::new("bee reads only sha256 digests, not", descriptor.digest()))?;
        let path = blob_path(digest);
        let content = self
            .read(&path, limit)
            .map_err(|why| Damage::new("its content can't be read", format!("{path}: {why}")))?;
        verify(descriptor, &content)?;
        Ok(content)
    }

    /// Whether there is something under this digest.
    pub fn has(&self, descriptor: &Descriptor) -> bool {
        let path = descriptor.as_digest_sha256().map(|digest| self.folder.join(blob_path(digest)));
        path.is_some_and(|path| path.symlink_metadata().is_ok())
    }

    /// Waits for its turn, makes the folder a layout if it is none yet, and clears away what a killed writer left.
    pub fn lock(&self) -> Result<Writer<'_>, Error> {
        let lock = self.open_locked().map_err(|why| Error::Write { path: self.folder.clone(), why })?;
        let writer = Writer { layout: self, _lock: lock };
        if !self.folder.join(MARKER.0).exists() {
            writer.write(MARKER.0, MARKER.1.as_bytes())?;
        }
        Ok(writer)
    }

    fn open_locked(&self) -> io::Result<File> {
        let blobs = self.folder.join("blobs/sha256");
        as_owner(&blobs, || fs::create_dir_all(&blobs))?;
        let lock = File::open(&self.folder)?;
        lock.lock()?;
        atomic_file::sweep(&self.folder)?;
        atomic_file::sweep(&blobs)?;
        Ok(lock)
    }

    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let folder = File::open(&self.folder)?;
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
        let file = File::from(openat2(&folder, path, how)?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        files::read_open(file, limit)
    }

    fn damaged_index(&self, why: Damage) -> Error {
        Error::Index { path: self.folder.join(INDEX), why }
    }
}

impl Writer<'_> {
    pub fn index(&self) -> Result<ImageIndex, Error> {
        self.layout.index()
    }

    /// Stores `content` under its digest, also where something is stored there already: that may be damaged.
    pub fn put_blob(&self, content: &[u8]) -> Result<(), Error> {
        self.write(&blob_path(&sha256(content)), content)
    }

    /// Removes all content but what has these digests; returns how many bytes that was. What can't be removed stays.
    pub fn keep_only(&self, digests: &HashSet<String>) -> Result<u64, Error> {
        let folder = self.layout.folder.join("blobs/sha256");
        let files = fs::read_dir(&folder).map_err(|why| Error::Write { path: folder, why })?;
        let mut bytes = 0;
        for file in files.flatten() {
            let size = file.metadata().map_or(0, |metadata| metadata.len());
            if !digests.contains(file.file_name().to_string_lossy().as_ref()) && fs::remove_file(file.path()).is_ok() {
                bytes += size;
            }
        }
        Ok(bytes)
    }

    /// Changes the list of what is stored. It is JSON here: what others wrote stays as it is, with what only they know.
    pub fn edit_index(&self, edit: impl FnOnce(&mut Vec<Value>)) -> Result<(), Error> {
        self.index()?;
        let mut index = match self.layout.read(INDEX, MAX_INDEX) {
            Ok(text) => {
                serde_json::from_slice(&text).map_err(|why| self.layout.damaged_index(Damage::new("not JSON", why)))?
            }
            Err(_) => json!(empty_index()?),
        };
        let Some(manifests) = index.get_mut("manifests").and_then(Value::as_array_mut) else {
            return Err(self.layout.damaged_index(Damage::new("it has no list", "manifests")));
        };
        edit(manifests);
        let index = document(&index)?;
        if index.len() as u64 > MAX_INDEX {
            return Err(Error::Full { store: self.layout.folder.clone() });
        }
        self.write(INDEX, &index)
    }

    fn write(&self, path: &str, content: &[u8]) -> Result<(), Error> {
        let path = self.layout.folder.join(path);
        atomic_file::replace(&path, content).map_err(|why| Error::Write { path, why })
    }
}

/// Content against the descriptor that names it.
pub fn verify(descriptor: &Descriptor, content: &[u8]) -> Result<(), Damage> {
    let is_it = content.len() as u64 == descriptor.size()
        && descriptor.as_digest_sha256().is_some_and(|digest| digest == sha256(content));
    if is_it {
        return Ok(());
    }
    let detail = format!("{} is the digest of other bytes", descriptor.digest());
    Err(Damage::new("its content is not what was stored", detail))
}

/// A document whose bytes depend on nothing but its content: oci-spec keeps annotations in hash maps.
pub fn document(document: &impl Serialize) -> Result<Vec<u8>, Error> {
    oci::digest::document(document).map_err(Error::Document)
}

pub fn empty_index() -> Result<ImageIndex, oci_spec::OciSpecError> {
    ImageIndexBuilder::default().schema_version(SCHEMA_VERSION).media_type(MediaType::ImageIndex).manifests([]).build()
}

pub fn blob_path(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}

pub fn sha256(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}
