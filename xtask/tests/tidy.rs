//! The project's invariants, each as a test rather than a sentence.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The files that git knows or would, by extension, below the checkout.
fn files(extension: &str) -> Vec<(String, String)> {
    let git = Command::new("git")
        .current_dir(root())
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .output()
        .unwrap();
    let names = String::from_utf8(git.stdout).unwrap();
    let of_kind = names.lines().filter(|name| name.ends_with(&format!(".{extension}")) && root().join(name).is_file());
    of_kind.map(|name| (name.to_owned(), fs::read_to_string(root().join(name)).unwrap())).collect()
}

fn none(found: Vec<String>, what: &str) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn there_are_files_to_look_at() {
    assert!(files("rs").len() > 50 && files("toml").len() > 5);
}

#[test]
fn no_file_is_longer_than_400_lines() {
    let long = files("rs").into_iter().filter(|(_, text)| text.lines().count() > 400);
    none(long.map(|(name, _)| name).collect(), "too long for one idea");
}

#[test]
fn every_file_says_why_it_exists() {
    let silent = files("rs").into_iter().filter(|(_, text)| !text.starts_with("//!"));
    none(silent.map(|(name, _)| name).collect(), "these do not begin with `//!`");
}

/// They run in the parts of `cargo xtask test` alone.
#[test]
fn every_file_of_ignored_tests_is_in_a_part() {
    let parts = fs::read_to_string(root().join("xtask/src/test.rs")).unwrap();
    let is_in_a_part = |path: &str| {
        let target = path.strip_suffix("/main.rs").or(path.strip_suffix(".rs")).unwrap_or_default();
        let name = target.rsplit('/').next().unwrap_or_default();
        parts.contains(&format!("\"{name}\""))
    };
    let ignored = files("rs").into_iter().filter(|(_, text)| text.contains("\n#[ignore"));
    none(ignored.map(|(path, _)| path).filter(|path| !is_in_a_part(path)).collect(), "not in a part");
}

#[test]
fn in_crates_lab_and_driver_only_cmd_starts_programs() {
    let starts =
        |text: &str| text.contains("Command::new(") && text.contains("process::Command") || text.contains("xshell::");
    let found = files("rs")
        .into_iter()
        .filter(|(name, _)| name.starts_with("crates/lab/src/") || name.starts_with("crates/lab-engine/"))
        .filter(|(name, text)| name != "crates/lab-engine/src/cmd.rs" && starts(text));
    none(found.map(|(name, _)| name).collect(), "these start programs by themselves");
}

/// As root it would follow a link there to anywhere. In the folders that are named nothing is a user's.
#[test]
fn in_crates_lab_and_driver_only_caller_writes_into_folders_of_the_users() {
    const WRITES: [&str; 5] = ["fs::write(", "File::create(", "create_dir", "DirBuilder::new", "give_to_caller"];
    const OTHERS: [&str; 5] = [
        "crates/lab-engine/src/caller.rs",
        "crates/lab-engine/src/ownership.rs",
        "crates/lab/src/cluster/host/",
        "crates/lab/src/commands/shell.rs",
        "crates/lab/src/junit.rs",
    ];
    let found = files("rs").into_iter().filter(|(name, text)| {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let is_ours = name.starts_with("crates/lab/src/") || name.starts_with("crates/lab-engine/src/");
        is_ours && !OTHERS.iter().any(|other| name.starts_with(other)) && WRITES.iter().any(|word| code.contains(word))
    });
    none(found.map(|(name, _)| name).collect(), "these write by themselves");
}

/// What is built is what was tested, also where a newer version of a crate has come.
#[test]
fn every_cargo_that_builds_for_a_user_is_locked() {
    let alias = fs::read_to_string(root().join(".cargo/config.toml")).unwrap();
    assert!(alias.contains("\"run --quiet --locked "), "{alias}");
    let builds = |line: &&str| ["[\"build\"", "[\"test\"", "[\"clippy\""].iter().any(|word| line.contains(word));
    let mut found = vec![];
    for (name, text) in
        files("rs").into_iter().filter(|(name, _)| name.starts_with("xtask/") && !name.contains("/tests/"))
    {
        let cargos =
            text.lines().filter(builds).filter(|line| line.contains("--release") && !line.contains("--locked"));
        found.extend(cargos.map(|line| format!("{name}: {line}")));
    }
    none(found, "these are not locked");
}

