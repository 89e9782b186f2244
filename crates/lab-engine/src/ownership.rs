//! Whose a host cluster is. Its number stands for addresses, processes and folders of the machine, which its users share: who comes
//! second is told so, and neither uses, changes nor removes what is another's.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use lab_cli::{base, places, taken::taken};
use nix::unistd::{Uid, User, geteuid};

use crate::{
    caller::caller,
    cmd::Here,
    error::unfit,
    lock::{self, Lock},
};

/// Whether there is a cluster of this number, running or not.
pub fn exists(number: u8) -> bool {
    places::run(number).exists() || places::data(number).exists()
}

/// The numbers that have a cluster, and those for which no addresses are left.
pub fn numbers_in_use() -> impl Fn(u8) -> bool {
    let taken = taken(&Here).unwrap_or_default();
    move |number| exists(number) || base::choose(number, &taken).is_err()
}

/// Refuses a cluster that is another user's.
pub fn refuse_strangers(number: u8) -> Result<()> {
    match owner(&places::data(number))? {
        Some(owner) if owner != us() => Err(refusal(number, owner)),
        _ => Ok(()),
    }
}

/// Takes the cluster's lock, which all users of the machine share.
///
/// # Errors
/// Another `lab` has it, or the cluster is another user's.
pub fn hold(number: u8) -> Result<Lock> {
    if !geteuid().is_root() {
        return Err(unfit("a cluster on this machine needs root", "start with `cargo xtask`, which asks sudo"));
    }
    let folder = places::run(number);
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.with_context(|| format!("failed to make the folder {}", folder.display()))?;
    let lock = lock::hold(lock::open_roots(&folder.join("lock"))?)?;
    refuse_strangers(number)?;
    Ok(lock)
}

/// Writes down that the cluster is ours, unless it says whose it is. Whoever calls this holds its lock.
pub fn claim(number: u8) -> Result<()> {
    let folder = places::data(number);
    if owner(&folder)?.is_some() {
        return Ok(());
    }
    let partial = folder.join(".owner");
    let written = fs::write(&partial, format!("{}\n", us())).and_then(|()| fs::rename(&partial, note(&folder)));
    written.with_context(|| format!("failed to write {}", note(&folder).display()))
}

/// With the cluster's data, which outlive a reboot.
fn note(folder: &Path) -> PathBuf {
    folder.join("owner")
}

fn owner(folder: &Path) -> Result<Option<Uid>> {
    let note = note(folder);
    match fs::read_to_string(&note) {
        Ok(text) => {
            let number =
                text.trim().parse().with_context(|| format!("invalid {}: expected a user's number", note.display()));
            number.map(|number| Some(Uid::from_raw(number)))
        }
        // Who may not read it is not root, and is refused for that.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to read {}", note.display())),
    }
}

/// The user for whom this runs.
fn us() -> Uid {
    caller().map_or_else(geteuid, |(user, _)| Uid::from_raw(user))
}

fn refusal(number: u8, owner: Uid) -> anyhow::Error {
    let in_use = numbers_in_use();
    let free = (1..=99).find(|&number| !in_use(number));
    let mut hint = match free {
        Some(free) => format!("take one of your own: --number {free} is free"),
        None => "all of the 99 clusters are in use".to_owned(),
    };
    if us().is_root() {
        hint += &format!("; to have it nevertheless: rm {}", note(&places::data(number)).display());
    }
    unfit(format!("cluster {number} of this machine is {}", possessive(owner)), hint)
}

/// `alice's`, or by number who is no user of the machine any more.
fn possessive(owner: Uid) -> String {
    match User::from_uid(owner) {
        Ok(Some(user)) => format!("{}'s", user.name),
        _ => format!("that of user number {owner}"),
    }
}
