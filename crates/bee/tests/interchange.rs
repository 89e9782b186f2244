//! Images go both ways between BumbleBee and bee: a store as BumbleBee writes it, byte for byte as its `pkg/spec` and oras do, and what its
//! reader asks of ours. The image is the interface, so nothing here is taken from bee's own code.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use testkit::probe::Run;
use testkit::registry::{TestRegistry, Wants};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/ebpf.oci.image.config.v1+json";
const PROGRAM: &str = "application/ebpf.oci.image.program.v1+binary";
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../probes/probe.bpf.c");

#[test]
fn what_bumblebee_stored_is_listed_described_and_moved() {
    let world = World::new();
    let digest = world.store_as_bumblebee_does("probe:v1");
    let listed: Value = serde_json::from_str(&world.succeeds(&["list", "--json"])).unwrap();
    assert_eq!((&listed[0]["name"], &listed[0]["digest"]), (&"probe:v1".into(), &digest.clone().into()));
    let described = world.succeeds(&["describe", "probe:v1"]);
    for line in ["platform     Linux/x86_64", "authors      solo.io", "description  counts connections"] {
        assert!(described.lines().any(|it| it == line), "{line}:\n{described}");
    }
    world.succeeds(&["inspect", "probe:v1"]);
    world.succeeds(&["tag", "probe:v1", "second:v1"]);
    let index: Value = serde_json::from_slice(&fs::read(world.path("store/index.json")).unwrap()).unwrap();
    let versions = [0, 1].map(|n| &index["manifests"][n]["platform"]["os.version"]);
    assert_eq!(versions, ["6.1.0-18-amd64"; 2], "it lists the kernel that it built on");
    let archive = world.path("probes.tar");
    world.succeeds(&["export", "probe:v1", "--output", archive.to_str().unwrap()]);
    world.succeeds(&["rm", "probe:v1", "second:v1"]);
    assert_eq!(world.succeeds(&["import", archive.to_str().unwrap()]), format!("probe:v1 {digest}"));
    // What is built beside it leaves it as BumbleBee finds it.
    world.succeeds(&["build", SOURCE, "other:v1"]);
    assert_eq!(world.read_as_bumblebee_does("probe:v1"), world.program());
}

#[test]
#[ignore = "needs root (loads probes), docker-registry and htpasswd"]
fn what_bumblebee_built_is_pushed_pulled_and_run() {
    let (here, there) = (World::new(), World::new());
    let registry = TestRegistry::start("127.0.0.1:0".parse().unwrap(), Wants::default());
    let name = format!("{}/room/probe:v1", registry.host());
    let digest = here.store_as_bumblebee_does(&name);
    assert_eq!(here.succeeds(&["push", &name]), digest);
    assert_eq!(there.succeeds(&["pull", &name]), digest);
    let run = Run::start(there.program_itself(&[]), Path::new(&name), &[]);
    assert!(run.metrics().contains("ebpf_solo_io_"));
    run.stop();
}

