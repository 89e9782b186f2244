//! Which files are probes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What only probes have.
const SECTIONS: [&str; 2] = ["SEC(\"", "__section(\""];

/// A source that has none of these looks at the kernel and leaves it as it is.
const ACTS: [&str; 15] = [
    "bpf_send_signal",
    "bpf_probe_write_user",
    "bpf_override_return",
    "bpf_sys_bpf",
    "bpf_set_retval",
    "SEC(\"cgroup",
    "SEC(\"lsm",
    "SEC(\"fmod_ret",
    "SEC(\"sockops",
    "SEC(\"sk_",
    "SEC(\"struct_ops",
    "SEC(\".struct_ops",
    "SEC(\"tc",
    "SEC(\"xdp",
    "SEC(\"netfilter",
];

/// The probes below a directory, in the order of their names.
pub fn below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![];
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).with_context(|| format!("failed to read {}", directory.display()))? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_file() && is_probe(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_probe(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".bpf.c") || name.ends_with(".c") && has_any(path, &SECTIONS)
}

/// Whether a probe does more than look: ends processes, writes their memory, decides about packets.
pub fn acts(path: &Path) -> bool {
    has_any(path, &ACTS)
}

fn has_any(path: &Path, words: &[&str]) -> bool {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    words.iter().any(|word| text.contains(word))
}
