//! Writes an image archive: an OCI layout and a docker-archive in one tar.
//!
//! containerd and kind read the layout; Docker before 25 reads only `manifest.json`
//! (<https://github.com/moby/moby/pull/44598>), which points at the same blobs. No time, owner or order of this machine gets in.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    io::{self, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, Result};
use oci_spec::image::{
    Arch, ConfigBuilder, Descriptor, DescriptorBuilder, ImageConfigurationBuilder, ImageIndexBuilder,
    ImageManifestBuilder, MediaType, Os, RootFsBuilder, Sha256Digest,
};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Image, cache, catalog::Recipe, rootfs::Content};

/// Writes the image of `recipe` under `reference` into `folder`, named by its digest.
pub fn write(folder: &Path, recipe: &Recipe, reference: &str, files: &BTreeMap<PathBuf, Content>) -> Result<Image> {
    let mut layer = tempfile::tempfile_in(folder).context("make a temporary file for the image's layer")?;
    let layer_descriptor = write_layer(&mut layer, files)?;
    let config = config(recipe, &layer_descriptor)?;
    let config_descriptor = descriptor(MediaType::ImageConfig, &config)?;
    let manifest = ImageManifestBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageManifest)
        .config(config_descriptor.clone())
        .layers([layer_descriptor.clone()])
        .build()?
        .to_string()?
        .into_bytes();
    let manifest_descriptor = descriptor(MediaType::ImageManifest, &manifest)?;
    let digest = manifest_descriptor.digest().to_string();
    let archive = folder.join(format!(
        "{}-{}.tar",
        recipe.name,
        &manifest_descriptor.as_digest_sha256().unwrap_or_default()[..16]
    ));

    let docker = json!([{
        "Config": blob_path(&config_descriptor),
        "RepoTags": [reference],
        "Layers": [blob_path(&layer_descriptor)],
    }]);
    let documents = [
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), index(manifest_descriptor.clone(), reference)?),
        ("manifest.json".to_owned(), serde_json::to_vec(&docker)?),
        (blob_path(&manifest_descriptor), manifest),
        (blob_path(&config_descriptor), config),
    ];
    cache::replace(&archive, |partial| {
        let mut tar = tar::Builder::new(BufWriter::new(File::create(partial)?));
        for (path, bytes) in &documents {
            append(&mut tar, Path::new(path), bytes.len() as u64, 0o644, bytes.as_slice())?;
        }
        layer.rewind()?;
        append(&mut tar, Path::new(&blob_path(&layer_descriptor)), layer_descriptor.size(), 0o644, &mut layer)?;
        tar.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(())
    })?;
    let size = fs::metadata(&archive)?.len();
    Ok(Image { reference: reference.to_owned(), digest, archive, size })
}

/// Writes the one layer and answers its descriptor. It is not compressed: the nodes are this machine, and unpacking would
/// cost more than reading.
fn write_layer(layer: &mut File, files: &BTreeMap<PathBuf, Content>) -> Result<Descriptor> {
    let mut tar = tar::Builder::new(Hashing { inner: BufWriter::new(layer), hash: Sha256::new(), size: 0 });
    for folder in folders(files.keys()) {
        let mut header = header(0, 0o755);
        header.set_entry_type(tar::EntryType::Directory);
        tar.append_data(&mut header, in_layer(&folder), io::empty())?;
    }
    for (path, content) in files {
        let (size, mode, bytes) = content.open()?;
        append(&mut tar, in_layer(path), size, mode, bytes).with_context(|| format!("write {}", path.display()))?;
    }
    let mut written = tar.into_inner()?;
    written.flush()?;
    let digest = Sha256Digest::from_str(&hex::encode(written.hash.finalize()))?;
    Ok(DescriptorBuilder::default().media_type(MediaType::ImageLayer).digest(digest).size(written.size).build()?)
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

fn config(recipe: &Recipe, layer: &Descriptor) -> Result<Vec<u8>> {
    let program = Path::new("/bin").join(recipe.program.file_name().unwrap_or_default());
    let entrypoint = std::iter::once(program.to_string_lossy().into_owned());
    let entrypoint = entrypoint.chain(recipe.arguments.iter().map(|&argument| argument.to_owned()));
    let run =
        ConfigBuilder::default().entrypoint(entrypoint.collect::<Vec<_>>()).env(["PATH=/bin".to_owned()]).build()?;
    let rootfs = RootFsBuilder::default().typ("layers").diff_ids([layer.digest().to_string()]).build()?;
    let config = ImageConfigurationBuilder::default()
        .architecture(Arch::default())
        .os(Os::Linux)
        .config(run)
        .rootfs(rootfs)
        .history([])
        .build()?;
    Ok(config.to_string()?.into_bytes())
}

/// The index names the image as containerd wants it. One annotation only: a map of several has no order.
fn index(mut manifest: Descriptor, reference: &str) -> Result<Vec<u8>> {
    manifest.set_annotations(Some(HashMap::from([("io.containerd.image.name".to_owned(), reference.to_owned())])));
    let index =
        ImageIndexBuilder::default().schema_version(2u32).media_type(MediaType::ImageIndex).manifests([manifest]);
    Ok(index.build()?.to_string()?.into_bytes())
}

fn descriptor(media_type: MediaType, bytes: &[u8]) -> Result<Descriptor> {
    let digest = Sha256Digest::from_str(&hex::encode(Sha256::digest(bytes)))?;
    Ok(DescriptorBuilder::default().media_type(media_type).digest(digest).size(bytes.len() as u64).build()?)
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
    use super::*;

    fn recipe(program: &Path) -> Recipe {
        Recipe { name: "tool", program: program.to_owned(), files: vec![], arguments: &["serve"] }
    }

    fn files(program: &Path) -> BTreeMap<PathBuf, Content> {
        let program = Content::File { source: program.to_owned(), executable: true };
        BTreeMap::from([("/bin/tool".into(), program), ("/etc/passwd".into(), Content::Text("root\n"))])
    }

    #[test]
    fn two_builds_are_byte_identical_and_every_digest_holds() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("tool");
        fs::write(&program, "#!program").unwrap();
        let build = |folder: &str| {
            let folder = dir.path().join(folder);
            fs::create_dir(&folder).unwrap();
            write(&folder, &recipe(&program), "localhost/ebpf-lab/tool:lab", &files(&program)).unwrap()
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
