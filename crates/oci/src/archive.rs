//! Writes an image archive: an OCI layout and a docker-archive in one tar.
//!
//! containerd and kind read the layout; Docker before 25 reads only `manifest.json`
//! (<https://github.com/moby/moby/pull/44598>), which points at the same blobs. No time, owner or order of this machine gets in.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{File, Permissions},
    io::{self, BufWriter, Read, Seek, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use oci_spec::OciSpecError;
use oci_spec::image::{
    Arch, ConfigBuilder, Descriptor, ImageConfiguration, ImageConfigurationBuilder, ImageIndexBuilder,
    ImageManifestBuilder, MediaType, Os, RootFsBuilder,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    Error,
    digest::{self, descriptor, document},
    rootfs::{self, Content, Files},
};

/// What an image is made of.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The last part of its name, such as `bee`.
    pub name: String,
    /// The program that the container runs; it lies in `/bin` under its own name, where the upstream images have theirs too
    /// (the operator's containers call `/bin/prometheus-config-reloader`).
    pub program: PathBuf,
    /// More files, at absolute paths in the image.
    pub files: Vec<(PathBuf, Content)>,
    /// Arguments before those of the container.
    pub arguments: Vec<String>,
}

/// An image archive on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its name in a cluster, such as `localhost/ebpf-lab/bee:lab`.
    pub reference: String,
    /// `sha256:…` of its manifest.
    pub digest: String,
    /// The archive: OCI layout and docker-archive in one tar, as `ctr images import`, `docker load` and `kind load` take it.
    pub archive: PathBuf,
    /// The archive's size in bytes.
    pub size: u64,
}

impl Recipe {
    /// The files of this machine that it is made of, apart from libraries.
    pub fn inputs(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.program.as_path()).chain(self.files.iter().filter_map(|(_, content)| content.source()))
    }
}

impl Image {
    /// The last part of its name, such as `bee`.
    pub fn name(&self) -> &str {
        let name = self.reference.rsplit('/').next().unwrap_or_default();
        name.split(':').next().unwrap_or_default()
    }
}

/// Writes the image of `recipe` under `reference` into `folder`, named by its digest.
///
/// # Errors
/// A program or library that is missing, a full disk.
pub fn write(folder: &Path, recipe: &Recipe, reference: &str) -> Result<Image, Error> {
    let files = rootfs::files(recipe)?;
    let failed = |why| Error::at(format!("write the image {reference} into {}", folder.display()))(why);
    let mut layer = tempfile::tempfile_in(folder).map_err(failed)?;
    let parts = Parts::new(recipe, write_layer(&mut layer, &files)?)?;
    let hash = parts.manifest.0.as_digest_sha256().unwrap_or_default();
    let archive = folder.join(format!("{}-{}.tar", recipe.name, &hash[..16]));
    // Under another name first, so that a killed run leaves nothing half-written under its own.
    let readable = Permissions::from_mode(0o644);
    let mut partial = tempfile::Builder::new().permissions(readable).tempfile_in(folder).map_err(failed)?;
    parts.write(reference, &mut layer, partial.as_file_mut()).map_err(failed)?;
    let size = partial.as_file().metadata().map_err(failed)?.len();
    partial.persist(&archive).map_err(|refused| failed(refused.error))?;
    Ok(Image { reference: reference.to_owned(), digest: parts.manifest.0.digest().to_string(), archive, size })
}

/// An image's documents, each with the name that others have for it.
struct Parts {
    layer: Descriptor,
    config: (Descriptor, Vec<u8>),
    manifest: (Descriptor, Vec<u8>),
}

impl Parts {
    fn new(recipe: &Recipe, layer: Descriptor) -> Result<Self, Error> {
        let config = document(&config(recipe, &layer).map_err(Error::at("describe the image"))?)?;
        let config = (descriptor(MediaType::ImageConfig, &config), config);
        let manifest = ImageManifestBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageManifest)
            .config(config.0.clone())
            .layers([layer.clone()])
            .build();
        let manifest = document(&manifest.map_err(Error::at("describe the image"))?)?;
        let manifest = (descriptor(MediaType::ImageManifest, &manifest), manifest);
        Ok(Self { layer, config, manifest })
    }

    fn write(&self, reference: &str, layer: &mut File, into: &mut File) -> io::Result<()> {
        let (manifest, config) = (&self.manifest, &self.config);
        let docker = json!([{
            "Config": blob_path(&config.0),
            "RepoTags": [reference],
            "Layers": [blob_path(&self.layer)],
        }]);
        let documents = [
            ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
            ("index.json".to_owned(), index(manifest.0.clone(), reference)?),
            ("manifest.json".to_owned(), serde_json::to_vec(&docker)?),
            (blob_path(&manifest.0), manifest.1.clone()),
            (blob_path(&config.0), config.1.clone()),
        ];
        let mut tar = tar::Builder::new(BufWriter::new(into));
        for (path, bytes) in &documents {
            append(&mut tar, Path::new(path), bytes.len() as u64, 0o644, bytes.as_slice())?;
        }
        layer.rewind()?;
        append(&mut tar, Path::new(&blob_path(&self.layer)), self.layer.size(), 0o644, layer)?;
        tar.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(())
    }
}

