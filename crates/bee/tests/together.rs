//! Several probes in one run, the names that their maps and programs have in a BPF file system, and output in columns.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::path::{Path, PathBuf};

use testkit::probe::{Run, build, until};

fn bee() -> std::process::Command {
    std::process::Command::new(env!("CARGO_BIN_EXE_bee"))
}

/// Counts the getppid() calls of one process, by the name of the thread, in a map and a program of these names; prints them in one that
/// all have.
fn calls(folder: &Path, name: &str, program: &str) -> PathBuf {
    let folder = folder.join(name);
    std::fs::create_dir(&folder).unwrap();
    let lines = format!("#define GETPPID {}\n{CALLS}", libc::SYS_getppid);
    build(bee(), &folder, &lines.replace("COUNTER", &format!("counter_{name}")).replace("PROGRAM", program))
}

const CALLS: &str = r#"
const volatile __u32 watched = 0;
struct name_t { char comm[16]; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, struct name_t); __type(value, __u64); } COUNTER SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 16); __type(value, struct name_t); } print_calls SEC(".maps");
SEC("raw_tp/sys_enter")
int PROGRAM(struct bpf_raw_tracepoint_args *ctx)
{
	struct name_t name = {};
	__u64 one = 1, *count;
	if (ctx->args[1] != GETPPID || bpf_get_current_pid_tgid() >> 32 != watched)
		return 0;
	bpf_get_current_comm(name.comm, sizeof(name.comm));
	bpf_ringbuf_output(&print_calls, &name, sizeof(name), 0);
	count = bpf_map_lookup_elem(&COUNTER, &name);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&COUNTER, &name, &one, BPF_ANY);
	return 0;
}
"#;

/// Calls getppid() in a thread of this name.
fn call(name: &str) {
    std::thread::Builder::new().name(name.into()).spawn(nix::unistd::getppid).unwrap().join().unwrap();
}

#[test]
#[ignore = "needs root (loads probes)"]
fn several_probes_share_the_metrics_and_the_output_and_each_says_what_is_its() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| calls(folder.path(), name, "watch"));
    let watched = format!("--param=watched={}", std::process::id());
    let run = Run::start(bee(), &a, &[b.to_str().unwrap(), &watched]);
    call("asks");
    assert!(until(|| run.value("counter_a", &["asks"]) == 1 && run.value("counter_b", &["asks"]) == 1));
    let metrics = run.metrics();
    for probe in [&a, &b] {
        let labels = format!("{{map=\"print_calls\",probe=\"{}\"}} 0", probe.display());
        assert!(metrics.contains(&format!("bee_loss_known{labels}")), "{metrics}");
        assert!(metrics.contains(&format!("{{program=\"watch\",probe=\"{}\"}}", probe.display())), "{metrics}");
    }
    let names: Vec<_> = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let once: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(once.len(), names.len(), "a family is told of once: {metrics}");
    let output = run.stop();
    for probe in [&a, &b] {
        let line = format!(r#"{{"map":"print_calls","event":{{"comm":"asks"}},"probe":"{}"}}"#, probe.display());
        assert!(output.lines().any(|found| found == line), "{line} is not in\n{output}");
    }
}

/// On a tracepoint that no kernel has.
const NOWHERE: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, __u32); __type(value, __u64); } counter_never SEC(".maps");
SEC("tp/sched/no_such_event")
int never(void *ctx)
{
	return 0;
}
"#;

#[test]
#[ignore = "needs root (loads probes)"]
fn if_one_probe_cant_be_attached_none_is_and_the_error_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (calls(folder.path(), "a", "watch"), build(bee(), folder.path(), NOWHERE));
    let options = [bad.to_str().unwrap(), "--timeout=10s"];
    let Err(said) = Run::try_start(bee(), &good, &options) else { panic!("it runs") };
    assert!(said.contains(&format!("error: probe {}: this kernel cannot run the probe", bad.display())), "{said}");
}

