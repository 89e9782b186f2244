//! The user who called sudo: what `lab` does as root in the checkout and in the user's folders, it does as the user.
//!
//! Whoever may write there could lead root anywhere by a link. So the kernel is asked with the user's ids, and a file comes to its name
//! by a rename, which replaces a link and follows none.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use anyhow::{Context, Result};
use clikit::rights::with_rights_of;
use nix::unistd::{Gid, Uid};

/// Modes of what everybody may read, and of what only the user.
pub const OPEN: u32 = 0o644;
pub const SECRET: u32 = 0o600;

/// The user and group behind sudo, if there is one.
pub fn caller() -> Option<(u32, u32)> {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    Some((number("SUDO_UID")?, number("SUDO_GID")?)).filter(|_| nix::unistd::geteuid().is_root())
}

/// Does something with the user's rights: what is made is the user's, and what the user may not touch stays.
pub fn as_caller<T>(work: impl FnOnce() -> T) -> T {
    match caller() {
        Some((user, group)) => with_rights_of(Uid::from_raw(user), Gid::from_raw(group), work),
        None => work(),
    }
}

/// Makes a folder, and those above it.
pub fn folder(path: &Path) -> Result<()> {
    let make = || fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
    as_caller(make).with_context(|| format!("failed to make the folder {}", path.display()))
}

/// Writes a file with this mode, whole or not at all.
pub fn write(path: &Path, contents: impl AsRef<[u8]>, mode: u32) -> Result<()> {
    replace(path, |partial| {
        let mut file = File::options().write(true).create_new(true).mode(mode).open(partial)?;
        // Whatever the umask says.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        Ok(file.write_all(contents.as_ref())?)
    })
}

/// Lets a file be made under another name, so that a killed run leaves nothing half-written under its own.
pub fn replace(path: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = path.with_file_name(format!(".{}.{name}", std::process::id()));
    as_caller(|| {
        // One may be left of a process that had our number.
        let _ = fs::remove_file(&partial);
        let made = make(&partial).and_then(|()| Ok(fs::rename(&partial, path)?));
        if made.is_err() {
            // Nothing to remove if nothing was written.
            let _ = fs::remove_file(&partial);
        }
        made
    })
    .with_context(|| format!("failed to write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    /// As `as_caller` does for a user behind sudo.
    fn as_nobody<T>(work: impl FnOnce() -> T) -> T {
        with_rights_of(Uid::from_raw(65534), Gid::from_raw(65534), work)
    }

    #[test]
    fn a_file_has_its_mode_whatever_was_there_and_a_link_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (file, elsewhere) = (folder.path().join("kubeconfig"), folder.path().join("elsewhere"));
        fs::write(&elsewhere, "untouched").unwrap();
        symlink(&elsewhere, &file).unwrap();
        write(&file, "key", SECRET).unwrap();
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "untouched");
        let meta = fs::symlink_metadata(&file).unwrap();
        assert!(meta.is_file() && meta.mode() & 0o777 == SECRET, "{meta:?}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        write(&file, "key", SECRET).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, SECRET);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing half-written is left");
    }

    #[test]
    fn a_file_that_can_not_be_made_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        write(&file, "old", OPEN).unwrap();
        let error = replace(&file, |partial| Ok(fs::write(partial.join("x"), "new")?)).unwrap_err();
        assert!(format!("{error:#}").starts_with(&format!("failed to write {}: ", file.display())), "{error:#}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    }

    #[test]
    fn root_follows_no_link_of_the_users_to_where_the_user_may_not_write() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let (roots, users) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let nobody = (Some(65534), Some(65534));
        std::os::unix::fs::chown(users.path(), nobody.0, nobody.1).unwrap();
        fs::write(roots.path().join("file"), "root's").unwrap();
        symlink(roots.path(), users.path().join("folder")).unwrap();
        as_nobody(|| {
            assert!(write(&users.path().join("folder/file"), "x", OPEN).is_err());
            assert!(folder(&users.path().join("folder/deep")).is_err());
            write(&users.path().join("own"), "x", OPEN).unwrap();
        });
        assert_eq!(fs::read_to_string(roots.path().join("file")).unwrap(), "root's");
        assert_eq!(fs::metadata(users.path().join("own")).unwrap().uid(), 65534, "what is made is the user's");
        assert_eq!(fs::read_dir(roots.path()).unwrap().count(), 1);
        fs::write(roots.path().join("file"), "root again").unwrap();
    }
}
