//! Files of somebody who means harm, looked at by bee as a whole: whatever they hold, it ends by itself, with an exit code of its own and
//! within a bound of memory. What is looked at in one process stands in `strangers.rs` and `objects.rs`.
//!
//! The same seeds each time, for seconds; `BEE_FUZZ_SECONDS=3600 cargo test --release --test fuzz -- --ignored` goes on from there.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use serde_json::json;
use tempfile::TempDir;
use testkit::forged::{Dice, Types, object};
use testkit::measured::measured;
use testkit::probe::{self, Run, until};
use testkit::recorded;

/// What bee keeps of a file, 64 MB, as much again for what it answers, and all that it takes to read and show it.
const MOST: u64 = 256 << 20;

/// A program and maps of every kind that is exported.
const PROBE: &str = r#"
struct event_t { __u32 number; char comm[16]; };
struct took_t { __u32 value; };
struct bucket_t { __u32 number; __u32 bucket; };
const volatile __u32 watched = 0;
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, struct event_t); __type(value, __u64); } print_elements SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, struct event_t); __type(value, __u64); } counter_elements SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, struct bucket_t); __type(value, __u64); } hist_elements SEC(".maps");
__u64 bee_failed_hist_elements;
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __type(value, struct event_t); } print_events SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __type(value, struct event_t); } counter_events SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __type(value, struct took_t); } hist_events SEC(".maps");
SEC("raw_tp/sys_enter")
int watch(void *ctx)
{
	struct event_t key = { .number = watched };
	return bpf_map_lookup_elem(&counter_elements, &key) != 0;
}
"#;

/// In the object's order.
const MAPS: [&str; 6] =
    ["print_elements", "counter_elements", "hist_elements", "print_events", "counter_events", "hist_events"];

fn bee() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bee"))
}

/// A folder, a good object in it, and the most memory that was seen.
struct World {
    folder: TempDir,
    object: Vec<u8>,
    peak: AtomicU64,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let object = fs::read(probe::build(bee(), folder.path(), PROBE)).unwrap();
        Self { folder, object, peak: AtomicU64::new(0) }
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// bee ends by itself, says no more than an exit code can, and keeps its memory.
    #[track_caller]
    fn survives(&self, what: &str, command: &str, file: &Path, options: &[&str]) -> String {
        let mut bee = bee();
        bee.current_dir(&self.folder).env("HOME", self.folder.path()).arg(command).arg(file).args(options);
        let ended = measured(&mut bee);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        let code = ended.status.code();
        assert!(
            code.is_some_and(|code| code < 5) && !said.contains("panicked"),
            "{what}: {command}: {:?} {said}",
            ended.status
        );
        assert!(ended.peak < MOST, "{what}: {command}: {} MB", ended.peak >> 20);
        self.peak.fetch_max(ended.peak, Ordering::Relaxed);
        said
    }

    /// A file of this seed, in each way that it can be looked at.
    fn look_at(&self, seed: u64) {
        let mut dice = Dice::new(seed);
        let what = format!("seed {seed}");
        let kind = seed % 4;
        match kind {
            0 | 1 => {
                let mut object = self.object.clone();
                if kind == 0 {
                    dice.rename(&mut object)
                } else {
                    dice.damage(&mut object)
                }
                let file = self.file("damaged.o", &object);
                ["inspect", "lint"].into_iter().for_each(|command| drop(self.survives(&what, command, &file, &[])));
            }
            2 => {
                let file = self.file("damaged.bee", &damaged(&mut dice, &self.recording(), 8));
                let output = if dice.below(2) == 0 { "--output=json" } else { "--output=columns" };
                self.survives(&what, "replay", &file, &["--speed=max", "--prom-port=0", "--timeout=0s", output]);
            }
            _ => {
                let mut archive = self.archive();
                dice.damage(&mut archive);
                let file = self.file("damaged.tar", &archive);
                self.survives(&what, "import", &file, &["--storage", "taken"]);
            }
        }
    }

    /// A recording that is right, of every kind of frame.
    fn recording(&self) -> Vec<u8> {
        let event = |number: u32| [&number.to_le_bytes()[..], b"comm", &[0; 12]].concat();
        let elements = [event(1), event(2), 7u64.to_le_bytes().to_vec(), 8u64.to_le_bytes().to_vec()].concat();
        let account = json!({ "runs": 1, "run_time": { "secs": 1, "nanos": 0 }, "missed": 0 });
        let json = |value: serde_json::Value| value.to_string().into_bytes();
        let frames = [
            recorded::event(3, &event(1)),
            recorded::event(4, &event(2)),
            recorded::event(5, &9u32.to_le_bytes()),
            recorded::elements(0, (20, 8), &elements),
            recorded::elements(1, (20, 8), &elements),
            recorded::elements(2, (8, 8), &[1; 32]),
            (recorded::TEXT, json(json!([0, "watch", "one\ntwo"]))),
            (recorded::ACCOUNTS, json(json!([0, [["watch", account]]]))),
            (recorded::FUNCTIONS, json(json!([[16, "tcp_connect"]]))),
        ];
        recorded::recording("probe", &self.object, &MAPS, frames)
    }

