//! The images of the labs, all of them, from the programs that are built: twice the same bytes, every digest right, and run by
//! Docker.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so by panicking")]

use std::{
    collections::HashMap,
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::LazyLock,
    time::Duration,
};

use lab_cli::Paths;
use serde_json::Value;
use sha2::{Digest, Sha256};
use testkit::{kind::Engine, until};

static PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::from_environment().expect("run this with `cargo xtask test`"));

#[test]
#[ignore = "needs every program built"]
fn two_builds_of_every_image_are_byte_identical() {
    let caches = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [first, second] = caches.each_ref().map(|cache| images(Some(cache.path())));
    assert_eq!(first.len(), 12);
    for (one, other) in first.iter().zip(&second) {
        assert_eq!(one["digest"], other["digest"], "{}", one["reference"]);
        assert_eq!(hash(&archive(one)), hash(&archive(other)), "{}", one["reference"]);
    }
}

/// Read without a line of what wrote it.
#[test]
#[ignore = "needs every program built"]
fn every_digest_in_every_image_is_that_of_its_bytes() {
    for image in images(None) {
        let files = Files::of(&archive(&image));
        let index = files.json("index.json");
        assert_eq!(index["manifests"][0]["digest"], image["digest"]);
        let manifest = files.json(&files.blob(&index["manifests"][0]));
        let config_path = files.blob(&manifest["config"]);
        let layers: Vec<_> = manifest["layers"].as_array().unwrap().iter().map(|layer| files.blob(layer)).collect();
        let unpacked: Vec<_> = layers.iter().map(|layer| format!("sha256:{}", files.hashes[layer])).collect();
        assert_eq!(files.json(&config_path)["rootfs"]["diff_ids"], serde_json::json!(unpacked));
        let docker = &files.json("manifest.json")[0];
        assert_eq!((&docker["Config"], &docker["Layers"]), (&config_path.into(), &serde_json::json!(layers)));
        assert_eq!(docker["RepoTags"][0], image["reference"]);
    }
}

#[test]
#[ignore = "needs Docker"]
fn docker_loads_images_under_our_digests_and_runs_them() {
    let docker = Docker::find();
    let images: HashMap<_, _> =
        images(None).into_iter().map(|image| (image["reference"].as_str().unwrap().to_owned(), image)).collect();
    let [bee, bookinfo] = ["bee", "bookinfo"].map(|name| format!("localhost/ebpf-lab/{name}:lab"));
    for name in [&bee, &bookinfo] {
        let archive = archive(&images[name]);
        assert!(docker.says(&["load", "--input", archive.to_str().unwrap()]).contains(name.as_str()));
        let files = Files::of(&archive);
        let config = files.json("manifest.json")[0]["Config"].as_str().unwrap().replace("blobs/sha256/", "sha256:");
        let id = docker.says(&["inspect", "--format", "{{.Id}}", name]);
        // An engine that keeps its images in containerd calls them by their manifests.
        assert!([config.as_str(), images[name]["digest"].as_str().unwrap()].contains(&id.as_str()), "{name} is {id}");
    }
    let version = docker.says(&["run", "--rm", &bee, "version"]);
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");

    let container = docker.says(&["run", "--detach", "--rm", "--network=none", "--user=65534", &bookinfo, "details"]);
    let get = ["exec", &container, "/bin/bookinfo", "get", "http://127.0.0.1:9080/details/0"];
    let answers = until(Duration::from_secs(10), || docker.run(&get).stdout == b"200\n");
    let last = docker.run(&get);
    docker.run(&["rm", "--force", &container]);
    assert!(answers, "{last:?}");
    docker.says(&["image", "rm", &bee, &bookinfo]);
}

/// As nobody, who may not load it: what is tried here is what the image holds.
#[test]
#[ignore = "needs Docker"]
fn docker_loads_and_starts_a_packaged_probe() {
    let (docker, folder) = (Docker::find(), tempfile::tempdir().unwrap());
    let bee = |arguments: &[&str]| {
        let mut bee = Command::new(PATHS.bin.join("bee"));
        let output = bee.current_dir(&folder).args(["--storage", "store"]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let source = PATHS.checkout.join("probes/probe.bpf.c");
    let image = "localhost/ebpf-lab-test/runner:v1";
    bee(&["build", source.to_str().unwrap(), "probe:v1"]);
    bee(&["package", "probe:v1", image, "--output", "image.tar"]);
    docker.says(&["load", "--input", folder.path().join("image.tar").to_str().unwrap()]);
    let confined = ["run", "--rm", "--user=65534", "--read-only", "--cap-drop=ALL"];
    let version = docker.says(&[&confined[..], &["--entrypoint=/bin/bee", image, "version"]].concat());
    let started = docker.run(&[&confined[..], &[image]].concat());
    docker.says(&["image", "rm", image]);
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    let said = String::from_utf8_lossy(&started.stderr);
    assert!(said.contains("loading a probe needs root"), "the probe is found and is one: {said}");
}

/// The images as `lab images` lists them, built into a cache if they are not in it.
fn images(cache: Option<&Path>) -> Vec<Value> {
    let mut lab = Command::new(PATHS.bin.join("lab"));
    lab.args(["images", "--json"]).envs(PATHS.environment());
    if let Some(cache) = cache {
        lab.env("EBPF_LAB_CACHE", cache);
    }
    let output = lab.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    list["images"].as_array().unwrap().clone()
}

fn archive(image: &Value) -> PathBuf {
    image["archive"].as_str().unwrap().into()
}

fn hash(file: &Path) -> String {
    hex::encode(Sha256::digest(std::fs::read(file).unwrap()))
}

/// What lies in an archive: the hash of each file, and the bytes of small ones.
#[derive(Default)]
struct Files {
    hashes: HashMap<String, String>,
    sizes: HashMap<String, u64>,
    documents: HashMap<String, Vec<u8>>,
}

impl Files {
    fn of(archive: &Path) -> Self {
        let mut files = Self::default();
        for entry in tar::Archive::new(BufReader::new(File::open(archive).unwrap())).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut bytes = vec![];
            entry.read_to_end(&mut bytes).unwrap();
            files.hashes.insert(path.clone(), hex::encode(Sha256::digest(&bytes)));
            files.sizes.insert(path.clone(), bytes.len() as u64);
            if bytes.len() < 1 << 20 {
                files.documents.insert(path, bytes);
            }
        }
        files
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.documents[path]).unwrap()
    }

    /// The file that a descriptor names, which has its digest and its size.
    fn blob(&self, descriptor: &Value) -> String {
        let digest = descriptor["digest"].as_str().unwrap();
        let path = format!("blobs/{}", digest.replace(':', "/"));
        assert_eq!(digest, format!("sha256:{}", self.hashes[&path]));
        assert_eq!(descriptor["size"], self.sizes[&path]);
        path
    }
}

/// This machine's engine, or one of the tests' own.
struct Docker(Option<Engine>);

impl Docker {
    fn find() -> Self {
        let answers = Self(None).run(&["version", "--format", "{{.Server.Version}}"]).status.success();
        Self((!answers).then(|| Engine::start(&PATHS)))
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut docker = self.0.as_ref().map_or_else(|| Command::new("docker"), Engine::docker);
        docker.args(args).output().unwrap_or_else(|error| panic!("docker: {error}"))
    }

    /// What it prints, which succeeds.
    #[track_caller]
    fn says(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
