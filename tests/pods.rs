//! The containers of the manifests may do and take what docs/pods.md says, and there is a reason for whatever is out of line. What
//! MetalLB and the operator make is looked at on a real cluster: see `host/pods.rs`.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::{fs, path::Path};

use serde_json::{Value, json};
use testkit::pods::{reasons, rows, table, unreasoned};

fn checkout() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn manifests() -> Vec<Value> {
    let folders = ["lab2", "lab3", "lab4", "lab5", "lab6"].map(|lab| checkout().join("manifests").join(lab));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let yaml = files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    yaml.flat_map(|file| serde_saphyr::from_multiple::<Value>(&fs::read_to_string(file).unwrap()).unwrap()).collect()
}

#[test]
fn whatever_a_container_has_beyond_the_least_has_its_reason() {
    let rows = rows(&manifests());
    assert!(rows.len() >= 12, "only {} containers were looked at", rows.len());
    assert_eq!(unreasoned(&rows), [""; 0]);
}

#[test]
fn the_page_has_every_container_and_every_reason() {
    let page = fs::read_to_string(checkout().join("docs/pods.md")).unwrap();
    let lines = |start: &str| page.lines().filter(|line| line.starts_with(start)).collect::<Vec<_>>();
    let missing: Vec<_> =
        table(&rows(&manifests())).into_iter().filter(|line| !lines("|").contains(&line.as_str())).collect();
    assert!(missing.is_empty(), "docs/pods.md lacks\n{}", missing.join("\n"));
    assert_eq!(lines("* "), reasons(), "the reasons of docs/pods.md are others than\n{}", reasons().join("\n"));
}

/// Each way to have more is seen.
#[test]
fn a_container_that_says_nothing_has_all_too_much() {
    let objects = json!([{
        "kind": "Deployment",
        "metadata": {"name": "careless"},
        "spec": {"template": {"spec": {
            "hostPID": true,
            "volumes": [{"name": "root", "hostPath": {"path": "/"}}],
            "containers": [{"name": "c", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}],
        }}},
    }]);
    let rows = rows(objects.as_array().unwrap());
    let line = "| default/careless/c | root | the runtime's, SYS_ADMIN, escalation | none | writable | mounted | processes, / | \
                without bounds |";
    assert_eq!(table(&rows).last().unwrap(), line);
    assert_eq!(unreasoned(&rows).len(), 7);
}
