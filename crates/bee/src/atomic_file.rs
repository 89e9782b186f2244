//! Files that appear whole or not at all, whenever the machine stops; they are whose the folder is. A link in their place is replaced, and
//! never followed.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use oci::files::as_owner;
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
    whole(path, content)?.publish().map(drop)
}

/// Writes `path`; an error of kind `AlreadyExists` if something is there.
pub fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let Draft { file, path } = whole(path, content)?;
    as_owner(folder(&path), || file.persist_noclobber(&path))?;
    Ok(())
}

/// A file that has no name yet.
pub struct Draft {
    file: NamedTempFile,
    path: PathBuf,
}

impl Draft {
    /// In the same folder, because only a file of the same file system can take the name in one step.
    pub fn new(path: &Path) -> io::Result<Self> {
        let mut draft = tempfile::Builder::new();
        draft.prefix(UNFINISHED).permissions(Permissions::from_mode(0o644));
        let folder = folder(path);
        Ok(Self { file: as_owner(folder, || draft.tempfile_in(folder))?, path: path.to_owned() })
    }

    /// Takes its name, also from what had it before.
    pub fn publish(self) -> io::Result<File> {
        let Self { file, path } = self;
        Ok(as_owner(folder(&path), || file.persist(&path))?)
    }
}

fn whole(path: &Path, content: &[u8]) -> io::Result<Draft> {
    let mut draft = Draft::new(path)?;
    draft.file.write_all(content)?;
    draft.file.as_file().sync_all()?;
    Ok(draft)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
