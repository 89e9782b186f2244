//! Who asks for the metrics: many at once that never read what they asked for, and one that does.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::probe::{self, Run, until};
use testkit::recorded;

/// Sixty copies of the metrics below would be 400 MB; what bee is besides, and a few renderings, is far less.
const MOST: u64 = 100 << 20;
const SERIES: u32 = 40_000;
const READERS: usize = 60;

const PROBE: &str = r#"
struct key_t { __u32 number; char text[60]; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 40000); __type(key, struct key_t); __type(value, __u64); } counter_keys SEC(".maps");
SEC("raw_tp/sys_enter")
int watch(void *ctx)
{
	struct key_t key = {};
	return bpf_map_lookup_elem(&counter_keys, &key) != 0;
}
"#;

fn bee() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bee"))
}

/// A recording whose metrics have megabytes.
fn recording(folder: &Path) -> PathBuf {
    let object = fs::read(probe::build(bee(), folder, PROBE)).unwrap();
    let key = |number: u32| [&number.to_le_bytes()[..], &[b'x'; 60]].concat();
    let mut content: Vec<u8> = (0..SERIES).flat_map(key).collect();
    content.extend((0..SERIES).flat_map(|number| u64::from(number).to_le_bytes()));
    let file = folder.join("many.bee");
    let frames = [recorded::elements(0, (64, 8), &content)];
    fs::write(&file, recorded::recording("many", &object, &["counter_keys"], frames)).unwrap();
    file
}

/// The most memory that a process has had so far.
fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn sixty_readers_that_do_not_read_take_the_memory_of_a_few_and_keep_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::replay(bee(), &recording(folder.path()), &["--speed=max"]);
    assert!(until(|| run.metrics().len() > SERIES as usize * 100), "{}", run.metrics().len());
    let deaf: Vec<_> = (0..READERS).map(|_| ask(run.port())).collect();
    for _ in 0..5 {
        assert!(run.metrics().len() > SERIES as usize * 100, "who reads is answered");
    }
    let peak = peak(run.id());
    println!("{READERS} readers that do not read: {} MB at the most", peak >> 20);
    assert!(peak < MOST, "{} MB", peak >> 20);
    drop(deaf);
}

fn ask(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream
}

#[test]
fn by_hand_the_metrics_are_for_this_machine_alone_and_in_a_pod_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let recording = recording(folder.path());
    // Another address of this machine's; all of 127 are its own.
    let reaches = |bee: Command, options: &[&str], address: Ipv4Addr| {
        let run = Run::replay(bee, &recording, options);
        TcpStream::connect((IpAddr::from(address), run.port())).is_ok()
    };
    let (usual, other) = (Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2));
    let in_pod = || {
        let mut bee = bee();
        bee.env("KUBERNETES_SERVICE_HOST", "10.96.0.1");
        bee
    };
    assert!(reaches(bee(), &[], usual) && !reaches(bee(), &[], other));
    assert!(reaches(in_pod(), &[], other) && !reaches(in_pod(), &["--listen=127.0.0.1"], other));
    assert!(reaches(bee(), &["--listen=::"], other) && reaches(bee(), &["--listen", "0.0.0.0"], other));
}
