//! The programs of this machine that a node's components start by name.
//!
//! They are found before anything is built and linked beside the cluster's own, each to its real file: a node has folders of its
//! own over some of the machine's. On NixOS `mount` is in `/run/wrappers` and `/run/current-system`, and a node's `/run` has
//! neither; what they lead to lies in `/nix/store`.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::view::PROGRAMS;
use crate::{cmd::path, error::unfit};

/// kubelet mounts volumes, [`super::routes`] routes; with what brings each.
const TOOLS: [(&str, &str); 3] = [("ip", "iproute2"), ("mount", "util-linux"), ("umount", "util-linux")];

/// How kube-proxy and the CNI's portmap write their rules, where the machine has it: which is needed, the machine's kernel decides.
const FILTERS: [&str; 7] =
    ["nft", "iptables", "iptables-restore", "iptables-save", "ip6tables", "ip6tables-restore", "ip6tables-save"];

/// A program by the name that it is called by, and its file.
pub type Tool = (&'static str, PathBuf);

/// Each tool, as whoever starts the cluster has it.
///
/// # Errors
/// One without which no node works is missing, or lies only where a node can't see it.
pub fn find() -> Result<Vec<Tool>> {
    find_in(&path(), &PROGRAMS.map(Path::new))
}

fn find_in(path: &str, seen: &[&Path]) -> Result<Vec<Tool>> {
    let mut tools = vec![];
    for (name, package) in TOOLS {
        tools.push((name, file(name, path, seen).ok_or_else(|| missing(name, package))?));
    }
    tools.extend(FILTERS.into_iter().filter_map(|name| Some((name, file(name, path, seen)?))));
    Ok(tools)
}

/// The first program of this name that a node can see.
fn file(name: &str, path: &str, seen: &[&Path]) -> Option<PathBuf> {
    let folders = std::env::split_paths(OsStr::new(path)).filter(|folder| folder.is_absolute());
    let mut files = folders.filter_map(|folder| fs::canonicalize(folder.join(name)).ok());
    files.find(|file| is_program(file) && seen.iter().any(|folder| file.starts_with(folder)))
}

fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn missing(name: &str, package: &str) -> anyhow::Error {
    unfit(
        format!("failed to find the program `{name}`, which the cluster's nodes call"),
        format!("install {package}, or put its folder on PATH; on NixOS start from `nix develop`"),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use lab_engine::error::Unfit;

    /// A machine like NixOS: each tool is a file in the store, and links lead to it from `/run`.
    fn nixos() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let (store, system) = (root.path().join("nix/store/a0-tools/bin"), root.path().join("run/system/bin"));
        for folder in [&store, &system, &root.path().join("run/wrappers")] {
            fs::create_dir_all(folder).unwrap();
        }
        for name in names() {
            program(&store.join(name));
            symlink(store.join(name), system.join(name)).unwrap();
        }
        program(&root.path().join("run/wrappers/mount"));
        root
    }

    fn names() -> impl Iterator<Item = &'static str> {
        TOOLS.map(|(name, _)| name).into_iter().chain(FILTERS)
    }

    fn program(file: &Path) {
        fs::write(file, "").unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_link_below_run_counts_as_what_it_leads_to_and_a_file_there_does_not_count() {
        let machine = nixos();
        let root = machine.path().canonicalize().unwrap();
        let path = format!("{0}/run/wrappers:{0}/run/system/bin", root.display());
        let found = find_in(&path, &[&root.join("nix")]).unwrap();
        let store = root.join("nix/store/a0-tools/bin");
        assert_eq!(found, names().map(|name| (name, store.join(name))).collect::<Vec<_>>());
    }

    #[test]
    fn a_tool_that_is_missing_or_no_program_is_named_with_what_brings_it() {
        let machine = nixos();
        let store = machine.path().join("nix/store/a0-tools/bin");
        fs::set_permissions(store.join("umount"), fs::Permissions::from_mode(0o644)).unwrap();
        let error = find_in(&store.display().to_string(), &[machine.path()]).unwrap_err();
        let Unfit { what, hint } = error.downcast_ref().unwrap();
        assert!(what.contains("`umount`") && hint.contains("util-linux"), "{what}; {hint}");
        program(&store.join("umount"));
        fs::remove_file(store.join("iptables")).unwrap();
        let found = find_in(&store.display().to_string(), &[machine.path()]).unwrap();
        assert_eq!(found.len(), TOOLS.len() + FILTERS.len() - 1, "rules can be written otherwise: {found:?}");
    }
}
