//! Root in somebody's folders: the kernel is asked with that user's ids, so that what is made is the user's, and no link there leads where
//! the user may not write.

use nix::unistd::{Gid, Uid, setfsgid, setfsuid};

/// Does something with a user's rights towards files. Without the right to change its own, with its own.
pub fn with_rights_of<T>(user: Uid, group: Gid, work: impl FnOnce() -> T) -> T {
    let _ids = Ids::take(user, group);
    work()
}

/// This thread's ids towards file systems; its own again when dropped.
struct Ids {
    user: Uid,
    group: Gid,
}

impl Ids {
    fn take(user: Uid, group: Gid) -> Self {
        // In this order: the right to change the group goes with root's own number.
        let group = setfsgid(group);
        Self { user: setfsuid(user), group }
    }
}

impl Drop for Ids {
    fn drop(&mut self) {
        setfsuid(self.user);
        setfsgid(self.group);
    }
}
