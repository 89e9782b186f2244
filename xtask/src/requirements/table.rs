//! Every tool: what needs it, how it is found, and what each distribution calls its package.

use anyhow::Result;
use lab_cli::{
    Paths,
    pins::{self, Tools},
};

use super::{
    Need,
    distribution::{FAMILIES, Family},
};
use crate::{
    detect::{clang, find, library, version},
    go_release, helm, kind,
};

/// One tool: how to see that it is there and new enough, and what brings it.
pub struct Tool {
    pub name: &'static str,
    /// What needs it.
    pub needs: &'static [Need],
    pub found: fn(&Paths) -> Result<(), String>,
    /// What Debian, Fedora, Arch, openSUSE and Alpine call its package; empty where there is none.
    packages: [&'static str; FAMILIES.len()],
    /// How Debian's packages of newer versions begin, which stand beside an old one: `clang-` and a number.
    pub newer: Option<&'static str>,
    /// What `--install` brings without a package.
    pub bring: Option<fn(&Paths) -> Result<()>>,
    /// What somebody looks for whose distribution has no package, or is not known.
    pub elsewhere: &'static str,
}

impl Tool {
    /// What this family calls its package, if it has one.
    pub fn package(&self, family: Family) -> Option<&'static str> {
        let at = FAMILIES.iter().position(|known| *known == family)?;
        Some(self.packages[at]).filter(|name| !name.is_empty())
    }
}

/// One that a package brings.
const fn packaged(
    name: &'static str,
    elsewhere: &'static str,
    needs: &'static [Need],
    found: fn(&Paths) -> Result<(), String>,
    packages: [&'static str; FAMILIES.len()],
) -> Tool {
    Tool { name, needs, found, packages, newer: None, bring: None, elsewhere }
}

/// One that we bring ourselves: no distribution's package is everywhere, or new enough.
const fn brought(
    name: &'static str,
    needs: &'static [Need],
    found: fn(&Paths) -> Result<(), String>,
    bring: fn(&Paths) -> Result<()>,
    elsewhere: &'static str,
) -> Tool {
    Tool { name, needs, found, packages: [""; FAMILIES.len()], newer: None, bring: Some(bring), elsewhere }
}

pub const TOOLS: [Tool; 23] = [
    Tool { newer: Some("clang-"), ..packaged("clang", "clang", &[Need::Probes], |_| compiler(), ["clang"; 5]) },
    packaged(
        "libelf",
        "elfutils' libelf with its headers",
        &[Need::Probes],
        |_| library("libelf"),
        ["libelf-dev", "elfutils-libelf-devel", "libelf", "libelf-devel", "elfutils-dev"],
    ),
    packaged(
        "zlib",
        "zlib with its headers",
        &[Need::Probes],
        |_| library("zlib"),
        ["zlib1g-dev", "zlib-devel", "zlib", "zlib-devel", "zlib-dev"],
    ),
    packaged("make", "GNU make", &[Need::Probes], |_| there("make"), ["make"; 5]),
    packaged(
        "pkg-config",
        "pkg-config or pkgconf",
        &[Need::Probes],
        |_| there("pkg-config"),
        ["pkg-config", "pkgconf-pkg-config", "pkgconf", "pkg-config", "pkgconf"],
    ),
    packaged("curl", "curl", &[Need::Web, Need::Go], |_| there("curl"), ["curl"; 5]),
    packaged("tar", "tar", &[Need::Web], |_| there("tar"), ["tar"; 5]),
    packaged("gzip", "gzip", &[Need::Web], |_| there("gzip"), ["gzip"; 5]),
    brought("Go", &[Need::Go], go_release::found, go_release::bring, "https://go.dev/dl"),
    packaged(
        "libseccomp",
        "libseccomp with its headers",
        &[Need::Go],
        |_| library("libseccomp"),
        ["libseccomp-dev", "libseccomp-devel", "libseccomp", "libseccomp-devel", "libseccomp-dev"],
    ),
    packaged(
        "ip",
        "iproute2",
        &[Need::Network],
        |_| there("ip"),
        ["iproute2", "iproute", "iproute2", "iproute2", "iproute2"],
    ),
    packaged("nft", "nftables", &[Need::Network], |_| there("nft"), ["nftables"; 5]),
    packaged(
        "iptables",
        "iptables",
        &[Need::Network, Need::KindNode],
        |_| packet_filter(),
        ["iptables", "iptables-nft", "iptables", "iptables", "iptables"],
    ),
    packaged(
        "mount",
        "util-linux",
        &[Need::Network],
        |_| there("mount"),
        ["mount", "util-linux", "util-linux", "util-linux", "util-linux"],
    ),
    brought("helm", &[Need::Helm], helm::found, helm::build, "https://helm.sh/docs/intro/install"),
    brought("kind", &[Need::Kind], kind::found, kind::build, "https://kind.sigs.k8s.io"),
    packaged(
        "docker-registry",
        "https://distribution.github.io/distribution",
        &[Need::Registry],
        |_| there("docker-registry"),
        ["docker-registry", "", "", "distribution-registry", "docker-registry"],
    ),
    packaged(
        "htpasswd",
        "the tools of Apache's httpd",
        &[Need::Registry],
        |_| there("htpasswd"),
        ["apache2-utils", "httpd-tools", "apache", "apache2-utils", "apache2-utils"],
    ),
    packaged(
        "dockerd",
        "https://docs.docker.com/engine/install",
        &[Need::KindNode],
        |_| docker(),
        ["docker.io", "moby-engine", "docker", "docker", "docker"],
    ),
    packaged(
        "debootstrap",
        "Debian's debootstrap",
        &[Need::KindNode, Need::Roots],
        |_| there("debootstrap"),
        ["debootstrap"; 5],
    ),
    packaged("jq", "https://jqlang.org", &[Need::KindNode], |_| there("jq"), ["jq"; 5]),
    packaged(
        "qemu-system-x86_64",
        "QEMU for x86-64",
        &[Need::Machines],
        |_| there("qemu-system-x86_64"),
        ["qemu-system-x86", "qemu-system-x86-core", "qemu-system-x86", "qemu-x86", "qemu-system-x86_64"],
    ),
    packaged(
        "nix-instantiate",
        "https://nixos.org/download",
        &[Need::Nix],
        |_| least("nix-instantiate", |tools| tools.nix),
        ["nix-bin", "nix", "nix", "", "nix"],
    ),
];

/// Any version will do.
fn there(program: &str) -> Result<(), String> {
    find(program).map(drop).ok_or_else(|| "not found".to_owned())
}

/// No older than the pins say.
fn least(program: &str, pinned: fn(Tools) -> pins::Tool) -> Result<(), String> {
    let tools = pins::pins().map_err(|error| error.to_string())?.tools;
    version(program, pinned(tools).least.parse()?)
}

/// No older than bee takes.
fn compiler() -> Result<(), String> {
    let tools = pins::pins().map_err(|error| error.to_string())?.tools;
    clang(tools.clang.least.parse()?)
}

/// Debian 13 has the engine's client in a package of its own.
fn docker() -> Result<(), String> {
    there("dockerd")?;
    there("docker").map_err(|_| "its client, docker, is not found".to_owned())
}

/// kube-proxy's newer way needs a newer nft than Debian 11 has; its older way, and Docker, need iptables.
fn packet_filter() -> Result<(), String> {
    there("iptables").or_else(|missing| least("nft", |tools| tools.nft).map_err(|_| missing))
}
