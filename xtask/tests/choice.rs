//! Which cluster is taken when nobody says, and why: asked of the program itself, with recorded shims of docker and kind on PATH.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// What Docker 28 as root says on this machine.
const DOCKER: &str = r#"printf '{"ServerVersion":"28.2.2","CgroupVersion":"2","Name":"%s","DockerRootDir":"/var/lib/docker"}' "$HOSTNAME""#;
const DOWN: &str = "echo '{\"ServerVersion\":\"\"}'; echo 'Cannot connect to the Docker daemon' >&2; exit 1";
const KIND: &str = "echo 'kind v0.99.1 go1.26.8 linux/amd64'";

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// `xtask ARGUMENTS` where PATH has these programs and no others.
fn xtask(checkout: &Path, programs: &[(&str, &str)], arguments: &[&str]) -> Output {
    let world = tempfile::tempdir().unwrap();
    for (name, text) in programs {
        let program = world.path().join(name);
        testkit::program(&program, &format!("#!/bin/sh\n{text}\n"));
    }
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.args(arguments).env("EBPF_LAB_ROOT", checkout).env("PATH", world.path()).env("HOSTNAME", hostname.trim());
    xtask.env("XDG_CACHE_HOME", world.path()).env("XDG_STATE_HOME", world.path());
    xtask.env_remove("KIND_EXPERIMENTAL_PROVIDER").output().unwrap()
}

#[track_caller]
fn says(output: &Output, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(words), "it does not say {words:?}: {said}");
}

#[test]
fn kind_is_taken_where_docker_and_kind_are_as_recorded() {
    let output = xtask(&checkout(), &[("docker", DOCKER), ("kind", KIND)], &["doctor"]);
    says(&output, "on kind: Docker 28.2.2 and kind 0.99.1 are here (--on host runs without them)");
    let findings = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(findings.contains("ok       kind: 0.99.1, nodes of Kubernetes"), "{findings}");
}

#[test]
fn host_is_taken_with_the_reason_where_they_are_not_as_recorded() {
    says(&xtask(&checkout(), &[], &["doctor"]), "on host: neither Docker nor Podman is on PATH");
    says(&xtask(&checkout(), &[("docker", DOCKER)], &["doctor"]), "on host: kind is not on PATH");
    let down = xtask(&checkout(), &[("docker", DOWN), ("kind", KIND)], &["doctor"]);
    says(&down, "on host: Docker does not answer: Cannot connect to the Docker daemon");
    let old = DOCKER.replace("28.2.2", "20.10.24");
    says(
        &xtask(&checkout(), &[("docker", &old), ("kind", KIND)], &["doctor"]),
        "on host: Docker 20.10.24 gives containers no CAP_BPF",
    );
}

#[test]
fn what_was_asked_for_is_not_said_again() {
    let output = xtask(&checkout(), &[("docker", DOCKER), ("kind", KIND)], &["doctor", "--on", "host"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("on "), "{output:?}");
}

#[test]
fn doctor_names_what_is_in_the_way_of_kind_as_recorded() {
    let refused = |programs: &[(&str, &str)], words: &[&str]| {
        let output = xtask(&checkout(), programs, &["doctor", "--on", "kind"]);
        assert_eq!(output.status.code(), Some(4));
        let findings = String::from_utf8_lossy(&output.stdout).into_owned();
        words.iter().for_each(|word| assert!(findings.contains(word), "it does not say {word:?}: {findings}"));
    };
    refused(
        &[],
        &["REFUSED  container engine: neither Docker nor Podman", "REFUSED  kind: kind is not on PATH", "fix: "],
    );
    let rootless = DOCKER.replace("\"DockerRootDir\"", "\"SecurityOptions\":[\"name=rootless\"],\"DockerRootDir\"");
    refused(&[("docker", &rootless), ("kind", KIND)], &["REFUSED  container engine: Docker 28.2.2 runs rootless"]);
    let desktop = DOCKER.replace("\"$HOSTNAME\"", "docker-desktop");
    refused(&[("docker", &desktop), ("kind", KIND)], &["REFUSED  load balancer: ", "cloud-provider-kind@latest"]);
}

#[test]
fn a_committed_lab_toml_comes_before_what_the_machine_has_as_recorded() {
    let clone = tempfile::tempdir().unwrap();
    for file in ["go.mod", "go.sum", "main.go", "metallb/go.mod", "metallb/go.sum", "runtime/go.mod", "runtime/go.sum"]
    {
        let to = clone.path().join("kubernetes").join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(checkout().join("kubernetes").join(file), to).unwrap();
    }
    fs::write(clone.path().join("lab.toml"), "on = \"host\"\n").unwrap();
    let output = xtask(clone.path(), &[("docker", DOCKER), ("kind", KIND)], &["doctor"]);
    says(&output, "on host: lab.toml says so");
}