#[test]
#[ignore = "needs root (loads probes)"]
fn columns_are_lines_of_text_under_a_header() {
    let folder = tempfile::tempdir().unwrap();
    let object = calls(folder.path(), "a", "watch");
    let watched = format!("--param=watched={}", std::process::id());
    let mut columns = bee();
    columns.arg("run").arg(&object).args([&watched, "--output=columns"]);
    let run = Run::of(columns);
    call("asks");
    call("asks");
    let output = run.stop();
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.first(), Some(&"MAP           COMM"), "{output}");
    assert!(lines.len() == 3 && lines[1..].iter().all(|line| *line == "print_calls   asks"), "{output}");
    let refused = bee().arg("run").arg(&object).args(["--output=table", "--prom-port=0"]).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("standard output is not a terminal"));
}

/// A BPF file system of the test's own.
struct FileSystem(tempfile::TempDir);

impl FileSystem {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        nix::mount::mount(Some("bpf"), folder.path(), Some("bpf"), nix::mount::MsFlags::empty(), None::<&str>).unwrap();
        Self(folder)
    }

    /// What is in one of its folders; nothing if there is none.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path().join(folder)).into_iter().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for FileSystem {
    fn drop(&mut self) {
        nix::mount::umount(self.0.path()).unwrap();
    }
}

#[test]
#[ignore = "needs root (loads probes, mounts a file system)"]
fn a5_25_pins_last_as_long_as_the_run_even_if_it_is_killed_and_one_that_is_in_the_way_is_taken_over() {
    let (folder, bpf) = (tempfile::tempdir().unwrap(), FileSystem::mount());
    let object = calls(folder.path(), "a", "watch");
    let pin = |option: &str, folder: &str| format!("{option}={}", bpf.0.path().join(folder).display());
    let empty = bpf.names(".");
    let options = [pin("--pin-maps", "deep/maps"), pin("--pin-progs", "programs")];
    let options = options.each_ref().map(String::as_str);
    let killed = Run::start(bee(), &object, &options);
    let pinned = (["counter_a", "print_calls"].map(str::to_owned).to_vec(), vec!["watch".to_owned()]);
    assert_eq!((bpf.names("deep/maps"), bpf.names("programs")), pinned);
    let map = bpf.0.path().join("deep/maps/counter_a");
    let mut kept = libbpf_rs::MapHandle::from_pinned_path(&map).unwrap();
    drop(killed);
    assert!(until(|| bpf.names(".") == empty), "{:?} after kill -9", bpf.names("."));

    // As they stay if the process was killed, too, that takes names away.
    std::fs::create_dir_all(map.parent().unwrap()).unwrap();
    kept.pin(&map).unwrap();

    let watched = format!("--param=watched={}", std::process::id());
    let run = Run::start(bee(), &object, &[options[0], options[1], &watched]);
    call("asks");
    let map = libbpf_rs::MapHandle::from_pinned_path(&map).unwrap();
    assert!(until(|| libbpf_rs::MapCore::keys(&map).count() == 1), "the pin is that of the run that goes on");
    run.stop();
    assert_eq!((bpf.names("deep/maps"), bpf.names("programs")), (vec![], vec![]));
    assert!(bpf.names(".").contains(&"deep".to_owned()), "a folder that was there stays");
}

#[test]
#[ignore = "needs root (loads probes, mounts a file system)"]
fn pins_of_several_probes_have_folders_of_their_own_and_go_with_them() {
    let (folder, bpf) = (tempfile::tempdir().unwrap(), FileSystem::mount());
    let [a, b] = ["a", "b"].map(|name| calls(folder.path(), name, "watch"));
    let pin = format!("--pin-maps={}", bpf.0.path().join("maps").display());
    let before = bpf.names(".");
    let run = Run::start(bee(), &a, &[b.to_str().unwrap(), &pin]);
    assert_eq!(bpf.names("maps").len(), 2);
    run.stop();
    assert_eq!(bpf.names("."), before, "folders that were made for it are gone");
}

#[test]
#[ignore = "needs root (loads probes)"]
fn a_folder_that_is_in_no_bpf_file_system_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let object = calls(folder.path(), "a", "watch");
    let pin = format!("--pin-progs={}", folder.path().join("pins").display());
    let Err(said) = Run::try_start(bee(), &object, &[&pin]) else { panic!("it runs") };
    assert!(said.contains("pins is in no BPF file system"), "{said}");
}
