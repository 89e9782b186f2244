//! Whatever is pinned has its line in `cargo xtask versions`, and stands in one place.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use lab_cli::pins::{self, Pinned};
use serde_json::Value;

/// The go.mods, and what they are for.
const GO_MODS: [&str; 4] =
    ["kubernetes/go.mod", "kubernetes/metallb/go.mod", "kubernetes/runtime/go.mod", "kubernetes/previous.mod"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn text(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

fn pinned() -> Vec<Pinned> {
    pins::of_checkout(&root()).unwrap().pinned
}

fn has_entry(file: &str, pin: &str) -> bool {
    pinned()
        .iter()
        .any(|pinned| pinned.file == file && (pinned.pin == pin || pinned.pin.starts_with(&format!("{pin}."))))
}

/// `module version` of each line that requires one, and whether we ask for it ourselves.
fn requirements(go_mod: &str) -> Vec<(String, String, bool)> {
    let lines = go_mod.lines().take_while(|line| !line.starts_with("replace"));
    let requirement = |line: &str| {
        let mut words = line.trim_start_matches("require").split_whitespace();
        let (module, version) = (words.next()?, words.next()?);
        version.starts_with('v').then(|| (module.to_owned(), version.to_owned(), !line.contains("// indirect")))
    };
    lines.filter_map(requirement).collect()
}

/// The packages that a go.mod names as tools.
fn tools(go_mod: &str) -> Vec<&str> {
    let of_block = go_mod.split_once("tool (").map_or("", |(_, block)| block.split(')').next().unwrap_or_default());
    let alone = go_mod.lines().filter_map(|line| line.strip_prefix("tool ").filter(|rest| *rest != "("));
    of_block.lines().chain(alone).map(str::trim).filter(|line| !line.is_empty()).collect()
}

#[test]
fn every_go_program_has_its_line_among_the_versions() {
    let mut found = 0;
    for file in GO_MODS {
        let go_mod = text(file);
        let required = requirements(&go_mod);
        let ours = required.iter().filter(|(module, _, direct)| *direct && !module.starts_with("k8s.io/"));
        let of_tool = |tool: &str| {
            let modules = required.iter().map(|(module, ..)| module).filter(|module| tool.starts_with(module.as_str()));
            modules.max_by_key(|module| module.len()).unwrap_or_else(|| panic!("{file}: no module of {tool}")).clone()
        };
        let modules = ours.map(|(module, ..)| module.clone()).chain(tools(&go_mod).into_iter().map(of_tool));
        // Beside the previous Kubernetes everything is as it is beside today's.
        for module in modules.filter(|_| !file.ends_with("previous.mod")) {
            assert!(has_entry(file, &module), "manifests/pins.toml has no [[pinned]] for {module} of {file}");
            found += 1;
        }
    }
    assert!(found >= 13, "only {found} programs were looked at");
}

#[test]
fn every_pin_of_pins_toml_has_its_line_among_the_versions() {
    let table: toml::Value = toml::from_str(&text("manifests/pins.toml")).unwrap();
    let table = table.as_table().unwrap();
    for name in table.keys().filter(|name| !["advisories", "support", "pinned", "tools"].contains(&name.as_str())) {
        assert!(has_entry("manifests/pins.toml", name), "manifests/pins.toml has no [[pinned]] for {name}");
    }
    for (tool, pins) in table["tools"].as_table().unwrap() {
        for name in pins.as_table().unwrap().keys().filter(|name| ["least", "version"].contains(&name.as_str())) {
            let pin = format!("tools.{tool}.{name}");
            assert!(has_entry("manifests/pins.toml", &pin), "manifests/pins.toml has no [[pinned]] for {pin}");
        }
    }
    assert!(has_entry("rust-toolchain.toml", "toolchain.channel"));
}

#[test]
fn beside_the_previous_kubernetes_etcd_and_coredns_are_todays() {
    let today = requirements(&text("kubernetes/go.mod"));
    let previous = requirements(&text("kubernetes/previous.mod"));
    assert!(has_entry("kubernetes/previous.mod", "k8s.io/kubernetes"));
    let others: Vec<_> =
        previous.iter().filter(|(module, _, direct)| *direct && !module.starts_with("k8s.io/")).collect();
    assert!(others.len() >= 2 && others.iter().all(|other| today.contains(other)), "{others:?}");
}

/// Its libraries are released with it, each as a module of its own.
#[test]
fn kubernetes_is_of_one_version_with_its_libraries() {
    for file in ["kubernetes/go.mod", "kubernetes/previous.mod"] {
        let go_mod = text(file);
        let (_, version, _) =
            requirements(&go_mod).into_iter().find(|(module, ..)| module == "k8s.io/kubernetes").unwrap();
        let library = version.replacen("v1.", "v0.", 1);
        let minor = library.rsplit_once('.').unwrap().0.to_owned();
        let replaced = go_mod.lines().filter_map(|line| line.split_once(" => k8s.io/"));
        let others: Vec<_> = replaced
            .map(|(_, to)| to.split_once(' ').unwrap())
            // What this one is for, Kubernetes itself does not use; not every version of it is published everywhere.
            .filter(|(name, version)| {
                *version != library && !(*name == "sample-controller" && version.starts_with(&minor))
            })
            .collect();
        assert!(go_mod.contains("=> k8s.io/api ") && others.is_empty(), "{file}: {library} and {others:?}");
    }
}

fn run(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.arg("versions").args(arguments).env("EBPF_LAB_ROOT", root()).env("HOME", home.path());
    xtask.output().unwrap()
}

#[test]
fn versions_lists_every_pin_with_its_file_and_its_end() {
    let output = run(&["--json"]);
    assert!(output.status.success(), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let versions = said["versions"].as_array().unwrap();
    let kubernetes = versions.iter().find(|version| version["what"] == "Kubernetes").unwrap();
    let (_, version, _) = requirements(&text("kubernetes/go.mod"))
        .into_iter()
        .find(|(module, ..)| module == "k8s.io/kubernetes")
        .unwrap();
    assert_eq!(kubernetes["version"], version);
    assert!(kubernetes["end"].as_str().unwrap() > "2026", "{kubernetes}");
    assert!(versions.len() >= pinned().len(), "every entry has a line, and lists have several");

    let table = String::from_utf8(run(&[]).stdout).unwrap();
    assert_eq!(table.lines().count(), versions.len() + 1, "a head, and a line each:\n{table}");
    assert!(table.contains("none published"), "{table}");
}