    fn archive(&self) -> Vec<u8> {
        let archive = self.folder.path().join("probes.tar");
        if !archive.exists() {
            let run = |arguments: &[&str]| {
                let mut bee = bee();
                bee.current_dir(&self.folder).args(["--storage", "store"]).args(arguments);
                assert!(bee.output().unwrap().status.success());
            };
            run(&["build", "probe.c", "probe:v1", "--arch", "amd64,arm64"]);
            run(&["export", "probe:v1", "--output", "probes.tar"]);
        }
        fs::read(archive).unwrap()
    }
}

/// A gzip file behind so many plain bytes, of which some of what is packed changed.
fn damaged(dice: &mut Dice, file: &[u8], plain: usize) -> Vec<u8> {
    let (begin, packed) = file.split_at(plain);
    let mut bytes = vec![];
    GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    dice.damage(&mut bytes);
    let mut stream = flate2::write::GzEncoder::new(begin.to_vec(), flate2::Compression::fast());
    std::io::Write::write_all(&mut stream, &bytes).unwrap();
    stream.finish().unwrap()
}

#[test]
fn changed_bytes_end_nothing_and_take_no_memory() {
    let world = World::new();
    (0..400).for_each(|seed| world.look_at(seed));
    println!("400 changed files: {} MB at the most", world.peak.into_inner() >> 20);
}

#[test]
#[ignore = "takes as long as BEE_FUZZ_SECONDS says"]
fn more_changed_bytes_end_nothing_either() {
    let world = World::new();
    let seconds = std::env::var("BEE_FUZZ_SECONDS").map_or(20, |text| text.parse().unwrap());
    let (began, mut seed) = (Instant::now(), 400);
    while began.elapsed() <= Duration::from_secs(seconds) {
        world.look_at(seed);
        seed += 1;
    }
    println!("{} changed files: {} MB at the most", seed - 400, world.peak.into_inner() >> 20);
}

#[test]
#[ignore = "needs root (loads probes)"]
fn the_kernel_may_refuse_objects_whose_names_changed() {
    let world = World::new();
    for seed in 0..60 {
        let mut object = world.object.clone();
        Dice::new(seed).rename(&mut object);
        let file = world.file("renamed.o", &object);
        let options = ["--no-tty", "--prom-port=0", "--timeout=20ms"];
        world.survives(&format!("seed {seed}"), "run", &file, &options);
    }
}

/// Objects that are small beside what they would have bee, or libbpf, keep.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let mut many = Types::default();
    let name = many.name("x");
    (0..1_000_000).for_each(|_| _ = many.int(name));

    let mut long = Types::default();
    let name = long.name(&"x".repeat(4000));
    (0..100_000).for_each(|_| _ = long.int(name));

    vec![
        ("types", object(&many, 1, 8)),
        ("types of long names", object(&long, 1, 8)),
        ("maps of many fields", object(&maps("x", 1000), 1, 8)),
        ("maps of many fields of long names", object(&maps(&"x".repeat(500), 60_000), 1, 8)),
        ("functions on top of each other", object(&maps("x", 1), 60_000, 1 << 20)),
    ]
}

/// So many ring buffers, all of one definition, whose events have 500 fields of one name.
fn maps(name: &str, count: usize) -> Types {
    let mut types = Types::default();
    let empty = types.name("");
    let int = types.int(empty);
    let name = types.name(name);
    let event = types.record(empty, &vec![(name, int); 500]);
    let ring = types.array(int, 27);
    let (ring, event) = (types.pointer(ring), types.pointer(event));
    let members = [types.name("type"), types.name("value")];
    let definition = types.record(empty, &[(members[0], ring), (members[1], event)]);
    let map = types.name("print_map");
    let map = types.variable(map, definition);
    types.section(".maps", &vec![map; count]);
    types
}

