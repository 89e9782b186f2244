//! Which distribution this is: whose names packages have, and what installs them.

use std::{collections::HashMap, fs, path::Path};

use crate::detect::find;

/// Distributions whose packages have the same names and the same program to install them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Debian,
    Fedora,
    Arch,
    Suse,
    Alpine,
}

/// In the order in which the names of packages stand in the table.
pub const FAMILIES: [Family; 5] = [Family::Debian, Family::Fedora, Family::Arch, Family::Suse, Family::Alpine];

/// What `ID` and `ID_LIKE` of os-release say of each.
const IDS: [(&str, Family); 11] = [
    ("debian", Family::Debian),
    ("ubuntu", Family::Debian),
    ("fedora", Family::Fedora),
    ("rhel", Family::Fedora),
    ("centos", Family::Fedora),
    ("arch", Family::Arch),
    ("suse", Family::Suse),
    ("opensuse", Family::Suse),
    ("opensuse-tumbleweed", Family::Suse),
    ("opensuse-leap", Family::Suse),
    ("alpine", Family::Alpine),
];

/// How packages come to this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packages {
    /// A program that `--install` drives.
    Driven(Manager),
    /// Their names are known; the user installs them, by this command line before them.
    Named(Family, &'static str),
    /// NixOS has no packages to install, but a shell with all of them.
    Nix,
    /// The distribution as it calls itself.
    Unknown(String),
}

/// A program that installs packages without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manager {
    pub family: Family,
    /// What it runs before, to know what there is.
    pub refresh: &'static [&'static str],
    pub install: &'static [&'static str],
    /// What a user types.
    pub by_hand: &'static str,
    /// What may help when it fails.
    pub hint: &'static str,
}

/// Machines of a cloud install updates in their first minutes: apt waits for the lock.
const APT: Manager = Manager {
    family: Family::Debian,
    refresh: &["apt-get", "update", "-qq"],
    install: &["apt-get", "install", "-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"],
    by_hand: "sudo apt-get install",
    hint: "",
};

const DNF: Manager = Manager {
    family: Family::Fedora,
    refresh: &[],
    install: &["dnf", "install", "-y", "--setopt=install_weak_deps=False"],
    by_hand: "sudo dnf install",
    hint: "if it found no such package: RHEL and its kin keep some headers in a repository of their own, \
           `sudo dnf config-manager --set-enabled crb`, then run the same command again",
};

/// Not `-Sy`: Arch supports no machine that is upgraded in part (<https://wiki.archlinux.org/title/System_maintenance>), and a whole
/// upgrade is not ours to do.
const PACMAN: Manager = Manager {
    family: Family::Arch,
    refresh: &[],
    install: &["pacman", "-S", "--needed", "--noconfirm"],
    by_hand: "sudo pacman -S",
    hint: "if it found no such package or file, its lists are old: `sudo pacman -Syu`, then run the same command again",
};

impl Packages {
    /// Those of this machine.
    pub fn here() -> Self {
        let text = fs::read_to_string("/etc/os-release").or_else(|_| fs::read_to_string("/usr/lib/os-release"));
        // Fedora's and others' with a system that is replaced as a whole (<https://ostreedev.github.io/ostree/>).
        let replaced = Path::new("/run/ostree-booted").exists();
        Self::of(&text.unwrap_or_default(), replaced, |program| find(program).is_some())
    }

