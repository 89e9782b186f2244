//! The user who called sudo: what `lab` makes as root in the checkout and in the user's folders stays the user's.

use std::path::Path;

use anyhow::{Context, Result};

/// The user and group behind sudo, if there is one.
pub fn caller() -> Option<(u32, u32)> {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    Some((number("SUDO_UID")?, number("SUDO_GID")?)).filter(|_| nix::unistd::geteuid().is_root())
}

/// Gives files that root made to the user behind sudo.
pub fn give_to_caller(paths: &[&Path]) -> Result<()> {
    let Some((user, group)) = caller() else { return Ok(()) };
    for path in paths {
        let given = std::os::unix::fs::lchown(path, Some(user), Some(group));
        given.with_context(|| format!("give {} to the user who called sudo", path.display()))?;
    }
    Ok(())
}
