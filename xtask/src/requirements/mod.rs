//! The tools that building and running need: found, measured, and with `--install` installed, as packages or by ourselves.

mod distribution;
mod packages;
mod table;

use std::fmt;

use anyhow::Result;
use clikit::print;
use lab_cli::{Paths, exit};

use distribution::{Family, Packages};
use table::{TOOLS, Tool};

/// What a command needs before it can build or run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// bee: a compiler for probes, and libbpf's own needs.
    Probes,
    /// kebpf's page.
    Web,
    /// The Go programs.
    Go,
    /// Namespaces and addresses of the host cluster.
    Network,
    /// An engine and an image of nodes for the tests on kind.
    KindNode,
    /// The distributions' roots that tests start from.
    Roots,
    /// The virtual machines of the tests.
    Machines,
    /// Evaluates `flake.nix`, for its tests.
    Nix,
    /// Lab 3 of the upstream profile.
    Helm,
    /// The cluster of `--on kind`; the engine is the user's to install.
    Kind,
    /// A registry for tests to pull from and push to.
    Registry,
}

/// Tools are missing; the message names all of them and the one command that fixes it.
#[derive(Debug)]
pub struct Missing {
    lines: Vec<String>,
    pub fix: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this machine lacks tools:\n{}", self.lines.join("\n"))
    }
}

impl std::error::Error for Missing {}

impl Missing {
    pub const EXIT_CODE: u8 = exit::UNFIT;

    fn of(lacks: &[Lack], fix: String) -> Self {
        let lines = lacks.iter().map(|lack| format!("  {}: {}", lack.tool.name, lack.why)).collect();
        Self { lines, fix }
    }
}

/// A tool that is missing or too old, and why it will not do.
struct Lack {
    tool: &'static Tool,
    why: String,
}

/// Sees that everything needed is there; with `install`, brings what is not.
pub fn ensure(paths: &Paths, needs: &[Need], install: bool) -> Result<()> {
    let lacks = lacks(paths, needs);
    if lacks.is_empty() {
        return Ok(());
    }
    if install {
        return bring(paths, &lacks);
    }
    let fix = format!("run the same command with --install, or: {}", by_hand(&lacks, &Packages::here()));
    Err(Missing::of(&lacks, fix).into())
}

/// Installs what is wanted but not needed, if it can.
pub fn offer(paths: &Paths, needs: &[Need]) {
    let lacks = lacks(paths, needs);
    if !lacks.is_empty()
        && let Err(error) = bring(paths, &lacks)
    {
        format!("warning: {error:#}").lines().for_each(print::note);
    }
}

/// Each tool, and whether it will do, as a line for `doctor`.
pub fn report(paths: &Paths, needs: &[Need]) -> Vec<(String, Result<(), String>)> {
    wanted(needs).map(|tool| (tool.name.to_owned(), (tool.found)(paths))).collect()
}

fn wanted(needs: &[Need]) -> impl Iterator<Item = &'static Tool> {
    TOOLS.iter().filter(|tool| tool.needs.iter().any(|need| needs.contains(need)))
}

fn lacks(paths: &Paths, needs: &[Need]) -> Vec<Lack> {
    wanted(needs).filter_map(|tool| Some(Lack { tool, why: (tool.found)(paths).err()? })).collect()
}

