//! The Go programs of `kubernetes`: built once per content by `xtask`, perhaps in the background, joined by `lab`.
//!
//! A folder `programs/KEY/` is complete, because it appears by one rename. While it is being built, `programs/KEY.building/`
//! holds a lock that the builder keeps, its log, and how far it is; a builder that was killed leaves the lock free.

use std::{
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::Paths;

/// How far the programs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// All of them lie in [`Paths::programs`].
    Built,
    /// Somebody builds them now.
    Building(Progress),
    /// The last build failed; the end of what it said.
    Failed(String),
    /// Nobody builds them, and none has failed.
    Absent,
}

/// How far a build is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What is being built now, such as `containerd and runc`.
    pub what: String,
    /// Parts of it that are done, of all; none where the time that is left is all that counts.
    pub done: usize,
    pub total: usize,
    /// How long all of the build will still take; nothing while that can't be told.
    pub left: Option<Duration>,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.left.map(|left| (left.as_secs() + 30) / 60) {
            None if self.total > 0 => write!(f, "{}: package {} of {}", self.what, self.done, self.total),
            None => write!(f, "{}", self.what),
            Some(0 | 1) => write!(f, "about a minute left: {}", self.what),
            Some(minutes) => write!(f, "about {minutes} minutes left: {}", self.what),
        }
    }
}

/// Where a build in progress lies.
#[derive(Debug, Clone)]
pub struct Building {
    pub folder: PathBuf,
}

impl Building {
    pub fn of(paths: &Paths) -> Self {
        let mut name = paths.programs.file_name().unwrap_or_default().to_owned();
        name.push(".building");
        Self { folder: paths.programs.with_file_name(name) }
    }

    pub fn lock(&self) -> PathBuf {
        self.folder.join("lock")
    }

    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Holds [`Progress`], a line for each field.
    pub fn progress(&self) -> PathBuf {
        self.folder.join("progress")
    }

    /// Exists when the last build failed; holds why.
    pub fn failure(&self) -> PathBuf {
        self.folder.join("failure")
    }

    /// Says how far it is, to whoever looks; nothing but that is lost if it can't be said.
    pub fn tell(&self, progress: &Progress) {
        let left = progress.left.map(|left| left.as_secs().to_string()).unwrap_or_default();
        let _ =
            fs::write(self.progress(), format!("{}\n{}\n{}\n{left}\n", progress.what, progress.done, progress.total));
    }

    /// How far it is, if it ends in `result` being there.
    pub fn state(&self, result: &Path) -> Result<State> {
        if result.exists() {
            return Ok(State::Built);
        }
        if is_locked(self)? {
            return Ok(State::Building(progress(self)));
        }
        // The builder may have finished between the two looks.
        if result.exists() {
            return Ok(State::Built);
        }
        Ok(fs::read_to_string(self.failure()).map_or(State::Absent, State::Failed))
    }
}

/// How far the programs are at this moment; never waits.
pub fn state(paths: &Paths) -> Result<State> {
    Building::of(paths).state(&paths.programs)
}

fn is_locked(building: &Building) -> Result<bool> {
    let Ok(lock) = File::open(building.lock()) else { return Ok(false) };
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(fs::TryLockError::WouldBlock) => Ok(true),
        Err(fs::TryLockError::Error(error)) => Err(error).context("failed to look at the lock of the programs' build"),
    }
}

fn progress(building: &Building) -> Progress {
    let text = fs::read_to_string(building.progress()).unwrap_or_default();
    let mut lines = text.lines();
    let what = lines.next().unwrap_or_default().to_owned();
    let mut number = || lines.next().and_then(|number| number.parse::<u64>().ok());
    let (done, total) = (number().unwrap_or(0) as usize, number().unwrap_or(0) as usize);
    Progress { what, done, total, left: number().map(Duration::from_secs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(cache: &std::path::Path) -> Paths {
        let folder = cache.to_owned();
        let programs = cache.join("programs/key");
        Paths { checkout: folder.clone(), cache: folder.clone(), state: folder.clone(), bin: folder, programs }
    }

    #[test]
    fn a_build_is_absent_then_building_then_failed_or_built() {
        let cache = std::env::temp_dir().join(format!("ebpf-lab-cli-{}", std::process::id()));
        let (paths, _remove) = (paths(&cache), RemoveOnDrop(cache.clone()));
        assert_eq!(state(&paths).unwrap(), State::Absent);

        let building = Building::of(&paths);
        fs::create_dir_all(&building.folder).unwrap();
        let lock = File::create(building.lock()).unwrap();
        lock.lock().unwrap();
        let progress = Progress { what: "etcd".to_owned(), done: 3, total: 9, left: Some(Duration::from_secs(200)) };
        building.tell(&progress);
        assert_eq!(progress.to_string(), "about 3 minutes left: etcd");
        let early = Progress { left: None, ..progress.clone() };
        assert_eq!(early.to_string(), "etcd: package 3 of 9");
        assert_eq!(state(&paths).unwrap(), State::Building(progress));

        drop(lock);
        assert_eq!(state(&paths).unwrap(), State::Absent, "a killed builder holds nothing");
        fs::write(building.failure(), "no network").unwrap();
        assert_eq!(state(&paths).unwrap(), State::Failed("no network".to_owned()));
        fs::create_dir_all(&paths.programs).unwrap();
        assert_eq!(state(&paths).unwrap(), State::Built);
    }

    struct RemoveOnDrop(PathBuf);

    impl Drop for RemoveOnDrop {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