/// Writes the one layer and answers its descriptor. It is not compressed: the nodes are this machine, and unpacking would
/// cost more than reading.
fn write_layer(layer: &mut File, files: &Files) -> Result<Descriptor, Error> {
    let failed = || Error::at("write the image's layer");
    let mut tar = tar::Builder::new(Hashing { inner: BufWriter::new(layer), hash: Sha256::new(), size: 0 });
    for folder in folders(files.keys()) {
        let mut header = header(0, 0o755);
        header.set_entry_type(tar::EntryType::Directory);
        tar.append_data(&mut header, in_layer(&folder), io::empty()).map_err(failed())?;
    }
    for (path, content) in files {
        let written =
            content.open().and_then(|(size, mode, bytes)| append(&mut tar, in_layer(path), size, mode, bytes));
        written.map_err(Error::at(format!("put {} into the image", path.display())))?;
    }
    let mut written = tar.into_inner().map_err(failed())?;
    written.flush().map_err(failed())?;
    let digest = digest::parse(&hex::encode(written.hash.finalize()));
    Ok(Descriptor::new(MediaType::ImageLayer, written.size, digest))
}

fn append<W: Write>(tar: &mut tar::Builder<W>, path: &Path, size: u64, mode: u32, bytes: impl Read) -> io::Result<()> {
    tar.append_data(&mut header(size, mode), path, bytes)
}

fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header
}

/// Every folder above these files, parents first, without the root.
fn folders<'a>(files: impl Iterator<Item = &'a PathBuf>) -> BTreeSet<PathBuf> {
    files.flat_map(|file| file.ancestors().skip(1)).filter(|dir| dir.parent().is_some()).map(Path::to_owned).collect()
}

fn in_layer(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

fn config(recipe: &Recipe, layer: &Descriptor) -> Result<ImageConfiguration, OciSpecError> {
    let program = Path::new("/bin").join(recipe.program.file_name().unwrap_or_default());
    let entrypoint = std::iter::once(program.to_string_lossy().into_owned());
    let entrypoint: Vec<_> = entrypoint.chain(recipe.arguments.iter().cloned()).collect();
    let run = ConfigBuilder::default().entrypoint(entrypoint).env(["PATH=/bin".to_owned()]).build()?;
    let rootfs = RootFsBuilder::default().typ("layers").diff_ids([layer.digest().to_string()]).build()?;
    ImageConfigurationBuilder::default()
        .architecture(Arch::default())
        .os(Os::Linux)
        .config(run)
        .rootfs(rootfs)
        .history([])
        .build()
}

/// The index names the image as containerd wants it.
fn index(mut manifest: Descriptor, reference: &str) -> io::Result<Vec<u8>> {
    manifest.set_annotations(Some(HashMap::from([("io.containerd.image.name".to_owned(), reference.to_owned())])));
    let index =
        ImageIndexBuilder::default().schema_version(2u32).media_type(MediaType::ImageIndex).manifests([manifest]);
    document(&index.build().map_err(io::Error::other)?).map_err(io::Error::other)
}

fn blob_path(descriptor: &Descriptor) -> String {
    format!("blobs/sha256/{}", descriptor.as_digest_sha256().unwrap_or_default())
}

/// Hashes and counts what passes through.
struct Hashing<W> {
    inner: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn recipe(program: &Path) -> Recipe {
        let probe = ("/probes/probe.o".into(), Content::Bytes(b"probe".to_vec()));
        Recipe { name: "tool".into(), program: program.to_owned(), files: vec![probe], arguments: vec!["serve".into()] }
    }

    #[test]
    fn two_builds_are_byte_identical_and_every_digest_holds() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("tool");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        let build = |folder: &str| {
            let folder = dir.path().join(folder);
            fs::create_dir(&folder).unwrap();
            write(&folder, &recipe(&program), "localhost/ebpf-lab/tool:lab").unwrap()
        };
        let (first, second) = (build("a"), build("b"));
        assert_eq!(first.digest, second.digest);
        let bytes = fs::read(&first.archive).unwrap();
        assert!(bytes == fs::read(&second.archive).unwrap(), "the archives differ");

        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut blobs = 0;
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().into_owned();
            let mut content = vec![];
            entry.read_to_end(&mut content).unwrap();
            if let Ok(name) = path.strip_prefix("blobs/sha256") {
                assert_eq!(name.to_str().unwrap(), hex::encode(Sha256::digest(&content)));
                blobs += 1;
            }
        }
        assert_eq!(blobs, 3, "a manifest, a config and a layer");
    }

    #[test]
    fn a_layer_lists_folders_before_what_lies_in_them() {
        let files = [PathBuf::from("/usr/lib/libc.so.6"), PathBuf::from("/bin/tool")];
        let folders: Vec<_> = folders(files.iter()).into_iter().collect();
        assert_eq!(folders, ["/bin", "/usr", "/usr/lib"].map(PathBuf::from));
    }
}
