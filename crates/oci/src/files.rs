//! Other people's files. Nobody knows what lies under a name that somebody gives, so nothing is read before its size is known; and root
//! writes into somebody's folder with that user's rights, so that what it makes is the user's, and no link there leads it where the user may
//! not write.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use clikit::rights::with_rights_of;
use nix::unistd::{Gid, Uid, geteuid};

/// A whole file, if it has at most so many bytes. Of one that has more nothing is read.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_open(File::open(path)?, most)
}

/// The same of one that is open.
pub fn read_open(file: File, most: u64) -> io::Result<Vec<u8>> {
    let too_large = || io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {most} bytes"));
    let size = file.metadata()?.len();
    if size > most {
        return Err(too_large());
    }
    // It may be growing, or a pipe, which says no size.
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    file.take(most + 1).read_to_end(&mut content)?;
    if content.len() as u64 > most { Err(too_large()) } else { Ok(content) }
}

/// Does something in a folder as its owner, if this is root and the folder somebody else's. One that is not there yet will be whose the
/// folder above is.
pub fn as_owner<T>(folder: &Path, work: impl FnOnce() -> T) -> T {
    match owner(folder) {
        Some((user, group)) => with_rights_of(user, group, work),
        None => work(),
    }
}

fn owner(folder: &Path) -> Option<(Uid, Gid)> {
    let folder = std::path::absolute(folder).ok()?;
    // A link is whoever's made it, wherever it leads.
    let there = folder.ancestors().find_map(|folder| fs::symlink_metadata(folder).ok())?;
    let owner = Uid::from_raw(there.uid());
    (geteuid().is_root() && !owner.is_root()).then(|| (owner, Gid::from_raw(there.gid())))
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::{chown, symlink},
        thread,
    };

    use super::*;

    const NOBODY: u32 = 65534;

    #[test]
    fn what_root_makes_in_somebodys_folder_is_somebodys_and_no_link_leads_elsewhere() {
        if !geteuid().is_root() {
            return;
        }
        let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        chown(theirs.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        symlink(ours.path(), theirs.path().join("link")).unwrap();
        std::os::unix::fs::lchown(theirs.path().join("link"), Some(NOBODY), Some(NOBODY)).unwrap();
        let write = |folder: &Path| as_owner(folder, || fs::write(folder.join("file"), ""));
        write(theirs.path()).unwrap();
        let made = fs::metadata(theirs.path().join("file")).unwrap();
        assert_eq!((made.uid(), made.gid()), (NOBODY, NOBODY));
        let new = theirs.path().join("new/folder");
        as_owner(&new, || fs::create_dir_all(&new)).unwrap();
        assert_eq!(fs::metadata(&new).unwrap().uid(), NOBODY);
        assert_eq!(write(&theirs.path().join("link")).unwrap_err().kind(), ErrorKind::PermissionDenied);
        write(ours.path()).unwrap();
        assert!(fs::metadata(ours.path().join("file")).unwrap().uid() == 0, "root is root again");
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read_however_its_size_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "four").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"four");
        assert_eq!(read(&path, 3).unwrap_err().kind(), ErrorKind::FileTooLarge);
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read(&path, 1 << 20).unwrap_err().kind(), ErrorKind::FileTooLarge, "a terabyte of nothing");
        assert_eq!(read(Path::new("/dev/zero"), 1 << 20).unwrap_err().kind(), ErrorKind::FileTooLarge);
        let (theirs, ours) = io::pipe().map(|(reader, writer)| (writer, reader)).unwrap();
        thread::spawn(move || io::Write::write_all(&mut { theirs }, &[0; 5000]));
        let pipe = File::from(std::os::fd::OwnedFd::from(ours));
        assert_eq!(read_open(pipe, 4999).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }
}
