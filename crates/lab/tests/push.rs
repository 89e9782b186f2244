//! `images push` to a real registry, Debian's docker-registry: plain, with TLS, with a login. The programs in the images are
//! stand-ins of a few bytes: what they do is not what is tested here.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use assert_cmd::Command;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use testkit::{
    program,
    registry::{TestRegistry, Wants},
};

const LOGIN: (&str, &str) = ("teacher", "correct-horse");

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn every_image_can_be_pulled_back_as_it_was_built() {
    let (world, registry) = (World::new(), start(Wants::default()));
    let to = format!("{}/room/1", registry.host());
    let pushed = json(&world.push(&["--json", &to]));
    let images = pushed["images"].as_array().unwrap();
    assert_eq!(images.len(), 10);
    for image in images {
        let name = image["reference"].as_str().unwrap().strip_prefix(&format!("{}/", registry.host())).unwrap();
        let digest = image["digest"].as_str().unwrap();
        for tag in ["lab", digest] {
            let manifest = registry.get(&format!("{name}/manifests/{tag}"));
            assert_eq!(sha256(&manifest), digest, "{name}:{tag}");
        }
        let manifest: Value = serde_json::from_slice(&registry.get(&format!("{name}/manifests/lab"))).unwrap();
        let layers = manifest["layers"].as_array().unwrap();
        for blob in layers.iter().chain([&manifest["config"]]) {
            let digest = blob["digest"].as_str().unwrap();
            let bytes = registry.get(&format!("{name}/blobs/{digest}"));
            assert_eq!(
                (sha256(&bytes).as_str(), bytes.len() as u64),
                (digest, blob["size"].as_u64().unwrap()),
                "{name}"
            );
        }
    }
    let again = world.push(&[&to]);
    let expected = images
        .iter()
        .map(|image| format!("{}@{}\n", image["reference"].as_str().unwrap(), image["digest"].as_str().unwrap()));
    assert_eq!(text(&again.stdout), expected.collect::<String>(), "without --json one line an image");
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn only_what_the_registry_lacks_is_sent() {
    let (world, registry) = (World::new(), start(Wants::default()));
    let writes = || ["POST", "PATCH", "PUT"].map(|method| registry.count(method));
    world.push(&[&registry.host()]);
    let first = writes();
    assert_eq!(first[2], 10 * 3, "a layer, a config and a tag an image");

    let second = json(&world.push(&["--json", &registry.host()]));
    assert_eq!(writes(), first, "nothing is sent again");
    assert!(second["images"].as_array().unwrap().iter().all(|image| image["sent"] == 0));

    world.script("programs/bin/speaker", "echo another");
    world.push(&[&registry.host()]);
    assert_eq!(writes()[2], first[2] + 3, "one program changed");

    // A push that was killed before the tags.
    fs::remove_dir_all(registry.storage().join("repositories/ebpf-lab/kebpf/_manifests")).unwrap();
    world.push(&[&registry.host()]);
    assert_eq!(writes()[2], first[2] + 3 + 1, "only the tag was missing");
    assert!(!registry.get("ebpf-lab/kebpf/manifests/lab").is_empty());
}

/// On a cluster that is not there: a lab looks for its images first.
#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn labs_run_what_the_registry_has_and_say_when_that_is_not_what_is_built_here() {
    let (world, registry) = (World::new(), start(Wants::default()));
    let kubeconfig = "{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}], \
                      users: [{name: u, user: {}}], contexts: [{name: mine, context: {cluster: c, user: u}}]}";
    fs::write(world.path("kubeconfig"), kubeconfig).unwrap();
    let lab = || {
        let arguments = ["lab", "4", "--on", "context:mine", "--profile", "offline", "--registry", &registry.host()];
        let output = world.lab(&arguments).env("KUBECONFIG", world.path("kubeconfig")).output().unwrap();
        (output.status.code(), text(&output.stderr))
    };
    let (code, said) = lab();
    assert!(code == Some(4) && said.contains("lacks images of the labs: metallb-controller"), "{said}");
    assert!(said.contains(&format!("hint: cargo xtask images push {}", registry.host())), "{said}");

    world.push(&[&registry.host()]);
    let (_, said) = lab();
    assert!(!said.contains("lacks") && !said.contains("other images"), "{said}");
    world.script("bin/kebpf", "echo built elsewhere");
    let (_, said) = lab();
    assert!(said.contains("has other images than this checkout builds: kebpf."), "{said}");
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn with_tls_the_registrys_authority_must_be_trusted() {
    let (world, registry) = (World::new(), start(Wants { tls: true, ..Wants::default() }));
    let words = ["the certificate of the registry", "is not trusted", "hint: name the authority", "--registry-ca FILE"];
    world.refuses(&[&registry.host()], &words);
    let no_certificate = world.path("programs/bin/pause");
    world.refuses(
        &[&registry.host(), "--registry-ca", no_certificate.to_str().unwrap()],
        &["no certificate in PEM form"],
    );
    world.refuses(&[&registry.host(), "--plain-http"], &["400"]);
    assert_eq!(registry.count("PUT"), 0);

    let authority = registry.authority();
    world.push(&[&registry.host(), "--registry-ca", authority.to_str().unwrap()]);
    assert_eq!(registry.count("PUT"), 10 * 3);
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn a_registry_that_wants_a_login_gets_the_one_that_docker_has() {
    let registry = start(Wants { login: Some(LOGIN), ..Wants::default() });
    let hint = format!("hint: docker login {}", registry.host());

    let world = World::new();
    world.refuses(&[&registry.host()], &["wants a login", &hint]);
    world.docker_config(&format!(
        r#"{{"auths": {{"{}": {{"auth": "{}"}}}}}}"#,
        registry.host(),
        "dGVhY2hlcjp3cm9uZy1wb255"
    ));
    world.refuses(&[&registry.host()], &["does not take the login", &hint]);
    world.docker_config("teacher:correct-horse");
    world.refuses(&[&registry.host()], &["is not docker's config"]);
    assert_eq!(registry.count("PUT"), 0);

    world.docker_config(&format!(
        r#"{{"auths": {{"{}": {{"auth": "{}"}}}}}}"#,
        registry.host(),
        "dGVhY2hlcjpjb3JyZWN0LWhvcnNl"
    ));
    world.push(&[&registry.host()]);
    assert_eq!(registry.count("PUT"), 10 * 3);
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn a_credential_helper_is_asked_for_the_login() {
    let registry = start(Wants { tls: true, login: Some(LOGIN), ..Wants::default() });
    let authority = registry.authority();
    let arguments = [&registry.host(), "--registry-ca", authority.to_str().unwrap()];
    let world = World::new();
    world.docker_config(&format!(r#"{{"credHelpers": {{"{}": "lab-test"}}}}"#, registry.host()));
    world.refuses(&arguments, &["credential helper", "can't be started"]);

    world.helper("read server; echo 'credentials not found in native keychain'; exit 1");
    world.refuses(&arguments, &["wants a login"]);
    world.helper(&format!("read server; echo 'teacher {} is locked'; exit 1", LOGIN.1));
    world.refuses(&arguments, &["docker-credential-lab-test, which keeps docker's logins, gave none"]);

    let answer = format!(r#"{{"ServerURL": "'$server'", "Username": "{}", "Secret": "{}"}}"#, LOGIN.0, LOGIN.1);
    world.helper(&format!("read server; test \"$server\" = {} && echo '{answer}'", registry.host()));
    world.push(&arguments);
    assert_eq!(registry.count("PUT"), 10 * 3);
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn a_damaged_archive_is_found_before_anything_is_sent() {
    let (world, registry) = (World::new(), start(Wants::default()));
    world.lab(&["images"]).assert().success();
    let damaged = world.archive("node-exporter");
    let mut bytes = fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let path = damaged.to_str().unwrap();
    world.refuses(&[&registry.host()], &[path, "is damaged", "the bytes of sha256:", &format!("rm {path}")]);
    assert_eq!((registry.count("POST"), registry.count("PUT")), (0, 0));

    fs::remove_file(&damaged).unwrap();
    world.push(&[&registry.host()]);
}

fn start(wants: Wants) -> TestRegistry {
    TestRegistry::start("127.0.0.1:0".parse().unwrap(), wants)
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// `lab` with programs, a cache and a docker configuration of its own.
struct World(TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        for folder in ["bin", "programs/bin", "docker", "helpers"] {
            fs::create_dir_all(world.path(folder)).unwrap();
        }
        let rust = ["bin/bookinfo", "bin/kebpf"];
        let go = ["pause", "hyperkube", "controller", "speaker", "operator", "kube-state-metrics", "prometheus"];
        let go = go.into_iter().chain(["prometheus-config-reloader", "node_exporter"]);
        let programs = rust.map(str::to_owned).into_iter().chain(go.map(|name| format!("programs/bin/{name}")));
        for name in programs {
            world.script(&name, &format!("echo a stand-in for {name}"));
        }
        // bee is called to compile the probe: `bee build SOURCE --output-file OBJECT`.
        world.script("bin/bee", "cp \"$2\" \"$4\"");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn script(&self, name: &str, body: &str) {
        program(&self.path(name), &format!("#!/bin/sh\n{body}\n"));
    }

    fn docker_config(&self, text: &str) {
        fs::write(self.path("docker/config.json"), text).unwrap();
    }

    /// Must read the server's name: whoever asks one that ends without it may not get the name written (EPIPE).
    fn helper(&self, body: &str) {
        self.script("helpers/docker-credential-lab-test", body);
    }

    /// The archive of an image, as it lies in the cache.
    fn archive(&self, name: &str) -> PathBuf {
        let note: Value =
            serde_json::from_slice(&fs::read(self.path(&format!("cache/images/{name}.json"))).unwrap()).unwrap();
        note["image"]["archive"].as_str().unwrap().into()
    }

    fn lab(&self, arguments: &[&str]) -> Command {
        let mut lab = Command::cargo_bin("lab").unwrap();
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        lab.args(arguments).env("EBPF_LAB_CHECKOUT", checkout).env("NO_COLOR", "1");
        for (variable, folder) in [("CACHE", "cache"), ("STATE", "state"), ("BIN", "bin"), ("PROGRAMS", "programs")] {
            lab.env(format!("EBPF_LAB_{variable}"), self.path(folder));
        }
        let path = std::env::var("PATH").unwrap();
        lab.env("DOCKER_CONFIG", self.path("docker")).env("PATH", format!("{}:{path}", self.path("helpers").display()));
        lab
    }

    /// A push that succeeds and says no secret.
    #[track_caller]
    fn push(&self, arguments: &[&str]) -> Output {
        let output = self.lab(&[&["images", "push"], arguments].concat()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        keeps_quiet(&output);
        output
    }

    /// A push that is refused with these words, and says no secret.
    #[track_caller]
    fn refuses(&self, arguments: &[&str], words: &[&str]) {
        let output = self.lab(&[&["images", "push"], arguments].concat()).output().unwrap();
        let said = text(&output.stderr);
        assert!([1, 4].contains(&output.status.code().unwrap()), "{:?}: {said}", output.status);
        words.iter().for_each(|word| assert!(said.contains(word), "it does not say {word:?}:\n{said}"));
        assert!(output.stdout.is_empty() && !said.contains("panicked"), "{said}");
        keeps_quiet(&output);
    }
}

#[track_caller]
fn keeps_quiet(output: &Output) {
    let said = text(&output.stdout) + &text(&output.stderr);
    for secret in [LOGIN.1, "wrong-pony", "dGVhY2hlcjp"] {
        assert!(!said.contains(secret), "it says {secret}:\n{said}");
    }
}
