//! Where the program or library lies that a section of a uprobe names: by its path, or by a short name as `libssl` or `bash`, on this machine
//! and in the containers that run. Each container has a file of its own, and the kernel puts a probe on a file.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::kernel::hooks::ld_cache::{self, is_named};

/// The most files of one name, entries of a directory, and processes that are looked at.
const FILES: usize = 64;
const ENTRIES: usize = 1 << 16;
const PROCESSES: usize = 1 << 15;
const LIBRARIES: [&str; 6] = ["/lib", "/usr/lib", "/usr/local/lib", "/lib64", "/usr/lib64", "/opt/lib"];
const PROGRAMS: [&str; 6] = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Every file that a section means by this name, each once; none if there is none.
pub fn find(name: &str) -> Vec<PathBuf> {
    let mut files = Files::default();
    // The path in an archive (`base.apk!/lib/libx.so`) is libbpf's to follow.
    if let Some((archive, _)) = name.split_once("!/") {
        let there = Path::new(archive).is_file().then(|| PathBuf::from(name));
        return there.into_iter().collect();
    }
    if name.contains('/') {
        files.add_first(paths(name));
        if files.found.is_empty() {
            add_of_containers(&mut files, &|file| file == Path::new(name));
        }
        return files.found;
    }
    files.add_all(ld_cache::libraries(Path::new("/"), name));
    files.add_all(in_directories(name));
    if files.found.is_empty() {
        files.add_first(programs(name));
    }
    add_of_containers(&mut files, &|file| {
        file.file_name().and_then(|file| file.to_str()).is_some_and(|file| is_named(file, name))
    });
    files.found
}

/// Where it was looked for, in words.
pub fn looked_in(name: &str) -> String {
    if name.contains('/') {
        return format!("there is no file {name}, here or in a container that runs");
    }
    format!(
        "there is no library or program {name} in /etc/ld.so.cache, the usual directories, PATH or a container that runs: write its path"
    )
}

/// Files by what they are: one may have several names.
#[derive(Default)]
struct Files {
    found: Vec<PathBuf>,
    known: BTreeSet<(u64, u64)>,
}

impl Files {
    fn add(&mut self, path: PathBuf) -> bool {
        let Ok(metadata) = fs::metadata(&path) else { return false };
        if !metadata.is_file() || self.found.len() == FILES {
            return false;
        }
        if self.known.insert((metadata.dev(), metadata.ino())) {
            self.found.push(path);
        }
        true
    }

    fn add_all(&mut self, paths: Vec<PathBuf>) {
        for path in paths {
            self.add(path);
        }
    }

    /// Of several only the first that there is.
    fn add_first(&mut self, paths: Vec<PathBuf>) {
        for path in paths {
            if self.add(path) {
                return;
            }
        }
    }
}

/// A section has one slash before a path, so that `uprobe/usr/bin/bash` may mean `/usr/bin/bash`.
fn paths(name: &str) -> Vec<PathBuf> {
    vec![PathBuf::from(name), Path::new("/").join(name)]
}

fn programs(name: &str) -> Vec<PathBuf> {
    let path: OsString = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(PROGRAMS.iter().map(PathBuf::from));
    directories.filter(|directory| directory.is_absolute()).map(|directory| directory.join(name)).collect()
}

/// Where there is no cache, or what is not in it.
fn in_directories(name: &str) -> Vec<PathBuf> {
    let arch = std::env::consts::ARCH;
    let multiarch = [format!("/lib/{arch}-linux-gnu"), format!("/usr/lib/{arch}-linux-gnu")];
    let mut found = vec![];
    for directory in LIBRARIES.into_iter().chain(multiarch.iter().map(String::as_str)) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten().take(ENTRIES) {
            let file = entry.file_name().to_string_lossy().into_owned();
            if file.contains(".so") && is_named(&file, name) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// What processes of other mount namespaces have mapped, as they name it, reached through their root.
fn add_of_containers(files: &mut Files, fits: &dyn Fn(&Path) -> bool) {
    let own = fs::read_link("/proc/self/ns/mnt").ok();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    let processes = processes.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.bytes().all(|byte| byte.is_ascii_digit())
    });
    for process in processes.take(PROCESSES) {
        let Ok(namespace) = fs::read_link(process.join("ns/mnt")) else { continue };
        if Some(namespace) == own {
            continue;
        }
        let Ok(maps) = fs::read_to_string(process.join("maps")) else { continue };
        for file in mapped(&maps).into_iter().filter(|file| fits(file)) {
            if let Ok(relative) = file.strip_prefix("/") {
                files.add(process.join("root").join(relative));
            }
        }
    }
}

/// The files whose code is mapped, by lines of `ADDRESSES MODE OFFSET DEVICE INODE PATH`.
fn mapped(maps: &str) -> BTreeSet<&Path> {
    let mut files = BTreeSet::new();
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        let is_code = words.nth(1).is_some_and(|mode| mode.contains('x'));
        if is_code && let Some(start) = line.find('/') {
            files.insert(Path::new(&line[start..]));
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_found_by_its_short_name_and_by_its_path() {
        let found = find("libc");
        let [first, ..] = found.as_slice() else { return };
        assert!(first.is_absolute() && first.is_file(), "{first:?}");
        assert_eq!(find(&first.to_string_lossy()).first(), Some(first));
        assert_eq!(find(first.to_string_lossy().trim_start_matches('/')).len(), 1, "with the section's slash alone");
        assert!(!find("sh").is_empty());
        assert_eq!(find("libno_such_library"), Vec::<PathBuf>::new());
        assert_eq!(find("/no/such/file"), Vec::<PathBuf>::new());
    }

    #[test]
    fn what_a_process_runs_of_a_file_is_read_from_its_maps() {
        let maps = "7f00-7f01 r--p 00000000 08:01 42 /lib/libc.so.6\n7f01-7f02 r-xp 00001000 08:01 42                  /lib/lib c.so.6\n\
                    7f03-7f04 r-xp 00000000 00:00 0 [vdso]\n7f05-7f06 rw-p 00000000 00:00 0\n";
        assert_eq!(mapped(maps), BTreeSet::from([Path::new("/lib/lib c.so.6")]));
    }
}