#[test]
fn what_bee_stores_has_all_that_bumblebees_reader_asks_for() {
    let world = World::new();
    world.succeeds(&["build", SOURCE, "probe:v1", "--description", "counts", "--authors", "us"]);
    assert_eq!(world.read_as_bumblebee_does("probe:v1"), world.program());
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn what_bee_pushes_has_all_that_bumblebees_reader_asks_for() {
    let (world, registry) = (World::new(), TestRegistry::start("127.0.0.1:0".parse().unwrap(), Wants::default()));
    let name = format!("{}/room/probe:v1", registry.host());
    world.succeeds(&["build", SOURCE, &name]);
    world.succeeds(&["push", &name]);
    let blob = |digest: &str| registry.get(&format!("room/probe/blobs/{digest}"));
    assert_eq!(program_for_bumblebee(&registry.get("room/probe/manifests/v1"), blob), world.program());
}

/// What `pkg/spec`'s Pull takes from an image, with all that makes it refuse one.
fn program_for_bumblebee(manifest: &[u8], blob: impl Fn(&str) -> Vec<u8>) -> Vec<u8> {
    let manifest: Value = serde_json::from_slice(manifest).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!((layers.len(), &manifest["schemaVersion"]), (1, &2.into()));
    let part = |descriptor: &Value, media_type: &str, title: &str| {
        assert_eq!(descriptor["mediaType"], media_type, "a type that it is not allowed to copy");
        assert_eq!(descriptor["annotations"]["org.opencontainers.image.title"], title, "it is found by its title");
        let content = blob(descriptor["digest"].as_str().unwrap());
        assert_eq!((&descriptor["digest"], &descriptor["size"]), (&sha256(&content).into(), &content.len().into()));
        content
    };
    let config: Value = serde_json::from_slice(&part(&manifest["config"], CONFIG, "config.json")).unwrap();
    assert!(config.is_object(), "Go reads it into a struct");
    part(&layers[0], PROGRAM, "program.o")
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Somebody with a store.
struct World(TempDir);

impl World {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Stores the workshop's first probe; answers the manifest's digest.
    fn store_as_bumblebee_does(&self, name: &str) -> String {
        let object = self.path("probe.o");
        self.succeeds(&["build", SOURCE, "--output-file", object.to_str().unwrap()]);
        let titled = |media_type: &str, title: &str, content: &[u8]| {
            let mut descriptor = self.put(media_type, content);
            descriptor["annotations"] = json!({ "org.opencontainers.image.title": title });
            descriptor
        };
        let manifest = json!({
            "schemaVersion": 2,
            "config": titled(CONFIG, "config.json", b"{}"),
            "layers": [titled(PROGRAM, "program.o", &fs::read(object).unwrap())],
            "annotations": {
                "org.opencontainers.image.authors": "solo.io",
                "org.opencontainers.image.description": "counts connections",
            },
        });
        let mut descriptor = self.put(MANIFEST, manifest.to_string().as_bytes());
        descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        descriptor["platform"] = json!({ "architecture": "x86_64", "os": "Linux", "os.version": "6.1.0-18-amd64" });
        let digest = descriptor["digest"].as_str().unwrap().to_owned();
        // Its index has no media type, and containerd's store a folder for what is being written.
        let index = json!({ "schemaVersion": 2, "manifests": [descriptor] });
        fs::write(self.path("store/index.json"), index.to_string()).unwrap();
        fs::write(self.path("store/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        fs::create_dir(self.path("store/ingest")).unwrap();
        digest
    }

    fn put(&self, media_type: &str, content: &[u8]) -> Value {
        let digest = sha256(content);
        fs::create_dir_all(self.path("store/blobs/sha256")).unwrap();
        fs::write(self.path("store/blobs").join(digest.replace(':', "/")), content).unwrap();
        json!({ "mediaType": media_type, "digest": digest, "size": content.len() })
    }

    fn read_as_bumblebee_does(&self, name: &str) -> Vec<u8> {
        let layout: Value = serde_json::from_slice(&fs::read(self.path("store/oci-layout")).unwrap()).unwrap();
        assert_eq!(layout["imageLayoutVersion"], "1.0.0");
        let index: Value = serde_json::from_slice(&fs::read(self.path("store/index.json")).unwrap()).unwrap();
        let manifests = index["manifests"].as_array().unwrap();
        let is_named = |it: &&Value| it["annotations"]["org.opencontainers.image.ref.name"] == name;
        let descriptor = manifests.iter().find(is_named).unwrap();
        assert_eq!(descriptor["mediaType"], MANIFEST);
        let blob = |digest: &str| fs::read(self.path("store/blobs").join(digest.replace(':', "/"))).unwrap();
        program_for_bumblebee(&blob(descriptor["digest"].as_str().unwrap()), blob)
    }

    /// The one program in the store: what is in it that is ELF.
    fn program(&self) -> Vec<u8> {
        let blobs = fs::read_dir(self.path("store/blobs/sha256")).unwrap();
        let mut contents = blobs.map(|file| fs::read(file.unwrap().path()).unwrap());
        contents.find(|bytes| bytes.starts_with(b"\x7fELF")).unwrap()
    }

    fn program_itself(&self, arguments: &[&str]) -> std::process::Command {
        let mut bee = std::process::Command::new(env!("CARGO_BIN_EXE_bee"));
        bee.env("HOME", self.0.path()).env_remove("DOCKER_CONFIG");
        bee.arg("--storage").arg(self.path("store")).args(arguments);
        bee
    }

    #[track_caller]
    fn succeeds(&self, arguments: &[&str]) -> String {
        let assert = Command::from_std(self.program_itself(arguments)).assert().success();
        String::from_utf8_lossy(&assert.get_output().stdout).trim_end().to_owned()
    }
}
