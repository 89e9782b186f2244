//! `bee package`: an image for containers, made without Docker.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};

fn bee(folder: &Path, arguments: &[&str]) -> Command {
    let mut bee = Command::cargo_bin("bee").unwrap();
    bee.current_dir(folder).args(["--storage", "store"]).args(arguments);
    bee
}

/// A store with the workshop's first probe.
fn store() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../probes/probe.bpf.c");
    bee(folder.path(), &["build", source, "room/probe:v1", "--output-file", "probe.o"]).assert().success();
    folder
}

/// Path, mode and content of every regular file in an archive.
fn files(archive: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = vec![];
        entry.read_to_end(&mut content).unwrap();
        if entry.header().entry_type().is_file() {
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            files.insert(path, (entry.header().mode().unwrap(), content));
        }
    }
    files
}

#[test]
fn a5_28_the_image_is_bee_its_libraries_and_the_probe_and_no_shell_starts_it() {
    let folder = store();
    let package = ["package", "room/probe:v1", "runner:v1", "--output", "image.tar"];
    let output = bee(folder.path(), &package).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let archive = files(&fs::read(folder.path().join("image.tar")).unwrap());
    let document = |path: &str| serde_json::from_slice::<Value>(&archive[path].1).unwrap();
    let index = document("index.json");
    assert_eq!(index["manifests"][0]["digest"], String::from_utf8(output.stdout).unwrap().trim());
    assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], "docker.io/library/runner:v1");

    let docker = &document("manifest.json")[0];
    let config = document(docker["Config"].as_str().unwrap());
    let container = &config["config"];
    assert_eq!(container["Entrypoint"], json!(["/bin/bee", "run", "--no-tty", "--listen=::", "/probes/probe.o"]));
    assert!(container.get("Cmd").is_none(), "arguments are for whoever starts the container to add");
    assert!(container.get("User").is_none(), "who runs it is for whoever starts the container to say");

    assert_eq!(config["architecture"], if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" });

    let layer = files(&archive[docker["Layers"][0].as_str().unwrap()].1);
    assert_eq!(layer["probes/probe.o"].1, fs::read(folder.path().join("probe.o")).unwrap());
    assert_eq!(layer["bin/bee"].1, fs::read(env!("CARGO_BIN_EXE_bee")).unwrap());
    assert!(layer.keys().any(|path| path.contains("libc.so.6")) && layer.contains_key("etc/passwd"));
    assert!(!layer.keys().any(|path| path.ends_with("/sh")), "a shell as the first process passes on no signal");
    let closed: Vec<_> = layer.iter().filter(|(_, (mode, _))| mode & 0o444 != 0o444).collect();
    assert!(closed.is_empty() && layer["bin/bee"].0 & 0o111 == 0o111, "root alone can read {closed:?}");
}

#[test]
fn two_packages_of_a_probe_are_byte_identical_and_leave_nothing_else_behind() {
    let folder = store();
    for file in ["a.tar", "b.tar"] {
        bee(folder.path(), &["package", "room/probe:v1", "runner:v1", "-o", file]).assert().success();
    }
    let read = |file: &str| fs::read(folder.path().join(file)).unwrap();
    assert!(read("a.tar") == read("b.tar"), "the archives differ");
    let mut left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["a.tar", "b.tar", "probe.o", "store"]);
}

#[test]
fn a_probe_that_is_not_stored_makes_no_image() {
    let folder = store();
    let assert = bee(folder.path(), &["package", "none:v1", "runner:v1", "-o", "image.tar"]).assert().failure();
    assert!(String::from_utf8_lossy(&assert.get_output().stderr).contains("none:v1"));
    assert!(!folder.path().join("image.tar").exists());
}
