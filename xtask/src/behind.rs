//! Builds that go on behind a command and outlive it: processes of their own, which hold a lock while they build.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use lab_cli::{
    Paths,
    programs::{Building, State},
};

use crate::go_tools;

/// Starts this program as a build in a process of its own, unless what it builds is there or being built. It gives way to all
/// else that runs, as `nice` says: 19 the most.
pub fn start(paths: &Paths, building: &Building, state: State, nice: &str, arguments: &[&str]) -> Result<()> {
    if matches!(state, State::Built | State::Building(_)) {
        return Ok(());
    }
    fs::create_dir_all(&building.folder)
        .with_context(|| format!("failed to make the folder {}", building.folder.display()))?;
    // What was said of an earlier try is not said of this one.
    let _ = fs::remove_file(building.failure());
    let log =
        File::options().create(true).append(true).open(building.log()).context("failed to open the build's log")?;
    let mut xtask = Command::new("nice");
    xtask.args(["-n", nice]).arg(std::env::current_exe()?).args(arguments);
    xtask.env("EBPF_LAB_ROOT", &paths.checkout).env("PATH", go_tools::path(paths)?);
    xtask.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    xtask.spawn().context("failed to start a build behind this command")?;
    Ok(())
}

/// In the process that [`start`] started: builds, holding the lock, and leaves word of a failure.
pub fn hold(building: &Building, is_built: impl Fn() -> bool, build: impl FnOnce() -> Result<()>) -> Result<()> {
    fs::create_dir_all(&building.folder)?;
    let lock = File::create(building.lock())?;
    lock.lock().context("failed to take the build's lock")?;
    if is_built() {
        return Ok(());
    }
    let _ = fs::remove_file(building.failure());
    let built = build();
    if let Err(error) = &built {
        fs::write(building.failure(), format!("{error:#}"))?;
    }
    built
}
