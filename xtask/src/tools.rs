//! The tools that building and running need: found, measured, and with `--install` installed: by apt, helm and kind from their Go modules.

use std::fmt;

use anyhow::{Context, Result, bail};
use interface::{Paths, exit};
use xshell::{Shell, cmd};

use crate::{
    found::{find, go, library, version},
    helm, kind,
};

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

/// One tool: how to see that it is there and new enough, and what brings it.
struct Tool {
    name: &'static str,
    /// What apt calls it, on Debian and Ubuntu; nothing if apt does not have it.
    packages: &'static [&'static str],
    /// What somebody without apt looks for.
    elsewhere: &'static str,
    need: Need,
    found: fn(&Paths) -> Result<(), String>,
}

const TOOLS: [Tool; 20] = [
    Tool {
        name: "clang (11 or newer)",
        packages: &["clang"],
        elsewhere: "your distribution's clang, or https://releases.llvm.org",
        need: Need::Probes,
        found: |_| version("clang", &["--version"], 11),
    },
    Tool {
        name: "libelf",
        packages: &["libelf-dev"],
        elsewhere: "elfutils' libelf with headers",
        need: Need::Probes,
        found: |_| library("libelf"),
    },
    Tool {
        name: "zlib",
        packages: &["zlib1g-dev"],
        elsewhere: "zlib with headers",
        need: Need::Probes,
        found: |_| library("zlib"),
    },
    Tool {
        name: "make",
        packages: &["make"],
        elsewhere: "GNU make",
        need: Need::Probes,
        found: |_| version("make", &["--version"], 3),
    },
    Tool {
        name: "pkg-config",
        packages: &["pkg-config"],
        elsewhere: "pkg-config or pkgconf",
        need: Need::Probes,
        found: |_| version("pkg-config", &["--version"], 0),
    },
    Tool {
        name: "Node.js (18 or newer) with npm",
        packages: &["nodejs", "npm"],
        elsewhere: "https://nodejs.org",
        need: Need::Web,
        found: |_| version("node", &["--version"], 18).and_then(|()| version("npm", &["--version"], 8)),
    },
    Tool {
        name: "Go (1.21 or newer, it fetches the pinned one)",
        packages: &["golang-go"],
        elsewhere: "https://go.dev/dl",
        need: Need::Go,
        found: |_| go(),
    },
    Tool {
        name: "libseccomp",
        packages: &["libseccomp-dev"],
        elsewhere: "libseccomp with headers",
        need: Need::Go,
        found: |_| library("libseccomp"),
    },
    Tool {
        name: "ip (iproute2)",
        packages: &["iproute2"],
        elsewhere: "iproute2",
        need: Need::Network,
        found: |_| version("ip", &["-V"], 0),
    },
    Tool {
        name: "nft (nftables)",
        packages: &["nftables"],
        elsewhere: "nftables",
        need: Need::Network,
        found: |_| version("nft", &["--version"], 0),
    },
    Tool {
        name: "helm",
        packages: &[],
        elsewhere: "https://helm.sh/docs/intro/install",
        need: Need::Helm,
        found: helm::found,
    },
    Tool { name: "kind", packages: &[], elsewhere: "https://kind.sigs.k8s.io", need: Need::Kind, found: kind::found },
    Tool {
        name: "docker-registry",
        packages: &["docker-registry"],
        elsewhere: "https://distribution.github.io/distribution",
        need: Need::Registry,
        found: |_| find("docker-registry").map(drop).ok_or_else(|| "not found".to_owned()),
    },
    Tool {
        name: "htpasswd",
        packages: &["apache2-utils"],
        elsewhere: "the tools of Apache's httpd",
        need: Need::Registry,
        found: |_| find("htpasswd").map(drop).ok_or_else(|| "not found".to_owned()),
    },
    Tool {
        name: "dockerd",
        packages: &["docker.io"],
        elsewhere: "https://docs.docker.com/engine/install",
        need: Need::KindNode,
        found: |_| version("dockerd", &["--version"], 0),
    },
    Tool {
        name: "debootstrap",
        packages: &["debootstrap"],
        elsewhere: "Debian's debootstrap",
        need: Need::KindNode,
        found: |_| version("debootstrap", &["--version"], 0),
    },
    Tool {
        name: "jq",
        packages: &["jq"],
        elsewhere: "https://jqlang.org",
        need: Need::KindNode,
        found: |_| version("jq", &["--version"], 0),
    },
    Tool {
        name: "iptables",
        packages: &["iptables"],
        elsewhere: "iptables",
        need: Need::KindNode,
        found: |_| version("iptables", &["--version"], 0),
    },
    Tool {
        name: "qemu-system-x86_64",
        packages: &["qemu-system-x86"],
        elsewhere: "QEMU for x86-64",
        need: Need::Machines,
        found: |_| version("qemu-system-x86_64", &["--version"], 0),
    },
    Tool {
        name: "nix-instantiate (2.4 or newer)",
        packages: &["nix-bin"],
        elsewhere: "https://nixos.org/download",
        need: Need::Nix,
        found: |_| version("nix-instantiate", &["--version"], 2),
    },
];

/// Tools are missing; the message names all of them and the one command that mends it.
#[derive(Debug)]
pub struct Missing {
    lines: Vec<String>,
    pub mending: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this machine lacks tools:\n{}", self.lines.join("\n"))
    }
}

impl std::error::Error for Missing {}

impl Missing {
    pub const EXIT_CODE: u8 = exit::UNFIT;
}

