//! Files that appear whole or not at all, whenever the machine stops.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

/// How files begin that are not finished; after a crash they stay.
const UNFINISHED: &str = ".tmp";

/// Removes what a writer of this folder left behind that was killed. Nobody may be writing in it.
pub fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Writes `path`, replacing what was there.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    prepare(path, content)?.persist(path)?;
    Ok(())
}

/// Writes `path`; an error of kind `AlreadyExists` if something is there.
pub fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    prepare(path, content)?.persist_noclobber(path)?;
    Ok(())
}

/// In the same folder, because only a file of the same file system can take the name in one step.
fn prepare(path: &Path, content: &[u8]) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new();
    let mut file = file.prefix(UNFINISHED).permissions(Permissions::from_mode(0o644)).tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}
