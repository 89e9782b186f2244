//! Which components of a node keep ending: its first process writes it down, and whoever waits for the cluster reads it there. Else a
//! cluster whose etcd can't read its data would be waited for in vain, time and again.

use std::{
    fs,
    path::{Path, PathBuf},
};

use lab_cli::{Obstacle, inotify};
use serde::{Deserialize, Serialize};

use super::{addresses::NODES, folders::Folders};

/// In the node's own `/run`.
const FILE: &str = "endings.json";
/// How much of a log's end is looked through, and what stands in the line that says why its writer ended.
const LOG_END: usize = 16 << 10;
const REASONS: [&str; 5] =
    ["panic:", "\"level\":\"fatal\"", "\"level\":\"panic\"", "command failed", "too many open files"];

/// A component that ended, again and again without having been well in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    pub component: String,
    pub count: u32,
    pub how: String,
}

/// Writes them down, in the order in which the components start; called in the node.
pub fn note(endings: &[Ending]) {
    note_in(Path::new("/run"), endings);
}

fn note_in(run: &Path, endings: &[Ending]) {
    let (file, partial) = (run.join(FILE), run.join(".endings"));
    // What can't be written is not told: the node goes on all the same.
    let text = serde_json::to_string(endings).unwrap_or_default();
    let _ = fs::write(&partial, text).and_then(|()| fs::rename(&partial, file));
}

/// How often in a row is too often: at a start, those that need another end until it is there.
fn most(component: &str) -> u32 {
    match component {
        "etcd" => 5,
        "kube-apiserver" | "kubelet" | "containerd" => 12,
        _ => 30,
    }
}

/// The first component that keeps ending, which the others may well end for.
pub fn obstacle(folders: &Folders) -> Option<Obstacle> {
    NODES.iter().find_map(|node| {
        let ending =
            read(&folders.node_run(node)).into_iter().find(|ending| ending.count >= most(&ending.component))?;
        Some(describe(node, &ending, &log_file(&folders.logs(), node, &ending.component)))
    })
}

fn read(run: &Path) -> Vec<Ending> {
    let text = fs::read_to_string(run.join(FILE)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn describe(node: &str, ending: &Ending, log: &Path) -> Obstacle {
    let Ending { component, count, how } = ending;
    let said = last_words(&fs::read(log).unwrap_or_default());
    let what = format!("{component} of node {node} keeps ending ({count} times, {how}): {said}");
    let anew = "`cargo xtask clean` and `cargo xtask lab 2` make the cluster anew";
    let fix = match component.as_str() {
        _ if said.contains("inotify") => inotify::FIX.to_owned(),
        "etcd" => format!("its data may be damaged; {anew}"),
        _ => anew.to_owned(),
    };
    Obstacle::new(what, format!("{fix}; all that it said is in {}", log.display()))
}

/// The last line of a log that says why its writer ended, or else the last one.
fn last_words(log: &[u8]) -> String {
    let end = String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_END)..]).into_owned();
    let lines = || end.lines().rev().filter(|line| !line.trim().is_empty());
    let reason = lines().find(|line| REASONS.iter().any(|reason| line.contains(reason)));
    reason.or_else(|| lines().next()).unwrap_or("it said nothing").trim().to_owned()
}

/// `ebpf-worker-kubelet.log`
pub fn log_file(folder: &Path, node: &str, component: &str) -> PathBuf {
    folder.join(format!("{node}-{component}.log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(component: &str, count: u32) -> Ending {
        Ending { component: component.to_owned(), count, how: "exit code 2".to_owned() }
    }

    #[test]
    fn the_first_that_keeps_ending_is_named_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let folders = Folders { run: folder.path().join("run"), data: folder.path().join("data") };
        let run = folders.node_run(NODES[0]);
        fs::create_dir_all(&run).unwrap();
        fs::create_dir_all(folders.logs()).unwrap();
        assert_eq!(obstacle(&folders), None);
        note_in(&run, &[ending("etcd", 4), ending("kube-apiserver", 11), ending("kube-scheduler", 29)]);
        assert_eq!(obstacle(&folders), None, "a start takes some tries");
        note_in(&run, &[ending("etcd", 9), ending("kube-apiserver", 12)]);
        let log = "{\"level\":\"info\"}\npanic: invalid page type\n\ngoroutine 1 [running]:\nmain.main()\n";
        fs::write(log_file(&folders.logs(), NODES[0], "etcd"), log).unwrap();
        let Obstacle { what, fix } = obstacle(&folders).unwrap();
        let words = "etcd of node ebpf-control-plane keeps ending (9 times, exit code 2): panic: invalid page type";
        assert_eq!(what, words);
        assert!(fix.contains("ebpf-control-plane-etcd.log") && fix.contains("cargo xtask clean"), "{fix}");
    }

    #[test]
    fn a_kubelet_without_inotify_is_told_what_fixes_it() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("kubelet.log");
        let line = "E1130 20:28:30.2 4412 kubelet.go:1833] \"Failed to start cAdvisor\" err=\"inotify_init: too many open files\"";
        fs::write(&log, format!("{line}\nI1130 20:28:30.3 4412 server.go:1] \"Stopped\"\n")).unwrap();
        let Obstacle { what, fix } = describe(NODES[1], &ending("kubelet", 12), &log);
        assert!(what.ends_with(line), "{what}");
        assert!(fix.starts_with(inotify::FIX), "{fix}");
    }

    #[test]
    fn without_a_reason_the_last_line_is_told() {
        assert_eq!(last_words(b"one\ntwo\n\n"), "two");
        assert_eq!(last_words(b""), "it said nothing");
        assert_eq!(last_words(&[0xff, b'\n']), "\u{fffd}");
    }
}