    /// By what os-release says, and by which programs there are.
    pub fn of(os_release: &str, replaced: bool, has: impl Fn(&str) -> bool) -> Self {
        let says = variables(os_release);
        let word = |name: &str| says.get(name).copied().unwrap_or_default();
        let ids = || [word("ID")].into_iter().chain(word("ID_LIKE").split_whitespace());
        if ids().any(|id| id == "nixos") {
            return Self::Nix;
        }
        let family = ids().find_map(|id| IDS.iter().find(|(known, _)| *known == id)).map(|(_, family)| *family);
        match family {
            Some(Family::Debian) if has("apt-get") => Self::Driven(APT),
            Some(Family::Fedora) if replaced => Self::Named(Family::Fedora, "sudo rpm-ostree install --apply-live"),
            Some(Family::Fedora) if has("dnf") => Self::Driven(DNF),
            Some(Family::Arch) if has("pacman") => Self::Driven(PACMAN),
            Some(Family::Suse) => Self::Named(Family::Suse, "sudo zypper install"),
            Some(Family::Alpine) => Self::Named(Family::Alpine, "apk add"),
            _ => Self::Unknown(
                [word("PRETTY_NAME"), word("ID")]
                    .into_iter()
                    .find(|name| !name.is_empty())
                    .unwrap_or("this system")
                    .to_owned(),
            ),
        }
    }

    /// Whose names packages have here.
    pub fn family(&self) -> Option<Family> {
        match self {
            Self::Driven(manager) => Some(manager.family),
            Self::Named(family, _) => Some(*family),
            Self::Nix | Self::Unknown(_) => None,
        }
    }
}

/// `NAME=VALUE`, quoted or not (os-release(5)).
fn variables(os_release: &str) -> HashMap<&str, &str> {
    let pairs = os_release.lines().filter_map(|line| line.trim().split_once('='));
    pairs.map(|(name, value)| (name, value.trim_matches(['"', '\'']))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that matter of distributions' own files.
    const RECORDED: [(&str, Option<Family>); 17] = [
        ("PRETTY_NAME=\"Debian GNU/Linux 11 (bullseye)\"\nID=debian\n", Some(Family::Debian)),
        ("ID=ubuntu\nID_LIKE=debian\n", Some(Family::Debian)),
        ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Some(Family::Debian)),
        ("ID=raspbian\nID_LIKE=debian\n", Some(Family::Debian)),
        ("NAME=\"Fedora Linux\"\nID=fedora\n", Some(Family::Fedora)),
        ("ID=\"rhel\"\nID_LIKE=\"fedora\"\n", Some(Family::Fedora)),
        ("ID=\"centos\"\nID_LIKE=\"rhel fedora\"\n", Some(Family::Fedora)),
        ("ID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\n", Some(Family::Fedora)),
        ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", Some(Family::Fedora)),
        ("ID=\"amzn\"\nID_LIKE=\"fedora\"\n", Some(Family::Fedora)),
        ("ID=arch\nBUILD_ID=rolling\n", Some(Family::Arch)),
        ("ID=manjaro\nID_LIKE=arch\n", Some(Family::Arch)),
        ("ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\n", Some(Family::Suse)),
        ("ID=\"sles\"\nID_LIKE=\"suse\"\n", Some(Family::Suse)),
        ("ID=alpine\n", Some(Family::Alpine)),
        ("ID=gentoo\n", None),
        ("", None),
    ];

    #[test]
    fn a_distribution_is_known_by_what_its_os_release_says() {
        for (text, family) in RECORDED {
            assert_eq!(Packages::of(text, false, |_| true).family(), family, "{text}");
        }
    }

    #[test]
    fn a_manager_that_is_not_there_is_not_driven() {
        assert_eq!(Packages::of("ID=debian", false, |_| false), Packages::Unknown("debian".to_owned()));
        let old = "PRETTY_NAME=\"Amazon Linux 2\"\nID=\"amzn\"\nID_LIKE=\"centos rhel fedora\"\n";
        assert_eq!(
            Packages::of(old, false, |program| program == "yum"),
            Packages::Unknown("Amazon Linux 2".to_owned())
        );
    }

    #[test]
    fn a_system_that_is_replaced_as_a_whole_is_left_to_its_user() {
        let silverblue = Packages::of("ID=fedora\nVARIANT_ID=silverblue\n", true, |_| true);
        assert_eq!(silverblue, Packages::Named(Family::Fedora, "sudo rpm-ostree install --apply-live"));
        assert_eq!(Packages::of("ID=nixos\n", false, |_| false), Packages::Nix);
    }
}