/// `println!` panics where nobody reads, and passes on what a terminal obeys; `clikit::print` does neither.
#[test]
fn nothing_is_printed_but_by_clikit() {
    const MACROS: [&str; 4] =
        [concat!("print", "ln!("), concat!("eprint", "ln!("), concat!("print", "!("), concat!("eprint", "!(")];
    let found = files("rs").into_iter().filter(|(name, text)| {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let is_ours = ["crates/lab/src/", "crates/lab-engine/src/", "crates/lab-cli/src/", "xtask/"]
            .iter()
            .any(|place| name.starts_with(place));
        is_ours
            && !name.starts_with("xtask/tests/")
            && code.into_iter().any(|line| MACROS.iter().any(|word| line.contains(word)))
    });
    none(found.map(|(name, _)| name).collect(), "these print by themselves");
}

/// A time of this machine's own, after which a test or a lab gives up, makes it red where the machine is slow. In the files that are
/// named it is a rest between two looks.
#[test]
fn deadlines_grow_with_the_slowness_of_the_machine() {
    const DEADLINES: [&str; 6] =
        ["Instant::now() + ", "elapsed() < ", "took < ", "time::timeout(", "timeout_at(", "--timeout=60s"];
    const OTHERS: [&str; 4] = [
        "crates/lab-engine/src/wait.rs",
        "crates/lab/src/cluster/host/node/init.rs",
        "crates/kebpf/tests/suite/running.rs",
        "xtask/tests/tidy.rs",
    ];
    let found = files("rs").into_iter().filter(|(name, text)| {
        let places = ["crates/lab/src/", "crates/lab-engine/src/", "crates/testkit/src/", "tests/"];
        let is_ours = places.iter().any(|place| name.starts_with(place)) || name.contains("/tests/");
        is_ours && !OTHERS.contains(&name.as_str()) && DEADLINES.iter().any(|deadline| text.contains(deadline))
    });
    none(found.map(|(name, _)| name).collect(), "these have deadlines that are no Patience");
}

/// They ask a program what it is, hand the terminal to it, or build behind others, who read how far they are (`Building`);
/// nothing of it takes long unseen.
const QUICK: [&str; 11] = [
    "bench.rs",
    "crates.rs",
    "detect.rs",
    "go.rs",
    "go_release.rs",
    "helm.rs",
    "machine.rs",
    "run_lab.rs",
    "privilege.rs",
    "go_programs/job.rs",
    "go_programs/parts.rs",
];

#[test]
fn whoever_waits_for_a_program_in_xtask_says_so_meanwhile() {
    let waits = [".output()", ".status()", ".wait()", ".run()", ".read()"];
    let found = files("rs").into_iter().filter(|(name, text)| {
        let file = name.strip_prefix("xtask/src/").unwrap_or_default();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let is_silent = !code.contains("Line::") && waits.iter().any(|wait| code.contains(wait));
        !file.is_empty() && !QUICK.contains(&file) && is_silent
    });
    none(found.map(|(name, _)| name).collect(), "these neither hold a progress::Line nor are known to be quick");
}

#[test]
fn only_bee_links_libbpf() {
    let found = files("toml").into_iter().filter(|(name, text)| {
        name.ends_with("Cargo.toml")
            && name != "Cargo.toml"
            && name != "crates/bee/Cargo.toml"
            && text.contains("libbpf")
    });
    none(found.map(|(name, _)| name).collect(), "these depend on libbpf");
}

#[test]
fn xtask_links_neither_kube_nor_tokio() {
    let manifest = fs::read_to_string(root().join("xtask/Cargo.toml")).unwrap();
    assert!(!manifest.contains("kube") && !manifest.contains("tokio"));
}