#[test]
fn small_objects_that_stand_for_gigabytes_are_refused() {
    let world = World::new();
    for (what, bomb) in bombs() {
        let file = world.file("bomb.o", &bomb);
        for command in ["inspect", "lint"] {
            let said = world.survives(what, command, &file, &[]);
            let refused = ["needs more than", "more sections, functions", "is longer than"];
            assert!(refused.iter().any(|words| said.contains(words)), "{what}: {said}");
        }
    }
    let huge = world.folder.path().join("huge.o");
    fs::File::create(&huge).unwrap().set_len(3 << 29).unwrap();
    for command in ["inspect", "lint", "run", "replay", "import"] {
        world.survives("1.5 GB of nothing", command, &huge, &[]);
    }
    println!("objects: {} MB at the most", world.peak.into_inner() >> 20);
}

type Frames = Box<dyn Iterator<Item = (u8, Vec<u8>)>>;

/// Recordings of some kilobytes, and what of them is too much. They are made as they are written: this process is to stay small.
fn recordings() -> Vec<(&'static str, Frames)> {
    let full = |map: usize, sizes: (usize, usize)| {
        let whole = (31 << 20) / (sizes.0 + sizes.1) * (sizes.0 + sizes.1);
        recorded::elements(map, sizes, &vec![0; whole])
    };
    // Each of its own, and nearly all of it the same.
    let events = |map: usize, size: usize| {
        let record = move |n: u32| [&n.to_le_bytes()[..], &vec![0; size - 4]].concat();
        Box::new((0..1_000_000).map(move |n| recorded::event(map, &record(n)))) as Frames
    };
    let json = |kind: u8, value: serde_json::Value| (kind, value.to_string().into_bytes());
    let text = json(recorded::TEXT, json!([0, "watch", "x\n".repeat(1 << 20)]));
    let functions = move |n: u64| {
        let named: Vec<_> = (n * 900..(n + 1) * 900).map(|at| json!([at, "f".repeat(590)])).collect();
        json(recorded::FUNCTIONS, json!(named))
    };
    let account = json!(["x", { "runs": 1, "run_time": { "secs": 1, "nanos": 0 }, "missed": null }]);
    let accounts = json(recorded::ACCOUNTS, json!([0, vec![account; 12_000]]));
    let small = [(0, (20, 8)), (1, (20, 8)), (2, (8, 8))];
    let large = [(0, (20, 1 << 20)), (1, (20, 1 << 20)), (2, (8, 1 << 20))];
    vec![
        ("elements", Box::new(small.into_iter().map(move |(map, sizes)| full(map, sizes)))),
        ("elements of large values", Box::new(large.into_iter().map(move |(map, sizes)| full(map, sizes)))),
        ("buckets", Box::new(std::iter::once_with(buckets))),
        ("events", events(4, 20)),
        ("observations", events(5, 4)),
        ("text", Box::new(std::iter::repeat_n(text, 2))),
        ("functions", Box::new((0..100).map(functions))),
        ("accounts", Box::new(std::iter::repeat_n(accounts, 20))),
        ("a long frame", Box::new(std::iter::once((recorded::FUNCTIONS, vec![b'['; 4 << 20])))),
    ]
}

/// A million histograms in a hash, each of one bucket.
fn buckets() -> (u8, Vec<u8>) {
    let bucket = |n: u32| [&n.to_le_bytes()[..], &[0; 4]].concat();
    let content: Vec<u8> = (0..1_000_000).flat_map(bucket).chain(vec![1; 8_000_000]).collect();
    recorded::elements(2, (8, 8), &content)
}

#[test]
fn small_recordings_that_stand_for_gigabytes_are_shown_as_far_as_there_is_room() {
    let world = World::new();
    for (what, frames) in recordings() {
        let recording = recorded::recording("bomb", &world.object, &MAPS, frames);
        let file = world.file("bomb.bee", &recording);
        for output in ["json", "columns"] {
            let options = ["--speed=max", "--prom-port=0", "--timeout=0s", "--output", output];
            world.survives(what, "replay", &file, &options);
        }
        // What it prints, this process would keep.
        let mut unread = Command::new("sh");
        unread.args(["-c", "exec \"$0\" replay \"$@\" > /dev/null", env!("CARGO_BIN_EXE_bee")]).arg(&file);
        unread.args(["--speed=max", "--output=columns"]);
        let run = Run::of(unread);
        let over = || ["recording is over", "ends early"].iter().any(|words| run.said().contains(words));
        assert!(until(over), "{what}: {}", run.said());
        let metrics = (0..3).map(|_| run.metrics().len()).max();
        let peak = peak(run.id());
        println!("{what}: {} kB, {} MB with metrics of {metrics:?} bytes", recording.len() >> 10, peak >> 20);
        assert!(peak < MOST, "{what}: {} MB", peak >> 20);
    }
    println!("recordings: {} MB at the most", world.peak.into_inner() >> 20);
}

/// The most memory that a process has had so far.
fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