/// Brings what is missing and looks again: a distribution's package may be too old, and a newer one stand beside it.
fn bring(paths: &Paths, lacks: &[Lack]) -> Result<()> {
    let packages = Packages::here();
    if lacks.iter().any(|lack| lack.tool.bring.is_none()) {
        let Packages::Driven(manager) = packages else {
            return Err(Missing::of(lacks, by_hand(lacks, &packages)).into());
        };
        packages::install(&manager, &names(lacks, manager.family))?;
        let newer = newer(&still(paths, lacks), manager.family);
        if !newer.is_empty() {
            packages::install(&manager, &newer.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
    }
    for lack in lacks {
        if let Some(bring) = lack.tool.bring {
            bring(paths)?;
        }
    }
    let still = still(paths, lacks);
    if still.is_empty() {
        return Ok(());
    }
    let places: Vec<_> = still.iter().map(|lack| lack.tool.elsewhere).collect();
    let fix = format!("this distribution's packages are not enough; put these on PATH by hand: {}", places.join(", "));
    Err(Missing::of(&still, fix).into())
}

fn still(paths: &Paths, lacks: &[Lack]) -> Vec<Lack> {
    let looks = lacks.iter().filter_map(|lack| Some(Lack { tool: lack.tool, why: (lack.tool.found)(paths).err()? }));
    looks.collect()
}

/// The packages of newer versions than this distribution's own.
fn newer(lacks: &[Lack], family: Family) -> Vec<String> {
    if family != Family::Debian {
        return vec![];
    }
    lacks.iter().filter_map(|lack| packages::newest(lack.tool.newer?)).collect()
}

/// What their packages are called in this family.
fn names(lacks: &[Lack], family: Family) -> Vec<&'static str> {
    lacks.iter().filter_map(|lack| lack.tool.package(family)).collect()
}

/// What somebody does who installs the missing tools without us.
fn by_hand(lacks: &[Lack], packages: &Packages) -> String {
    let names = packages.family().map(|family| names(lacks, family)).unwrap_or_default();
    let has_name = |lack: &&Lack| packages.family().is_some_and(|family| lack.tool.package(family).is_some());
    let elsewhere = lacks.iter().filter(|lack| !has_name(lack));
    let elsewhere: Vec<_> = elsewhere.map(|lack| lack.tool.elsewhere).collect();
    let command = match packages {
        Packages::Driven(manager) => manager.by_hand,
        Packages::Named(_, command) => command,
        Packages::Nix => return "`nix develop`, a shell with all of them".to_owned(),
        Packages::Unknown(name) => {
            return format!("{name} is not a distribution whose packages we know: install {}", elsewhere.join(", "));
        }
    };
    let mut ways = Vec::new();
    if !names.is_empty() {
        ways.push(format!("{command} {}", names.join(" ")));
    }
    ways.extend(elsewhere.iter().map(|place| format!("get {place}")));
    ways.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(names: &[&str]) -> Vec<Lack> {
        let tools = TOOLS.iter().filter(|tool| names.contains(&tool.name));
        tools.map(|tool| Lack { tool, why: "not found".to_owned() }).collect()
    }

    #[test]
    fn the_error_names_everything_that_is_missing() {
        let missing = Missing::of(&lacking(&["clang", "libelf"]), String::new());
        assert_eq!(missing.to_string(), "this machine lacks tools:\n  clang: not found\n  libelf: not found");
    }

    #[test]
    fn the_mending_is_in_the_words_of_the_distribution() {
        let lacks = lacking(&["libelf", "zlib", "helm"]);
        let helm = "get https://helm.sh/docs/intro/install";
        for (os_release, words) in [
            ("ID=debian", format!("sudo apt-get install libelf-dev zlib1g-dev; {helm}")),
            ("ID=fedora", format!("sudo dnf install elfutils-libelf-devel zlib-devel; {helm}")),
            ("ID=arch", format!("sudo pacman -S libelf zlib; {helm}")),
            ("ID=opensuse-leap", format!("sudo zypper install libelf-devel zlib-devel; {helm}")),
            ("ID=alpine", format!("apk add elfutils-dev zlib-dev; {helm}")),
            ("ID=nixos", "`nix develop`, a shell with all of them".to_owned()),
            (
                "PRETTY_NAME=\"Gentoo Linux\"\nID=gentoo",
                "Gentoo Linux is not a distribution whose packages we know: install elfutils' libelf with its headers, \
                 zlib with its headers, https://helm.sh/docs/intro/install"
                    .to_owned(),
            ),
        ] {
            assert_eq!(by_hand(&lacks, &Packages::of(os_release, false, |_| true)), words);
        }
        assert_eq!(by_hand(&lacking(&["helm"]), &Packages::of("ID=debian", false, |_| true)), helm);
    }

    #[test]
    fn every_family_that_is_driven_has_a_package_for_all_that_labs_need_or_we_bring_it() {
        let labs = [Need::Probes, Need::Web, Need::Go, Need::Network, Need::Helm, Need::Kind];
        for family in [Family::Debian, Family::Fedora, Family::Arch] {
            for tool in wanted(&labs) {
                assert!(tool.package(family).is_some() || tool.bring.is_some(), "{} for {family:?}", tool.name);
            }
        }
    }
}
