//! What doctor says of machines that we don't have: each a file of what its kernel and its programs say, recorded there or, where its
//! first line says so, composed from documentation.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use clap::Parser;
use lab_cli::{Cli, Machine, Paths, machine::Said};
use serde::Deserialize;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Recording {
    /// Where it comes from.
    about: String,
    /// Another that answers what this one does not.
    like: Option<String>,
    /// The command lines of doctor that are tried.
    doctor: Vec<String>,
    /// Files that are not there, though the other has them.
    absent: BTreeSet<String>,
    /// Files and folders of which only their being there counts.
    present: BTreeSet<String>,
    files: BTreeMap<String, String>,
    /// Programs that are there, whatever they say.
    programs: BTreeSet<String>,
    /// What programs print, by how their command lines begin.
    prints: BTreeMap<String, String>,
    /// What programs say that end with an error.
    fails: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
    #[serde(skip)]
    other: Option<Box<Recording>>,
}

impl Recording {
    fn read(name: &str) -> Self {
        let text = fs::read_to_string(folder().join(format!("{name}.toml"))).unwrap();
        let mut recording: Self = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        recording.other = recording.like.as_deref().map(|other| Box::new(Self::read(other)));
        recording
    }
}

impl Machine for Recording {
    fn read(&self, path: &str) -> Option<String> {
        if self.absent.contains(path) {
            return None;
        }
        let other = || self.other.as_ref().and_then(|other| other.read(path));
        self.files.get(path).cloned().or_else(other)
    }

    fn exists(&self, path: &str) -> bool {
        if self.absent.contains(path) {
            return false;
        }
        // A file's folders are there with it.
        let below = Path::new(path);
        let holds = |file: &String| Path::new(file).starts_with(below);
        self.present.iter().chain(self.files.keys()).any(holds)
            || self.other.as_ref().is_some_and(|other| other.exists(path))
    }

    fn has(&self, program: &str) -> bool {
        let is_it = |line: &String| line.split(' ').next() == Some(program);
        !self.absent.contains(program)
            && (self.programs.iter().chain(self.prints.keys()).chain(self.fails.keys()).any(is_it)
                || self.other.as_ref().is_some_and(|other| other.has(program)))
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Option<Said> {
        if self.absent.contains(program) {
            return None;
        }
        let line = [&[program], arguments].concat().join(" ");
        let said = |texts: &BTreeMap<String, String>| {
            texts.iter().find_map(|(begin, text)| line.starts_with(begin).then(|| text.clone()))
        };
        if let Some(stdout) = said(&self.prints) {
            return Some(Said { ok: true, stdout, stderr: String::new() });
        }
        if let Some(stderr) = said(&self.fails) {
            return Some(Said { ok: false, stdout: String::new(), stderr });
        }
        self.other.as_ref().and_then(|other| other.run(program, arguments))
    }

    fn variable(&self, name: &str) -> Option<String> {
        let other = || self.other.as_ref().and_then(|other| other.variable(name));
        self.variables.get(name).cloned().or_else(other)
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/doctor/recorded")
}

fn paths() -> Paths {
    let home = Path::new("/home/student");
    let cache = home.join(".cache/ebpf-lab");
    let programs = cache.join("programs/key");
    let checkout = home.join("workshop");
    Paths { bin: checkout.join("target/release"), checkout, state: home.join(".local/state/ebpf-lab"), cache, programs }
}

#[test]
fn doctor_on_every_recorded_machine() {
    let mut names: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".toml")?.to_owned()))
        .collect();
    names.sort();
    for name in names {
        let machine = Recording::read(&name);
        assert!(
            machine.about.starts_with("recorded") || machine.about.starts_with("composed"),
            "{name}: {}",
            machine.about
        );
        if machine.doctor.is_empty() {
            continue;
        }
        let mut text = String::new();
        for line in &machine.doctor {
            let cli = Cli::parse_from(["xtask"].into_iter().chain(line.split(' ')));
            let findings = super::findings(&machine, &paths(), &cli.options, true);
            text += &format!("$ cargo xtask {line}\n");
            match cli.options.json {
                true => text += &format!("{:#}\n", super::json(&findings)),
                false => findings.iter().for_each(|finding| text += &format!("{}\n", finding)),
            }
        }
        insta::with_settings!({ snapshot_path => "recorded/snapshots", prepend_module_to_snapshot => false, omit_expression => true, description => machine.about.as_str() }, {
            insta::assert_snapshot!(name, text);
        });
    }
}
