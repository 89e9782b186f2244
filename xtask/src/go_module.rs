//! A Go module's archive: unpacked, and hashed as go.sum and the checksum database hash it.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Component, Path},
};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::bufread::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive};
use sha2::{Digest, Sha256};

/// Go's own limit for what a module unpacks to (<https://go.dev/ref/mod#zip-path-size-constraints>).
const MOST_BYTES: u64 = 500 << 20;

/// Unpacks all files of an archive, whose names begin with `prefix`, into a folder, and says the module's hash: nothing of it may be
/// used before that was compared.
///
/// # Errors
/// It is no archive of this module, or too large.
pub fn unpack(archive: &Path, prefix: &str, folder: &Path) -> Result<String> {
    let bytes = fs::read(archive).with_context(|| format!("failed to read {}", archive.display()))?;
    unpack_from(&bytes, prefix, folder).with_context(|| format!("failed to unpack {}", archive.display()))
}

fn unpack_from(archive: &[u8], prefix: &str, folder: &Path) -> Result<String> {
    let archive = ZipArchive::from_slice(archive)?;
    let (mut entries, mut left, mut lines) = (archive.entries(), MOST_BYTES, Vec::new());
    while let Some(entry) = entries.next_entry()? {
        let raw = entry.file_path();
        let name = str::from_utf8(raw.as_bytes()).context("invalid name in a module: expected UTF-8")?;
        let place = name.strip_prefix(prefix).with_context(|| format!("{name} is not of {prefix}"))?;
        ensure!(is_plain(place), "invalid name {name:?} in a module: expected a path inside it");
        let stored = archive.get_entry(entry.wayfinder())?;
        let mut contents: Box<dyn Read> = match entry.compression_method() {
            CompressionMethod::STORE => Box::new(stored.verifying_reader(stored.data())),
            CompressionMethod::DEFLATE => Box::new(stored.verifying_reader(DeflateDecoder::new(stored.data()))),
            other => bail!("{name} is compressed by {other:?}, which modules are not"),
        };
        let hash = copy(&mut contents, folder, Path::new(place), &mut left)?;
        lines.push((name.to_owned(), hash));
    }
    lines.sort();
    let summary: String = lines.iter().map(|(name, hash)| format!("{hash}  {name}\n")).collect();
    Ok(format!("h1:{}", BASE64_STANDARD.encode(Sha256::digest(summary))))
}

/// Whether it is a path that stays where it begins.
fn is_plain(place: &str) -> bool {
    let parts = |place| Path::new(place).components().all(|part| matches!(part, Component::Normal(_)));
    !place.is_empty() && !place.contains(['\n', '\\']) && parts(place)
}

/// Archives of modules know no modes; `go` itself sets these where it unpacks a release of Go.
fn is_program(place: &Path) -> bool {
    place.starts_with("bin") || place.starts_with("pkg/tool")
}

/// Writes a file of the module and says its hash.
fn copy(from: &mut impl Read, folder: &Path, place: &Path, left: &mut u64) -> Result<String> {
    let to = match place.file_name() {
        // No module holds another's go.mod: Go's own are renamed for the archive.
        Some(name) if name == "_go.mod" => folder.join(place.with_file_name("go.mod")),
        _ => folder.join(place),
    };
    let parent = to.parent().context("a file lies in a folder")?;
    fs::create_dir_all(parent).with_context(|| format!("failed to make the folder {}", parent.display()))?;
    let mode = if is_program(place) { 0o755 } else { 0o644 };
    let file = File::options().write(true).create_new(true).mode(mode).open(&to);
    let mut file = file.with_context(|| format!("failed to write {}", to.display()))?;
    let (mut hash, mut buffer) = (Sha256::new(), [0; 64 << 10]);
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        *left = left.checked_sub(count as u64).context("it is larger than a module may be")?;
        hash.update(&buffer[..count]);
        file.write_all(&buffer[..count]).with_context(|| format!("failed to write {}", to.display()))?;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rawzip::ZipArchiveWriter;

    use super::*;

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut archive = ZipArchiveWriter::new(&mut bytes);
        for (name, text) in files {
            let (mut entry, config) = archive.new_file(name).start().unwrap();
            let mut writer = config.wrap(&mut entry);
            writer.write_all(text.as_bytes()).unwrap();
            let (_, descriptor) = writer.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
        archive.finish().unwrap();
        bytes
    }

    #[test]
    fn a_module_hashes_to_what_the_checksum_database_says() {
        // golang.org/toolchain v0.0.1-go1.26.0.linux-amd64/go.mod, as sum.golang.org has it.
        let (folder, go_mod) = (tempfile::tempdir().unwrap(), [("go.mod", "module golang.org/toolchain\n")]);
        let sum = unpack_from(&archive(&go_mod), "", folder.path()).unwrap();
        assert_eq!(sum, "h1:8wlg68NqwW7eMnI1aABk/C2pDYXj8mrMY4TyRfiLeS0=");
    }

    #[test]
    fn the_order_of_files_in_the_archive_changes_nothing() {
        let files = [("m@v1/src/_go.mod", "module m\n"), ("m@v1/bin/go", "go\n")];
        let mut sums = Vec::new();
        for files in [files, [files[1], files[0]]] {
            let folder = tempfile::tempdir().unwrap();
            sums.push(unpack_from(&archive(&files), "m@v1/", folder.path()).unwrap());
            let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!([mode("bin/go"), mode("src/go.mod")].map(|mode| mode & 0o700), [0o700, 0o600]);
        }
        assert_eq!(sums[0], sums[1]);
    }

    #[test]
    fn nothing_is_written_outside_the_folder() {
        for name in ["m@v1/../../out", "/out", "../out", "other@v1/file"] {
            let world = tempfile::tempdir().unwrap();
            let folder = world.path().join("a/b");
            assert!(unpack_from(&archive(&[(name, "x")]), "m@v1/", &folder).is_err(), "{name}");
            assert!(!world.path().join("out").exists() && !world.path().join("a/out").exists(), "{name}");
        }
    }

    #[test]
    fn a_module_that_is_too_large_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = copy(&mut &[0_u8; 100][..], folder.path(), Path::new("file"), &mut 99).unwrap_err();
        assert_eq!(error.to_string(), "it is larger than a module may be");
    }
}