/// Features that only the other programs ask of a crate would have it, and all that stands on it, compiled a second time.
#[test]
fn what_is_compiled_for_lab_1_is_not_compiled_again() {
    let again = &crates_for_lab_1(&["--no-default-features"]) - &crates_for_lab_1(&[]);
    none(again.into_iter().collect(), "crates/testkit/Cargo.toml should ask for the others' features, too");
}

/// The crates from elsewhere below bee and `lab1`, each with its features.
fn crates_for_lab_1(features: &[&str]) -> BTreeSet<String> {
    let tree =
        ["tree", "--workspace", "--offline", "--locked", "--prefix=depth", "--edges=normal,build", "--no-dedupe"];
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo.current_dir(root()).args(tree).args(features).arg("--format= {p} {f}").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (mut found, mut is_ours) = (BTreeSet::new(), false);
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let Some((depth, package)) = line.split_once(' ') else { continue };
        if depth == "0" {
            is_ours = package.starts_with("bee ") || package.starts_with("lab-engine ");
        }
        if is_ours && !package.contains(" (/") {
            found.insert(package.to_owned());
        }
    }
    assert!(found.len() > 50, "cargo prints its tree in another form");
    found
}

#[test]
fn versions_of_crates_stand_in_the_root_only() {
    let members = files("toml").into_iter().filter(|(name, _)| name.ends_with("/Cargo.toml"));
    let lines = members.flat_map(|(name, text)| {
        let dependencies = text.lines().filter(|line| line.contains(" = ") && line.contains("version = \""));
        dependencies.map(|line| format!("{name}: {line}")).collect::<Vec<_>>()
    });
    none(lines.collect(), "versions outside the root Cargo.toml");
}

#[test]
fn every_pin_stands_once() {
    let pins: toml::Value = toml::from_str(&fs::read_to_string(root().join("manifests/pins.toml")).unwrap()).unwrap();
    let pinned = exact_versions(&pins);
    assert!(!pinned.is_empty());
    let places = ["nix", "rs", "sh", "toml", "yaml", "yml"].map(files).concat();
    let mut found = vec![];
    for (name, text) in places.iter().filter(|(name, _)| name != "manifests/pins.toml") {
        // As a string of its own or as an image's tag; a longer version may well contain it.
        let again =
            |version: &String| text.contains(&format!("\"{version}\"")) || text.contains(&format!(":{version}"));
        found.extend(pinned.iter().filter(|version| again(version)).map(|version| format!("{name}: {version}")));
    }
    none(found, "manifests/pins.toml has these already");
}

/// The values that say exactly which one, of three numbers or by digest; `least` says only from where on.
/// bee can't read the pins where it is built alone.
#[test]
fn bees_oldest_clang_is_the_pinned_one() {
    let pins: toml::Value = toml::from_str(&fs::read_to_string(root().join("manifests/pins.toml")).unwrap()).unwrap();
    let pinned = pins["tools"]["clang"]["least"].as_str().unwrap().split('.').next().unwrap();
    let bee = fs::read_to_string(root().join("crates/bee/src/compile/clang.rs")).unwrap();
    assert!(bee.contains(&format!("const OLDEST: u32 = {pinned};")), "the pins say {pinned}");
}

/// One that nobody reads is a promise of `--help` that is not kept.
#[test]
fn every_option_is_read_somewhere() {
    let is_parser = |path: &str| path.contains("/src/cli/") || path.ends_with("/src/cli.rs");
    let is_bees = |path: &str| path.starts_with("crates/bee/");
    let (parsers, readers): (Vec<_>, Vec<_>) = files("rs").into_iter().partition(|(path, _)| is_parser(path));
    let mut unread = vec![];
    for (path, text) in &parsers {
        let options = text.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": "));
        for (option, _) in options.filter(|(option, _)| !option.contains('(')) {
            let own = text.contains(&format!("self.{option}"));
            let mut programs = readers.iter().filter(|(reader, _)| is_bees(reader) == is_bees(path));
            if !own && !programs.any(|(_, text)| text.contains(&format!(".{option}"))) {
                unread.push(format!("{option} of {path}"));
            }
        }
    }
    none(unread, "nobody reads");
}

