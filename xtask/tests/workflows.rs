//! What GitHub is told to run is what there is: each `cargo xtask …` is a command line, and actionlint finds nothing.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Parser;
use lab_cli::cli::Cli;
use serde_json::Value;

#[test]
fn each_command_line_of_a_workflow_is_one_of_ours() {
    let mut seen = 0;
    for (name, workflow) in workflows() {
        for job in workflow["jobs"].as_object().unwrap().values() {
            for line in lines(job).iter().flat_map(|line| of_every_matrix(line, job)) {
                let words: Vec<_> = line.split_whitespace().take_while(|word| !word.contains('>')).collect();
                if let Some(at) = words.iter().position(|word| *word == "xtask") {
                    let parsed = Cli::try_parse_from(&words[at..]);
                    assert!(parsed.is_ok(), "{name}: {line}: {}", parsed.unwrap_err());
                    seen += 1;
                }
                for script in words.iter().filter(|word| word.starts_with(".ci/")) {
                    assert!(root().join(script).is_file(), "{name}: there is no {script}");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 4, "only {seen} commands of ours in the workflows");
}

/// An archive of images is known by the inodes of what lies in it: those of another machine are never it.
#[test]
fn no_workflow_caches_images_or_nodes() {
    for (name, workflow) in workflows() {
        let steps = workflow["jobs"].as_object().unwrap().values().flat_map(|job| job["steps"].as_array().unwrap());
        let cached = steps.filter(|step| step["uses"].as_str().is_some_and(|uses| uses.starts_with("actions/cache@")));
        for paths in cached.map(|step| step["with"]["path"].as_str().unwrap()) {
            for folder in ["images", "nodes"] {
                let except = format!("!~/.cache/ebpf-lab/{folder}");
                assert!(paths.lines().any(|line| line == except), "{name} caches {folder}: {paths}");
            }
        }
    }
}

#[test]
fn a_run_of_main_is_not_cancelled_by_the_next() {
    let mut of_pushes = 0;
    for (name, workflow) in workflows().into_iter().filter(|(_, workflow)| workflow["on"].get("push").is_some()) {
        of_pushes += 1;
        let concurrency = &workflow["concurrency"];
        assert_eq!(concurrency["cancel-in-progress"], "${{ github.event_name == 'pull_request' }}", "{name}");
        // In one group the second that waits is cancelled, whatever is said of those that run.
        assert!(concurrency["group"].as_str().unwrap().ends_with("github.ref || github.run_id }}"), "{name}");
    }
    assert_eq!(of_pushes, 2);
}

#[test]
fn actionlint_finds_nothing() {
    let lint = Command::new("actionlint").current_dir(root()).arg("-color=false").output();
    let Ok(output) = lint else {
        let line =
            "\nskipped: actionlint_finds_nothing: there is no actionlint on PATH (github.com/rhysd/actionlint)\n";
        return std::io::stdout().write_all(line.as_bytes()).unwrap();
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Each workflow by the name of its file.
fn workflows() -> Vec<(String, Value)> {
    let files = fs::read_dir(root().join(".github/workflows")).unwrap().map(|entry| entry.unwrap().path());
    let read = |file: PathBuf| {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let workflow = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        (name, workflow)
    };
    files.map(read).collect()
}

/// What a job's steps run, line by line.
fn lines(job: &Value) -> Vec<String> {
    let steps = job["steps"].as_array().unwrap().iter().filter_map(|step| step["run"].as_str());
    steps.flat_map(str::lines).map(str::to_owned).collect()
}

/// A line for each value of the job's matrix that it names.
fn of_every_matrix(line: &str, job: &Value) -> Vec<String> {
    let mut lines = vec![line.to_owned()];
    for (key, values) in job["strategy"]["matrix"].as_object().into_iter().flatten() {
        let name = format!("${{{{ matrix.{key} }}}}");
        let with = |line: &String| {
            let values = values.as_array().unwrap().iter().map(|value| value.as_str().unwrap());
            values.map(|value| line.replace(&name, value)).collect::<Vec<_>>()
        };
        lines = lines.iter().flat_map(with).collect();
    }
    lines
}
