//! Several images in one archive: what many nodes are to load goes to each of them in one stream.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufReader, BufWriter, Read, Write},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Image;

/// Writes the images as one OCI layout and docker-archive.
pub fn write(images: &[&Image], into: &File) -> Result<()> {
    let mut tar = tar::Builder::new(BufWriter::new(into));
    let (mut manifests, mut docker, mut written) = (vec![], vec![], BTreeSet::new());
    for image in images {
        let file = File::open(&image.archive).with_context(|| format!("failed to read {}", image.archive.display()))?;
        let mut archive = tar::Archive::new(BufReader::new(file));
        for entry in archive.entries()? {
            let mut entry = entry.with_context(|| format!("failed to read {}", image.archive.display()))?;
            let path = entry.path()?.to_string_lossy().into_owned();
            match path.as_str() {
                "index.json" => manifests.extend(list(document(&mut entry)?["manifests"].take())),
                "manifest.json" => docker.extend(list(document(&mut entry)?)),
                _ if written.insert(path.clone()) => tar.append(&entry.header().clone(), entry)?,
                _ => {}
            }
        }
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    });
    append(&mut tar, "index.json", &index)?;
    append(&mut tar, "manifest.json", &json!(docker))?;
    tar.into_inner()?.flush().context("failed to write an archive of several images")
}

fn document(entry: &mut impl Read) -> Result<Value> {
    serde_json::from_reader(entry).context("failed to read the index of an image archive")
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => vec![],
    }
}

fn append(tar: &mut tar::Builder<impl Write>, path: &str, document: &Value) -> Result<()> {
    let bytes = serde_json::to_vec(document)?;
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    Ok(tar.append_data(&mut header, path, bytes.as_slice())?)
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Seek, path::Path};

    use super::*;

    /// An archive as crate `oci` writes it, with a blob of its own and one that others have, too.
    fn image(folder: &Path, name: &str) -> Image {
        let archive = folder.join(format!("{name}.tar"));
        let mut tar = tar::Builder::new(File::create(&archive).unwrap());
        append(&mut tar, "oci-layout", &json!({"imageLayoutVersion": "1.0.0"})).unwrap();
        append(&mut tar, "index.json", &json!({"schemaVersion": 2, "manifests": [{"digest": name}]})).unwrap();
        append(&mut tar, "manifest.json", &json!([{"RepoTags": [name]}])).unwrap();
        append(&mut tar, "blobs/sha256/shared", &json!("shared")).unwrap();
        append(&mut tar, &format!("blobs/sha256/{name}"), &json!(name)).unwrap();
        tar.finish().unwrap();
        let size = fs::metadata(&archive).unwrap().len();
        Image { reference: name.to_owned(), digest: String::new(), archive, size }
    }

    #[test]
    fn one_archive_holds_every_image_and_each_blob_once() {
        let folder = tempfile::tempdir().unwrap();
        let (bee, kebpf) = (image(folder.path(), "bee"), image(folder.path(), "kebpf"));
        let mut file = tempfile::tempfile().unwrap();
        write(&[&bee, &kebpf], &file).unwrap();
        file.rewind().unwrap();
        let mut archive = tar::Archive::new(file);
        let (mut paths, mut documents) = (vec![], vec![]);
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            if path.ends_with(".json") {
                documents.push(text);
            }
            paths.push(path);
        }
        let layers = ["oci-layout", "blobs/sha256/shared", "blobs/sha256/bee", "blobs/sha256/kebpf"];
        assert_eq!(paths, [&layers[..], &["index.json", "manifest.json"]].concat());
        assert!(documents[0].contains(r#""manifests":[{"digest":"bee"},{"digest":"kebpf"}]"#), "{}", documents[0]);
        assert_eq!(documents[1], r#"[{"RepoTags":["bee"]},{"RepoTags":["kebpf"]}]"#);
    }
}
