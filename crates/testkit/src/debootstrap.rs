//! The folder of a Debian that debootstrap makes from the mirror of this machine.

use std::{fs, path::Path, process::Command};

use crate::program::said;

/// Makes a suite of Debian's with these packages beside the least there is; what a killed run left is made anew.
#[track_caller]
pub fn debootstrap(suite: &str, packages: &str, to: &Path) {
    let partial = to.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).unwrap();
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.arg("--variant=minbase").arg(format!("--include={packages}"));
    said(debootstrap.arg(suite).arg(&partial).arg(mirror()));
    // An authority that this machine alone trusts, such as that of a proxy on the way to the registries.
    let (ours, theirs) =
        (Path::new("/usr/local/share/ca-certificates"), partial.join("usr/local/share/ca-certificates"));
    if ours.is_dir() {
        said(Command::new("cp").arg("-a").arg(ours.join(".")).arg(&theirs));
        said(Command::new("chroot").arg(&partial).arg("update-ca-certificates"));
    }
    fs::rename(partial, to).unwrap();
}

/// The mirror from which this machine has its own packages, if it is a Debian.
fn mirror() -> String {
    let targets = Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI) $(LABEL)"]).output();
    let targets = targets.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let debian = targets.lines().find_map(|line| line.strip_suffix(" Debian"));
    debian.unwrap_or("http://deb.debian.org/debian").to_owned()
}
