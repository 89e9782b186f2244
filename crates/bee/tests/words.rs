//! Words of strangers come through many doors: images, objects, recordings, registries, file names. Through none of them does a
//! sequence reach the terminal that it would obey; what it would have been is shown.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use testkit::probe::{self, Run, until};
use testkit::recorded;

/// ESC, a control of C1, DEL, a bell, a mark of direction, one that takes no room, a line end of Unicode's, and a plain one before what
/// would pass for bee's own word.
const WORD: &str = "evil\u{1b}[2J\u{9b}31m\u{7f}\u{7}\u{202e}\u{200b}\u{2028}\nhint: obey";

/// How some of it is shown.
const SHOWN: &str = "evil\\u{1b}[2J\\u{9b}31m";

/// The same in as many bytes as a name of an object's has, which is replaced by it.
const NAME: &str = "Watched_by_a_stranger_01";
const NAMED: &str = "evil\u{1b}[2J\u{9b}31m\u{7f}\u{202e}\u{200b}\n_01";

const PROBE: &str = r#"
struct event_t { __u32 Field_of_a_stranger_0001; char comm[16]; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, struct event_t); __type(value, __u64); } print_Map_of_a_stranger SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __type(value, struct event_t); } print_events SEC(".maps");
SEC("raw_tp/sys_enter")
int Watched_by_a_stranger_01(void *ctx)
{
	struct event_t key = {};
	return bpf_map_lookup_elem(&print_Map_of_a_stranger, &key) != 0;
}
"#;

struct World(TempDir);

impl World {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn bee(&self) -> Command {
        let mut bee = Command::new(env!("CARGO_BIN_EXE_bee"));
        bee.current_dir(&self.0).env("HOME", self.0.path()).env_remove("DOCKER_CONFIG").args(["--storage", "store"]);
        bee
    }

    /// What bee prints and says, of which a terminal obeys nothing.
    #[track_caller]
    fn hears(&self, arguments: &[&str]) -> String {
        tame(&self.bee().args(arguments).output().unwrap())
    }

    /// An object in which these names have become those of a stranger's.
    fn object(&self, names: &[(&str, &str)]) -> Vec<u8> {
        let mut object = fs::read(probe::build(Command::new(env!("CARGO_BIN_EXE_bee")), self.0.path(), PROBE)).unwrap();
        for (name, evil) in names {
            assert_eq!(name.len(), evil.len());
            let places: Vec<_> = (0..object.len()).filter(|at| object[*at..].starts_with(name.as_bytes())).collect();
            assert!(!places.is_empty(), "{name}");
            places.iter().for_each(|at| object[*at..*at + name.len()].copy_from_slice(evil.as_bytes()));
        }
        object
    }
}

#[track_caller]
fn tame(output: &Output) -> String {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(!said.contains("panicked"), "{said}");
    let obeyed = |c: char| c.is_control() && c != '\n' || "\u{202e}\u{200b}\u{2028}".contains(c);
    assert!(!said.contains(obeyed), "{said:?}");
    assert!(!said.lines().any(|line| line == "hint: obey"), "it passes for bee's own word: {said}");
    said
}

#[test]
fn of_an_image_and_the_stores_list() {
    let world = World::new();
    let put = |content: &[u8]| {
        let digest = hex::encode(Sha256::digest(content));
        fs::create_dir_all(world.path("store/blobs/sha256")).unwrap();
        fs::write(world.path("store/blobs/sha256").join(&digest), content).unwrap();
        (format!("sha256:{digest}"), content.len())
    };
    let descriptor = |kind: &str, content: &[u8]| {
        let (digest, size) = put(content);
        json!({ "mediaType": kind, "digest": digest, "size": size })
    };
    let config = json!({
        "architecture": WORD, "os": WORD, "programs": [{ "name": WORD, "section": WORD }],
        "maps": [{ "name": WORD, "type": WORD, "max_entries": 1, "kind": WORD, "metric": WORD, "labels": [WORD] }],
    });
    let config = descriptor("application/ebpf.oci.image.config.v1+json", config.to_string().as_bytes());
    let program = descriptor("application/ebpf.oci.image.program.v1+binary", b"no program");
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [program], "annotations": { WORD: WORD } });
    let named = |name: &str| {
        let mut named = descriptor("application/vnd.oci.image.manifest.v1+json", manifest.to_string().as_bytes());
        named["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        named["platform"] = json!({ "architecture": WORD, "os": WORD });
        named
    };
    let mut broken = named(&format!("broken {WORD}"));
    broken["digest"] = format!("sha256:{}", "0".repeat(64)).into();
    let index = json!({ "schemaVersion": 2, "manifests": [named(WORD), named("probe:v1"), broken] });
    fs::write(world.path("store/index.json"), index.to_string()).unwrap();

    assert!(world.hears(&["list"]).contains(SHOWN));
    assert_eq!(world.hears(&["list"]).lines().count(), 1 + 3 + 1 + 1, "a row is a line");
    let listed = world.bee().args(["list", "--json"]).output().unwrap();
    tame(&listed);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert!(listed.as_array().unwrap().iter().any(|entry| entry["name"] == WORD), "JSON means what it did");
    assert!(world.hears(&["describe", "probe:v1"]).contains(SHOWN));
    world.hears(&["describe", "probe:v1", "--json"]);
    world.hears(&["inspect", "probe:v1"]);
    world.hears(&["run", "probe:v1"]);
    world.hears(&["export", "probe:v1", "--output", "probes.tar"]);
    world.hears(&["import", "probes.tar"]);
}