/// Sees that everything needed is there; with `install`, brings what is not.
pub fn ensure(paths: &Paths, needs: &[Need], install: bool) -> Result<()> {
    let missing = missing(paths, needs);
    if missing.is_empty() {
        return Ok(());
    }
    if install {
        return bring(paths, &missing);
    }
    Err(Missing { lines: describe(&missing), mending: mending(&missing, has_apt()) }.into())
}

fn mending(missing: &[(&Tool, String)], has_apt: bool) -> String {
    let packages = packages(missing).join(" ");
    let by_hand = missing.iter().filter(|(tool, _)| tool.packages.is_empty());
    let by_hand: Vec<_> = by_hand.map(|(tool, _)| format!("{}: {}", tool.name, tool.elsewhere)).collect();
    let mut ways = vec![];
    match has_apt {
        _ if packages.is_empty() => {}
        true => ways.push(format!("sudo apt-get install {packages}")),
        false => ways.push(format!("get them by your distribution's means; Debian and Ubuntu call them {packages}")),
    }
    ways.extend(by_hand);
    format!("run the same command with --install, or: {}", ways.join("; "))
}

/// Installs what is wanted but not needed, if it can.
pub fn offer(paths: &Paths, needs: &[Need]) {
    let missing = missing(paths, needs);
    if !missing.is_empty()
        && let Err(error) = bring(paths, &missing)
    {
        eprintln!("warning: {error:#}");
    }
}

/// Each tool that is missing or too old, as a line for `doctor`.
pub fn report(paths: &Paths, needs: &[Need]) -> Vec<(String, Result<(), String>)> {
    wanted(needs).map(|tool| (tool.name.to_owned(), (tool.found)(paths))).collect()
}

fn wanted(needs: &[Need]) -> impl Iterator<Item = &'static Tool> {
    TOOLS.iter().filter(|tool| needs.contains(&tool.need))
}

fn missing(paths: &Paths, needs: &[Need]) -> Vec<(&'static Tool, String)> {
    wanted(needs).filter_map(|tool| Some((tool, (tool.found)(paths).err()?))).collect()
}

fn describe(missing: &[(&Tool, String)]) -> Vec<String> {
    missing.iter().map(|(tool, why)| format!("  {}: {why}", tool.name)).collect()
}

fn packages(missing: &[(&Tool, String)]) -> Vec<&'static str> {
    missing.iter().flat_map(|(tool, _)| tool.packages).copied().collect()
}

/// Installs what is missing, once, and looks again: a distribution's package may be too old.
fn bring(paths: &Paths, missing: &[(&'static Tool, String)]) -> Result<()> {
    let packages = packages(missing);
    if !packages.is_empty() && !has_apt() {
        let places: Vec<_> =
            missing.iter().map(|(tool, why)| format!("  {} ({why}): {}", tool.name, tool.elsewhere)).collect();
        let mending = "--install knows apt only; get these by your distribution's means".to_owned();
        return Err(Missing { lines: places, mending }.into());
    }
    if !packages.is_empty() {
        install_packages(&packages)?;
    }
    if missing.iter().any(|(tool, _)| tool.need == Need::Helm) {
        helm::build(paths)?;
    }
    if missing.iter().any(|(tool, _)| tool.need == Need::Kind) {
        kind::build(paths)?;
    }
    let still: Vec<_> = missing.iter().filter_map(|(tool, _)| Some((*tool, (tool.found)(paths).err()?))).collect();
    if still.is_empty() {
        return Ok(());
    }
    let lines =
        still.iter().map(|(tool, why)| format!("  {}: {why}; get it from {}", tool.name, tool.elsewhere)).collect();
    Err(Missing {
        lines,
        mending: "what apt has is not enough here; get these by hand and put them on PATH".to_owned(),
    }
    .into())
}

fn install_packages(packages: &[&str]) -> Result<()> {
    eprintln!("installing {}", packages.join(" "));
    let shell = Shell::new()?;
    shell.set_var("DEBIAN_FRONTEND", "noninteractive");
    let sudo: &[&str] =
        if nix::unistd::geteuid().is_root() { &[] } else { &["sudo", "--preserve-env=DEBIAN_FRONTEND"] };
    apt(&shell, sudo, &["update", "-qq"])?;
    apt(&shell, sudo, &[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat())
}

fn apt(shell: &Shell, sudo: &[&str], arguments: &[&str]) -> Result<()> {
    let line: Vec<&str> = sudo.iter().chain(&["apt-get"]).chain(arguments).copied().collect();
    let (program, arguments) = line.split_first().context("an apt command line")?;
    let output = cmd!(shell, "{program} {arguments...}").quiet().ignore_status().output().context("start apt-get")?;
    if !output.status.success() {
        bail!(
            "`{}` failed ({})\n{}",
            line.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(())
}

fn has_apt() -> bool {
    find("apt-get").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_everything_that_is_missing_and_one_command() {
        let missing: Vec<_> = TOOLS.iter().take(2).map(|tool| (tool, "not found".to_owned())).collect();
        assert_eq!(describe(&missing), ["  clang (11 or newer): not found", "  libelf: not found"]);
        assert_eq!(packages(&missing), ["clang", "libelf-dev"]);
    }

    #[test]
    fn the_mending_names_packages_and_where_to_get_what_apt_does_not_have() {
        let missing: Vec<_> = TOOLS.iter().filter(|tool| matches!(tool.need, Need::Helm | Need::Web)).collect();
        let missing: Vec<_> = missing.into_iter().map(|tool| (tool, "not found".to_owned())).collect();
        let helm = "helm: https://helm.sh/docs/intro/install";
        let both = format!("run the same command with --install, or: sudo apt-get install nodejs npm; {helm}");
        assert_eq!(mending(&missing, true), both);
        assert_eq!(mending(&missing[1..], true), format!("run the same command with --install, or: {helm}"));
    }
}
