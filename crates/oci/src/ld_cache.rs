//! `/etc/ld.so.cache`: where libraries lie in folders that `/etc/ld.so.conf` names, as ldconfig wrote them down.
//!
//! There is no document: <https://sourceware.org/git/?p=glibc.git;a=blob;f=sysdeps/generic/dl-cache.h>, `struct cache_file_new`.

use std::path::PathBuf;

/// Before glibc 2.32 an older table stands in front of this one.
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;

/// Names of libraries and their files, in the loader's order; without those that are for some processors of a kind only.
pub fn parse(bytes: &[u8]) -> Vec<(String, PathBuf)> {
    let start = bytes.windows(MAGIC.len()).position(|window| window == MAGIC);
    let table = start.map_or(&[][..], |start| &bytes[start..]);
    let count = number(table, MAGIC.len()).unwrap_or(0);
    (0..count).map_while(|index| entry(table, HEADER + index * ENTRY)).flatten().collect()
}

/// Nothing where the table ends too early; a name without a file where the entry is for some processors only.
fn entry(table: &[u8], at: usize) -> Option<Option<(String, PathBuf)>> {
    let capabilities = table.get(at + 16..at + ENTRY)?;
    if capabilities.iter().any(|byte| *byte != 0) {
        return Some(None);
    }
    let (name, path) = (string(table, number(table, at + 4)?)?, string(table, number(table, at + 8)?)?);
    Some(Some((name, path.into())))
}

fn number(table: &[u8], at: usize) -> Option<usize> {
    let bytes = table.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_ne_bytes(bytes)).ok()
}

fn string(table: &[u8], at: usize) -> Option<String> {
    String::from_utf8(table.get(at..)?.split(|byte| *byte == 0).next()?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, process::Command};

    use super::*;

    #[test]
    fn both_formats_of_ldconfig_are_read_and_no_end_of_one_is_a_panic() {
        let ldconfig = ["/sbin/ldconfig", "/usr/sbin/ldconfig"].into_iter().find(|path| Path::new(path).exists());
        // NixOS has none, and its loader reads no cache.
        let Some(ldconfig) = ldconfig else { return };
        let root = tempfile::tempdir().unwrap();
        for folder in ["etc", "opt/one"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        fs::write(root.path().join("etc/ld.so.conf"), "/opt/one\n").unwrap();
        let libraries = crate::libraries::of(&std::env::current_exe().unwrap(), "/bin/test".as_ref()).unwrap();
        let libc = libraries.values().find(|path| path.ends_with("libc.so.6")).unwrap();
        fs::copy(libc, root.path().join("opt/one/libc.so.6")).unwrap();
        for format in ["new", "compat"] {
            let made = Command::new(ldconfig).arg("-r").arg(root.path()).args(["-c", format]).status().unwrap();
            assert!(made.success());
            let bytes = fs::read(root.path().join("etc/ld.so.cache")).unwrap();
            assert_eq!(parse(&bytes), [("libc.so.6".to_owned(), "/opt/one/libc.so.6".into())], "{format}");
            for end in 0..bytes.len() {
                parse(&bytes[..end]);
            }
        }
    }
}