#[test]
fn of_an_object() {
    let world = World::new();
    let evil = [
        (NAME, NAMED),
        ("Field_of_a_stranger_0001", NAMED),
        ("Map_of_a_stranger", "\u{1b}[2J\u{9b}\u{7f}\u{202e}\u{200b}\n_01"),
    ];
    for names in [&evil[..], &evil[..1], &evil[1..2], &evil[2..]] {
        fs::write(world.path("evil.o"), world.object(names)).unwrap();
        for arguments in [
            &["inspect", "evil.o"][..],
            &["inspect", "evil.o", "--json"],
            &["inspect", "evil.o", "--mermaid"],
            &["lint", "evil.o"],
            &["lint", "evil.o", "--json"],
            &["run", "evil.o", "--filter", "nothing==1"],
            &["run", "evil.o", "--param", "nothing=1"],
            &["run", "evil.o", "--variant", "none"],
        ] {
            world.hears(arguments);
        }
    }
}

#[test]
#[ignore = "needs root (loads probes)"]
fn of_an_object_that_the_kernel_looks_at() {
    let world = World::new();
    for names in [(NAME, NAMED), ("Field_of_a_stranger_0001", NAMED)] {
        fs::write(world.path("evil.o"), world.object(&[names])).unwrap();
        world.hears(&["run", "evil.o", "--no-tty", "--prom-port=0", "--timeout=100ms"]);
    }
}

/// A recording of a probe whose name, state and texts are a stranger's.
fn recording(world: &World) -> PathBuf {
    let object = fs::read(probe::build(Command::new(env!("CARGO_BIN_EXE_bee")), world.0.path(), PROBE)).unwrap();
    let mut comm = WORD.as_bytes()[..15].to_vec();
    comm.push(0);
    let account = json!({ "runs": 1, "run_time": { "secs": 1, "nanos": 0 }, "missed": 0 });
    let json = |value: Value| value.to_string().into_bytes();
    let frames = [
        recorded::event(1, &[&1u32.to_le_bytes()[..], &comm].concat()),
        (recorded::TEXT, json(json!([0, WORD, format!("{WORD}\n{WORD}")]))),
        (recorded::ACCOUNTS, json(json!([0, [[WORD, account]]]))),
        (9, WORD.into()),
    ];
    let file = world.path("evil.bee");
    let maps = ["print_Map_of_a_stranger", "print_events"];
    fs::write(&file, recorded::recording(WORD, &object, &maps, frames)).unwrap();
    file
}

#[test]
fn of_a_recording_and_of_the_metrics() {
    let world = World::new();
    let file = recording(&world);
    for output in ["json", "columns"] {
        let options = ["--speed=max", "--prom-port=0", "--timeout=0s", "--output", output];
        let said = world.hears(&[&["replay", "evil.bee"][..], &options].concat());
        assert!(said.contains("evil") && said.contains("ends early"), "{said}");
    }
    let run = Run::replay(world.bee(), &file, &["--speed=max"]);
    assert!(until(|| run.metrics().contains(SHOWN.replace('\\', "\\\\").as_str())), "{}", run.metrics());
    assert!(!run.metrics().contains(['\u{1b}', '\u{9b}']), "who looks with curl sees them on a terminal");
}

#[test]
fn of_a_source() {
    let world = World::new();
    fs::write(world.path("evil.c"), "#include \"ev\u{1b}[2Jil\u{9b}.h\"\n#error \u{202e}\u{1b}[2J\n").unwrap();
    for command in [&["build", "evil.c", "evil:v1"][..], &["lint", "evil.c"]] {
        assert!(world.hears(command).contains("'ev\\u{1b}[2Jil"));
    }
}

#[test]
fn of_a_registry() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let lines = BufReader::new(connection.try_clone().unwrap()).lines();
            let request = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).next().unwrap_or_default();
            let body = json!({ "errors": [{ "code": "UNKNOWN", "message": WORD, "detail": WORD }] }).to_string();
            let status = if request.contains("/v2/ ") { "200 OK" } else { "500 \u{1b}[2J" };
            let head =
                format!("HTTP/1.1 {status}\r\nX: y\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = connection.write_all([head, body].concat().as_bytes());
        }
    });
    let world = World::new();
    let name = format!("{host}/room/probe:v1");
    world.hears(&["build", concat!(env!("CARGO_MANIFEST_DIR"), "/../../probes/probe.bpf.c"), &name]);
    for arguments in [
        &["pull", &name][..],
        &["push", &name],
        &["package", &name, &name],
        &["run", &name, "--pull", "always"],
        &["login", &host, "-u", "a", "-p", "b"],
    ] {
        world.hears(arguments);
    }
}

#[test]
fn of_a_files_name() {
    let world = World::new();
    let names = [WORD.as_bytes(), b"evil\x1b[2J\xff\xfe.o"];
    for name in names.map(OsStr::from_bytes) {
        fs::write(world.0.path().join(name), "nothing").unwrap();
        for before in
            [&["inspect"][..], &["lint"], &["run"], &["replay"], &["import"], &["build", "--binary-only", "-o", "x.o"]]
        {
            tame(&world.bee().args(before).arg(name).output().unwrap());
        }
        tame(&world.bee().args(["export", "none:v1", "--output"]).arg(name).output().unwrap());
        let mut source = name.to_owned();
        source.push(".c");
        fs::write(world.0.path().join(&source), "int x = y;\n").unwrap();
        tame(&world.bee().arg("lint").arg(&source).output().unwrap());
    }
}
