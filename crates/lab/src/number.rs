//! Which cluster number a checkout uses when it asks for any that is free: parallel CI jobs on one machine must not meet.
//!
//! A checkout keeps its number until `clean`, so that every later `--number auto` of it means the same cluster.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use lab_cli::{Number, Paths};

use crate::{
    caller::{self, OPEN, as_caller},
    error::unfit,
    lock,
};

/// The number that is meant.
///
/// # Errors
/// All 99 are in use.
pub fn resolve(paths: &Paths, number: Number, in_use: impl Fn(u8) -> bool) -> Result<u8> {
    match number {
        Number::Of(number) => Ok(number),
        Number::Auto => claim(paths, in_use),
    }
}

/// Gives a checkout's number back, for others to use.
pub fn release(paths: &Paths, number: u8) -> Result<()> {
    let claim = claims(paths).join(number.to_string());
    as_caller(|| match fs::read_to_string(&claim) {
        Ok(owner) if owner == owner_of(paths) => {
            fs::remove_file(&claim).context("failed to give the cluster's number back")
        }
        _ => Ok(()),
    })
}

fn claim(paths: &Paths, in_use: impl Fn(u8) -> bool) -> Result<u8> {
    let claims = claims(paths);
    caller::folder(&claims)?;
    let lock = lock::open(&claims.join("lock"))?;
    lock.lock().context("failed to take the lock of the clusters' numbers")?;
    let owner = owner_of(paths);
    let holder = |number: u8| fs::read_to_string(claims.join(number.to_string())).ok();
    if let Some(ours) = (1..=99).find(|number| holder(*number).as_ref() == Some(&owner)) {
        return Ok(ours);
    }
    // A checkout that is gone left its claim behind.
    let claimed = |number: u8| holder(number).is_some_and(|owner| Path::new(&owner).exists());
    let free = candidates(&owner).find(|&number| !claimed(number) && !in_use(number));
    let number = free.ok_or_else(|| unfit("all of the 99 clusters are in use", "`cargo xtask clean` ends one"))?;
    let file = claims.join(number.to_string());
    caller::write(&file, &owner, OPEN)?;
    Ok(number)
}

/// All numbers, beginning at one that follows from the checkout: users whose claims lie in different folders rarely meet.
fn candidates(owner: &str) -> impl Iterator<Item = u8> + use<> {
    let mut hasher = DefaultHasher::new();
    owner.hash(&mut hasher);
    let start = (hasher.finish() % 99) as u8;
    (0..99).map(move |step| (start + step) % 99 + 1)
}

fn claims(paths: &Paths) -> PathBuf {
    paths.state.join("numbers")
}

fn owner_of(paths: &Paths) -> String {
    paths.checkout.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(state: &Path, checkout: &Path) -> Paths {
        let state = state.to_owned();
        let (cache, bin, programs) = (state.clone(), state.clone(), state.clone());
        Paths { checkout: checkout.to_owned(), cache, state, bin, programs }
    }

    #[test]
    fn a_checkout_keeps_its_number_and_two_checkouts_never_share_one() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
        for checkout in [&one, &other] {
            fs::create_dir(checkout).unwrap();
        }
        let nobody = |_| false;
        let one = paths(folder.path(), &one);
        let number = resolve(&one, Number::Auto, nobody).unwrap();
        assert_eq!(resolve(&one, Number::Auto, |_| true).unwrap(), number, "its own cluster is no obstacle");
        // Whatever number the other would begin at, only this one is unused: and that is claimed.
        let other = paths(folder.path(), &other);
        assert!(resolve(&other, Number::Auto, |candidate| candidate != number).is_err());
        release(&other, number).unwrap();
        assert!(
            resolve(&other, Number::Auto, |candidate| candidate != number).is_err(),
            "it is not the other's to release"
        );
        release(&one, number).unwrap();
        assert_eq!(resolve(&other, Number::Auto, |candidate| candidate != number).unwrap(), number);
    }

    #[test]
    fn every_number_is_a_candidate_once() {
        let mut all: Vec<_> = candidates("/home/student/kit").collect();
        all.sort_unstable();
        assert_eq!(all, (1..=99).collect::<Vec<_>>());
    }
}
