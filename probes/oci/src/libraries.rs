//! The loader and shared libraries of a program, which travel with it into an image or a virtual machine.

use std::path::PathBuf;

use crate::Error;

/// Reads what `ldd` prints: `libc.so.6 => /lib/…/libc.so.6 (0x…)` and `/lib64/ld-linux-x86-64.so.2 (0x…)`; the vDSO has no path.
///
/// # Errors
/// A library is missing.
pub fn of_listing(listing: &str) -> Result<Vec<PathBuf>, Error> {
    if let Some(missing) = listing.lines().find(|line| line.contains("not found")) {
        return Err(Error::new(format!("a shared library is missing: {}", missing.trim())));
    }
    let path = |line: &str| {
        let line = line.split_once("=> ").map_or(line, |(_, after)| after).trim();
        line.starts_with('/').then(|| PathBuf::from(line.split(" (").next().unwrap_or(line)))
    };
    Ok(listing.lines().filter_map(path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_what_ldd_prints() {
        let listing = "\tlinux-vdso.so.1 (0x00007ffe)\n\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f)\n\
                       \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let paths = ["/lib/x86_64-linux-gnu/libz.so.1", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(of_listing(listing).unwrap(), paths);
    }

    #[test]
    fn a_missing_library_is_an_error_that_names_it() {
        let error = of_listing("\tlibelf.so.1 => not found\n").unwrap_err();
        assert!(error.to_string().contains("libelf.so.1"), "{error}");
    }
}
