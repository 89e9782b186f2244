//! Probes by their digest, `name@sha256:…`: on the command line wherever a probe is named, and between stores and a real registry.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::path::Path;
use std::process::Command;

use testkit::registry::{TestRegistry, Wants};

/// What bee prints, working in this directory and with its store there; or what it says when it fails.
fn bee(directory: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut bee = Command::new(env!("CARGO_BIN_EXE_bee"));
    bee.current_dir(directory).env("HOME", directory).env_remove("DOCKER_CONFIG");
    let output = bee.args(["--storage", "store"]).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn build(directory: &Path, name: &str) -> String {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../probes/probe.bpf.c");
    bee(directory, &["build", source, name]).unwrap()
}

#[test]
fn every_command_on_the_store_takes_a_digest() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let digest = build(here, "room/probe:v1");
    let name = format!("room/probe@{digest}");
    assert!(bee(here, &["describe", &name]).unwrap().contains(&digest));
    assert_eq!(bee(here, &["inspect", &name]), bee(here, &["inspect", "room/probe:v1"]));
    // Also where the tag is another.
    assert!(bee(here, &["describe", &format!("room/probe:v7@{digest}")]).is_ok());
    bee(here, &["package", &name, "runner:v1", "--output", "image.tar"]).unwrap();
    bee(here, &["export", &name, "--output", "probes.tar"]).unwrap();
    assert_eq!(bee(here, &["tag", &name, "room/probe:v2"]), Ok(digest.clone()));

    for arguments in [["tag", "room/probe:v1", &name], ["build", "probe.c", &name], ["package", "room/probe:v1", &name]]
    {
        let said = bee(here, &arguments).unwrap_err();
        assert!(said.contains("a digest follows from what is stored"), "{said}");
    }
    let other = format!("room/other@{digest}");
    for arguments in [["describe", &other], ["inspect", &other], ["rm", &other]] {
        let said = bee(here, &arguments).unwrap_err();
        assert!(said.contains(&other), "{said}");
    }
    bee(here, &["rm", &name]).unwrap();
    assert_eq!(bee(here, &["list", "--json"]), Ok("[]".to_owned()), "both tags had this digest");
    bee(here, &["import", "probes.tar"]).unwrap();
    assert!(bee(here, &["describe", &name]).is_ok());
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn a_probe_is_pushed_and_pulled_by_its_digest() {
    let registry = TestRegistry::start("127.0.0.1:0".parse().unwrap(), Wants::default());
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let repository = format!("{}/room/probe", registry.host());
    let digest = build(here.path(), &format!("{repository}:v1"));
    let name = format!("{repository}@{digest}");
    assert_eq!(bee(here.path(), &["push", &name]), Ok(digest.clone()));
    assert_eq!(bee(there.path(), &["pull", &name]), Ok(digest.clone()));
    assert!(bee(there.path(), &["list", "--json"]).unwrap().contains(&name));
    assert_eq!(bee(there.path(), &["inspect", &name]), bee(here.path(), &["inspect", &name]));
    bee(there.path(), &["tag", &name, &format!("{repository}:kept")]).unwrap();

    let none = format!("{repository}@sha256:{}", "0".repeat(64));
    let said = bee(there.path(), &["pull", &none]).unwrap_err();
    assert!(said.contains(&format!("has no room/probe@sha256:{}", "0".repeat(64))), "{said}");
}
