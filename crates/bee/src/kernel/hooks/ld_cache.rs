//! The dynamic linker's list of this machine's libraries, `/etc/ld.so.cache`: by it `libssl` is `libssl.so.3`, wherever that lies.
//!
//! <https://sourceware.org/git/?p=glibc.git;a=blob;f=sysdeps/generic/dl-cache.h>

use std::path::{Path, PathBuf};

use oci::files;

const CACHE: &str = "/etc/ld.so.cache";
/// The largest that is read.
const SIZE: u64 = 16 << 20;
/// What the format since glibc 2.2 begins with; an older one may stand before it.
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;
/// The byte of an entry's flags that says which machine's code it is.
const MACHINE: u32 = 0xff00;

/// The libraries of this name on this machine, as `libc`, `libc.so` or `libc.so.6`.
pub fn libraries(root: &Path, name: &str) -> Vec<PathBuf> {
    files::read(&root.join(CACHE.trim_start_matches('/')), SIZE).map(|cache| named(&cache, name)).unwrap_or_default()
}

/// Whether a file is the library of this name, in one of its versions.
pub fn is_named(file: &str, name: &str) -> bool {
    let Some(version) = file.strip_prefix(name) else { return false };
    version.is_empty() || version.starts_with(".so") || is_version(version)
}

/// `.6` behind `libc.so`, or `-2.31.so` behind `libc`, as glibc had it before 2.34.
fn is_version(text: &str) -> bool {
    let number = text.strip_prefix('.').or_else(|| text.strip_prefix('-').filter(|rest| rest.ends_with(".so")));
    number.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn named(cache: &[u8], name: &str) -> Vec<PathBuf> {
    let Some(start) = cache.windows(MAGIC.len()).position(|bytes| bytes == MAGIC) else { return vec![] };
    let cache = &cache[start..];
    let count = word(cache, MAGIC.len()).unwrap_or(0) as usize;
    let entries = cache.get(HEADER..).unwrap_or_default().chunks_exact(ENTRY).take(count);
    let mut found = vec![];
    for entry in entries {
        let (Some(flags), Some(key), Some(path)) = (word(entry, 0), text(cache, entry, 4), text(cache, entry, 8))
        else {
            continue;
        };
        if is_of_this_machine(flags) && is_named(key, name) {
            found.push(PathBuf::from(path));
        }
    }
    found
}

/// A library of 32 bits has its own flags.
fn is_of_this_machine(flags: u32) -> bool {
    match std::env::consts::ARCH {
        "x86_64" => flags & MACHINE == 0x0300,
        "aarch64" => flags & MACHINE == 0x0a00,
        _ => true,
    }
}

/// The text whose offset in the cache stands at this place of an entry.
fn text<'a>(cache: &'a [u8], entry: &[u8], at: usize) -> Option<&'a str> {
    let rest = cache.get(word(entry, at)? as usize..)?;
    let end = rest.iter().take(libc::PATH_MAX as usize).position(|byte| *byte == 0)?;
    std::str::from_utf8(&rest[..end]).ok()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache of these libraries, each in `/lib`.
    fn cache(names: &[&str], flags: u32) -> Vec<u8> {
        let (mut entries, mut strings) = (vec![], vec![]);
        let begin = HEADER + ENTRY * names.len();
        for name in names {
            let key = (begin + strings.len()) as u32;
            strings.extend(format!("{name}\0").bytes());
            let path = (begin + strings.len()) as u32;
            strings.extend(format!("/lib/{name}\0").bytes());
            entries.extend([flags, key, path, 0, 0, 0].into_iter().flat_map(u32::to_ne_bytes));
        }
        let mut header = MAGIC.to_vec();
        header.extend((names.len() as u32).to_ne_bytes());
        header.resize(HEADER, 0);
        [b"ld.so-1.7.0 of old".to_vec(), header, entries, strings].concat()
    }

    #[test]
    fn a_short_name_finds_the_library_in_each_of_its_versions() {
        let here = if std::env::consts::ARCH == "aarch64" { 0x0a03 } else { 0x0303 };
        let cache = cache(&["libc.so.6", "libcrypto.so.3", "libc.so", "libssl.so.3"], here);
        let paths = |names: &[&str]| names.iter().map(|name| PathBuf::from(format!("/lib/{name}"))).collect::<Vec<_>>();
        assert_eq!(named(&cache, "libc"), paths(&["libc.so.6", "libc.so"]));
        assert_eq!(named(&cache, "libc.so.6"), paths(&["libc.so.6"]));
        assert_eq!(named(&cache, "libssl"), paths(&["libssl.so.3"]));
        assert_eq!(named(&cache, "lib"), paths(&[]));
        assert!(is_named("libc-2.31.so", "libc") && !is_named("libc-client.so", "libc") && !is_named("libc", "libcap"));
        for length in 0..cache.len() {
            named(&cache[..length], "libc");
        }
    }

    #[test]
    fn of_the_libraries_of_another_machine_there_are_none() {
        if matches!(std::env::consts::ARCH, "x86_64" | "aarch64") {
            assert_eq!(named(&cache(&["libc.so.6"], 3), "libc"), Vec::<PathBuf>::new());
        }
    }
}
