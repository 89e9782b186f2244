//! What `flake.nix` makes, evaluated by Nix with stubs of its inputs: `tests/nix/outputs.nix`.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::LazyLock,
};

use serde_json::Value;

const SYSTEMS: [(&str, &str); 2] = [("x86_64-linux", "x64"), ("aarch64-linux", "arm64")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Whether there is Nix. Where there is none the test says that it is skipped: on stdout past the harness, for
/// `cargo xtask test` to count.
fn has_nix() -> bool {
    let error = match Command::new("nix-instantiate").arg("--version").output() {
        Err(error) => error.to_string(),
        Ok(output) => match too_old(&String::from_utf8_lossy(&output.stdout)) {
            Some(error) => error,
            None => return true,
        },
    };
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("flake");
    let line = format!("\nskipped: {test}: nix-instantiate: {error}; `cargo xtask test --install` brings it, by apt\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
    false
}

/// Debian 11's is.
fn too_old(says: &str) -> Option<String> {
    let version: lab_cli::Version = says.split_whitespace().find_map(|word| word.parse().ok())?;
    let least = lab_cli::pins::pins().unwrap().tools.nix.least.parse().unwrap();
    (version < least).then(|| format!("{version} is too old, {least} is needed"))
}

/// Evaluates the flake against a nixpkgs with this version of a package.
fn evaluate(package: &str, version: &str) -> Output {
    let mut nix = Command::new("nix-instantiate");
    nix.current_dir(root()).args([
        "--eval",
        "--strict",
        "--json",
        "tests/nix/outputs.nix",
        "--argstr",
        package,
        version,
    ]);
    // Nothing is built or copied: no store is needed, and no root.
    nix.args(["--store", "dummy://"]).output().unwrap()
}

/// The flake's inputs and outputs, evaluated once for all tests.
fn flake() -> Option<&'static Value> {
    static FLAKE: LazyLock<Value> = LazyLock::new(|| {
        let output = evaluate("kind", "99.0");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    });
    has_nix().then(|| &*FLAKE)
}

fn names(set: &Value) -> Vec<&str> {
    set.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn both_systems_have_every_output() {
    let Some(flake) = flake() else { return };
    for (system, _) in SYSTEMS {
        let of = |kind: &str| names(&flake["outputs"][kind][system]);
        assert_eq!(of("apps"), ["default", "lab"]);
        assert_eq!(of("checks"), ["format", "lints", "probes", "shell", "tests"]);
        assert_eq!(of("devShells"), ["default"]);
        assert_eq!(of("packages"), ["bee", "bookinfo", "kebpf", "lab"]);
        assert_eq!(flake["outputs"]["formatter"][system]["name"], "nixfmt-tree");
    }
}

#[test]
fn the_apps_are_xtask_and_its_lab_command() {
    let Some(flake) = flake() else { return };
    for (app, command) in [("default", "cargo xtask \"$@\"\n"), ("lab", "cargo xtask lab \"$@\"\n")] {
        let program = flake["outputs"]["apps"]["x86_64-linux"][app]["program"].as_str().unwrap();
        assert!(program.ends_with(&format!(" develop /checkout \\\n  --command {command}")), "{program}");
    }
}

#[test]
fn the_dev_shell_has_the_pinned_rust_the_bare_clang_and_the_tools() {
    let Some(flake) = flake() else { return };
    let shell = &flake["outputs"]["devShells"]["x86_64-linux"]["default"];
    let packages: Vec<_> = shell["packages"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    let toolchain: toml::Value =
        toml::from_str(&fs::read_to_string(root().join("rust-toolchain.toml")).unwrap()).unwrap();
    let rust = format!("-rust-{}", toolchain["toolchain"]["channel"].as_str().unwrap());
    let tools = ["-kind-99.0", "-kubernetes-helm-99.0", "-go-99.0", "-kubectl", "-bpftools", "-chromium"];
    let of_nodes = ["-util-linux", "-iproute2", "-nftables", "-iptables"];
    for tool in tools.into_iter().chain(of_nodes).chain([rust.as_str()]) {
        assert!(packages.iter().any(|path| path.ends_with(tool)), "no {tool} in {packages:?}");
    }
    assert!(shell["BPF_CLANG"].as_str().unwrap().ends_with("-clang-unwrapped/bin/clang"));
}

/// The check runs where Nix builds; here is seen that it asks for all that xtask would look for.
#[test]
fn the_check_of_the_dev_shell_asks_for_every_tool_that_labs_need() {
    let read = |file: &str| fs::read_to_string(root().join(file)).unwrap();
    let (shell, table) = (read("nix/shell.nix"), read("xtask/src/requirements/table.rs"));
    let check = shell.split_once("checks.shell").unwrap().1;
    let is_asked_for = |tool: &str| check.split([' ', ';', '\n']).any(|word| word == tool);
    let table = table.split_once("pub const TOOLS").unwrap().1.replace("brought(", "packaged(");
    let of_labs = ["Probes", "Web", "Go", "Network", "Helm", "Kind"].map(|need| format!("Need::{need}"));
    let mut seen = 0;
    for tool in table.split("packaged(").skip(1) {
        let name = tool.split('"').nth(1).unwrap().to_lowercase();
        let needs = tool.split(']').next().unwrap().split(['[', ',', ' ', '&']);
        // Probes are compiled by the clang that BPF_CLANG names, which the check asks for BPF.
        if needs.into_iter().any(|need| of_labs.iter().any(|lab| lab == need)) && name != "clang" {
            assert!(is_asked_for(&name), "nix/shell.nix does not see that there is {name}");
            seen += 1;
        }
    }
    assert!(seen > 8, "only {seen} tools in xtask's table");
}

/// stdenv's setup exports it, <https://github.com/NixOS/nixpkgs/blob/master/pkgs/stdenv/generic/setup.sh>.
#[test]
fn what_the_dev_shell_builds_is_not_of_1980() {
    let Some(flake) = flake() else { return };
    let hook = flake["outputs"]["devShells"]["x86_64-linux"]["default"]["shellHook"].as_str().unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-c", "eval \"$1\"; echo \"<${SOURCE_DATE_EPOCH-}>\"", "shell", hook]);
    let output = shell.env("SOURCE_DATE_EPOCH", "315532800").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "<>\n");
}