fn exact_versions(pins: &toml::Value) -> Vec<String> {
    let is_exact = |text: &str| text.contains("sha256:") || text.split('.').count() == 3 && !text.contains('/');
    match pins {
        toml::Value::Table(table) => {
            table.iter().filter(|(key, _)| *key != "least").flat_map(|(_, value)| exact_versions(value)).collect()
        }
        toml::Value::Array(values) => values.iter().flat_map(exact_versions).collect(),
        toml::Value::String(text) if is_exact(text) => vec![text.clone()],
        _ => vec![],
    }
}

#[test]
fn labs_do_not_ask_where_the_cluster_runs() {
    let found = files("rs").into_iter().filter(|(name, text)| {
        let asks = name.starts_with("crates/lab/src/labs/") || name.starts_with("crates/lab/src/check/");
        let words = ["ClusterChoice", "cluster::host", "cluster::kind", "cluster::context"];
        asks && words.iter().any(|word| text.contains(word))
    });
    none(found.map(|(name, _)| name).collect(), "these ask");
}

#[test]
fn labs_do_not_ask_which_profile_is_installed() {
    let found = files("rs").into_iter().filter(|(name, text)| {
        let asks = name.starts_with("crates/lab/src/labs/") || name.starts_with("crates/lab/src/check/");
        // What lab 3 installs is the profile's.
        let asks = asks && !name.starts_with("crates/lab/src/labs/monitoring/");
        asks && ["Profile::", "profile::offline", "profile::upstream", ".profile()"]
            .iter()
            .any(|word| text.contains(word))
    });
    none(found.map(|(name, _)| name).collect(), "these ask");
}

#[test]
fn a_context_never_prints_its_braces() {
    let message = |line: &str| Some(line.split_once(".context(\"")?.1.split('"').next()?.to_owned());
    let mut found = vec![];
    for (name, text) in files("rs") {
        let wrong = text.lines().filter(|line| message(line).is_some_and(|message| message.contains('{')));
        found.extend(wrong.map(|line| format!("{name}: {line}")));
    }
    none(found, "`context` does not format");
}

#[test]
fn workflows_are_short_and_pin_every_action_by_its_commit() {
    let workflows: Vec<_> =
        files("yml").into_iter().filter(|(name, _)| name.starts_with(".github/workflows/")).collect();
    let long = workflows.iter().filter(|(_, text)| text.lines().count() > 40);
    none(long.map(|(name, _)| name.clone()).collect(), "logic belongs into xtask, these are longer than 40 lines");
    let mut actions = vec![];
    for (name, text) in &workflows {
        let used = text.lines().filter_map(|line| line.split_once("uses: "));
        actions.extend(used.map(|(_, action)| (format!("{name}: {action}"), is_pinned(action))));
    }
    assert!(!actions.is_empty());
    none(
        actions.into_iter().filter(|(_, pinned)| !pinned).map(|(name, _)| name).collect(),
        "tags move; these are not pinned",
    );
}

/// `owner/action@COMMIT # vVERSION`
fn is_pinned(action: &str) -> bool {
    action.split_once('@').and_then(|(_, reference)| reference.split_once(" # v")).is_some_and(|(commit, version)| {
        commit.len() == 40
            && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
            && version.starts_with(|first: char| first.is_ascii_digit())
    })
}

#[test]
fn every_lab_has_its_file_and_its_row() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for lab in 1..=6 {
        let folder = if lab == 1 { "crates/lab-engine/src" } else { "crates/lab/src/labs" };
        let file = format!("{folder}/lab{lab}.rs");
        assert!(root().join(&file).is_file(), "lab {lab} has no file");
        assert!(readme.contains(&file), "lab {lab} has no row in the README");
    }
    assert!(readme.lines().count() <= 150, "the README is a page, not a book");
}

#[test]
fn the_changelog_has_the_version() {
    let manifest: toml::Value = toml::from_str(&fs::read_to_string(root().join("Cargo.toml")).unwrap()).unwrap();
    let version = manifest["workspace"]["package"]["version"].as_str().unwrap();
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    assert!(changelog.contains(&format!("## {version}")), "CHANGELOG.md has no section for {version}");
}