#[test]
fn a_package_that_is_older_than_what_asks_for_it_fails_the_evaluation() {
    if !has_nix() {
        return;
    }
    for (package, file) in
        [("kind", "manifests/pins.toml"), ("helm", "manifests/pins.toml"), ("go", "kubernetes/go.mod")]
    {
        let output = evaluate(package, "0.1");
        let error = String::from_utf8_lossy(&output.stderr);
        let words = format!("nixpkgs has {package} 0.1, {file} asks for");
        assert!(!output.status.success() && error.contains(&words), "{error}");
    }
}

#[test]
fn a_program_is_built_from_sources_of_every_language_and_bee_brings_its_clang() {
    let Some(flake) = flake() else { return };
    let bee = &flake["outputs"]["packages"]["x86_64-linux"]["bee"];
    let sources =
        ".github CHANGELOG.md Cargo.lock Cargo.toml README.md crates docs kubernetes manifests probes tests xtask";
    assert_eq!(bee["src"], format!("{} {sources}", root().display()));
    assert_eq!(bee["cargoBuildFlags"], serde_json::json!(["--bin", "bee"]));
    let wrapped = bee["postInstall"].as_str().unwrap();
    assert!(wrapped.contains("BPF_CLANG") && wrapped.ends_with("-clang-unwrapped/bin/clang"), "{wrapped}");
}

#[test]
fn kebpfs_page_is_made_of_locked_packages_for_this_system_each_with_its_address() {
    let Some(flake) = flake() else { return };
    for (system, processor) in SYSTEMS {
        let page = flake["npm"][system].as_object().unwrap();
        assert!(page.contains_key(&format!("node_modules/@esbuild/linux-{processor}")), "{:?}", page.keys());
        for (name, package) in page.iter().filter(|(name, _)| !name.is_empty()) {
            assert!(!name.contains("darwin") && package["integrity"].is_string(), "{name}: {package}");
            let (resolved, version) = (package["resolved"].as_str().unwrap(), package["version"].as_str().unwrap());
            assert!(resolved.starts_with("https://registry.npmjs.org/"), "{resolved}");
            assert!(resolved.ends_with(&format!("-{version}.tgz")), "{resolved}");
        }
    }
}

#[test]
fn the_lock_has_the_inputs_of_the_flake() {
    let Some(flake) = flake() else { return };
    assert_eq!(serde_json::json!(names(&lock()["nodes"]["root"]["inputs"])), flake["inputs"]);
}

#[test]
fn each_input_is_locked_to_a_revision_and_to_its_content() {
    let lock = lock();
    let inputs: Vec<_> = lock["nodes"].as_object().unwrap().iter().filter(|(name, _)| *name != "root").collect();
    assert!(!inputs.is_empty());
    for (name, node) in inputs {
        let locked = |key: &str| node["locked"][key].as_str().unwrap();
        let revision = locked("rev");
        assert!(revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}: {revision}");
        let content = locked("narHash").strip_prefix("sha256-").unwrap();
        assert!(content.len() == 44 && content.ends_with('='), "{name}: {content}");
    }
}

fn lock() -> Value {
    serde_json::from_str(&fs::read_to_string(root().join("flake.lock")).unwrap()).unwrap()
}
