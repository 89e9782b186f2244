//! How kube-proxy can work in this machine's kernel: by nftables where that has all it uses, else by iptables.
//!
//! kube-proxy itself only looks at the kernel's version; a kernel without `fib` takes none of its rules, and no Service would answer.

use std::fmt;

use crate::{
    machine::{Machine, release},
    obstacle::Obstacle,
    version::Version,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Nftables,
    Iptables,
}

/// What is right on a machine, and why it is not the first.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    pub mode: Mode,
    pub instead: Option<String>,
}

/// kube-proxy asks for both by itself: `pkg/proxy/nftables/supported.go` of Kubernetes.
const KERNEL: (u32, u32) = (5, 13);
const NFT: Version = Version { major: 1, minor: 0, patch: 1 };
/// The oldest iptables that waits for others (`--wait`) and restores as kube-proxy does.
const IPTABLES: Version = Version { major: 1, minor: 6, patch: 2 };

/// One of each kind of rule that kube-proxy's nftables mode writes, in Kubernetes 1.34 to 1.37.
const NFT_RULES: &str = "add table ip trial; \
    add set ip trial addresses { type ipv4_addr; flags dynamic, timeout; timeout 1h; }; \
    add map ip trial services { type ipv4_addr . inet_proto . inet_service : verdict; }; \
    add chain ip trial nat { type nat hook prerouting priority -100; }; \
    add chain ip trial filter { type filter hook input priority 0; }; \
    add rule ip trial filter ct state new ip daddr @addresses reject; \
    add rule ip trial nat ip daddr . meta l4proto . th dport vmap @services; \
    add rule ip trial nat fib daddr type local meta mark set meta mark or 0x4000; \
    add rule ip trial nat update @addresses { ip saddr }; \
    add rule ip trial nat meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.0.0.1, 1 : 10.0.0.2 }; \
    add chain ip trial after { type nat hook postrouting priority 100; }; \
    add rule ip trial after masquerade fully-random";

/// What the options of the kernel's configuration for these rules are called.
const NFT_OPTIONS: [&str; 7] =
    ["NF_TABLES", "NF_TABLES_IPV4", "NFT_CT", "NFT_FIB_IPV4", "NFT_NAT", "NFT_MASQ", "NFT_NUMGEN"];

/// The matches and targets of iptables mode, each in a rule.
const IPTABLES_RULES: [&[&str]; 5] = [
    &["-t", "nat", "-A", "PREROUTING", "-m", "comment", "--comment", "trial", "-m", "addrtype", "--dst-type", "LOCAL"],
    &["-t", "nat", "-A", "PREROUTING", "-m", "statistic", "--mode", "random", "--probability", "0.5"],
    &["-t", "nat", "-A", "PREROUTING", "-p", "tcp", "-j", "DNAT", "--to-destination", "10.0.0.1:80"],
    &["-t", "nat", "-A", "POSTROUTING", "-m", "mark", "--mark", "0x4000/0x4000", "-j", "MASQUERADE"],
    &["-A", "FORWARD", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP"],
];

const IPTABLES_OPTIONS: [&str; 6] = [
    "NETFILTER_XT_MATCH_COMMENT",
    "NETFILTER_XT_MATCH_ADDRTYPE",
    "NETFILTER_XT_MATCH_STATISTIC",
    "NETFILTER_XT_MATCH_CONNTRACK",
    "NETFILTER_XT_MATCH_MARK",
    "NF_NAT",
];

impl fmt::Display for Mode {
    /// As kube-proxy's configuration has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
        })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.instead {
            None => write!(f, "{}", self.mode),
            Some(why) => write!(f, "{} ({why})", self.mode),
        }
    }
}

/// nftables if it can be, else iptables. What `--install` would bring counts as there.
///
/// # Errors
/// Neither can be, and why.
pub fn choose(machine: &dyn Machine) -> Result<Choice, Obstacle> {
    let Some(why) = without_nftables(machine) else { return Ok(Choice { mode: Mode::Nftables, instead: None }) };
    match without_iptables(machine) {
        None => Ok(Choice { mode: Mode::Iptables, instead: Some(why) }),
        Some(too) => Err(Obstacle::new(
            format!("kube-proxy works neither by nftables ({why}) nor by iptables ({too})"),
            "boot a kernel of your distribution, Linux 5.13 or newer with nftables' `fib`; or use --on kind on another machine",
        )),
    }
}

fn without_nftables(machine: &dyn Machine) -> Option<String> {
    let release_here = machine.kernel();
    if release(&release_here) < KERNEL {
        return Some(format!("nftables mode needs Linux {}.{}, this is {release_here}", KERNEL.0, KERNEL.1));
    }
    if let Some(version) = version(machine, "nft").filter(|version| *version < NFT) {
        return Some(format!("nftables mode needs nft {NFT}, this is {version}"));
    }
    match trial(machine, "nft", &[NFT_RULES]) {
        Some(Ok(())) => None,
        Some(Err(error)) => Some(format!("this kernel does not take its rules: {error}")),
        None => lacks(machine, &NFT_OPTIONS),
    }
}

fn without_iptables(machine: &dyn Machine) -> Option<String> {
    if let Some(version) = version(machine, "iptables").filter(|version| *version < IPTABLES) {
        return Some(format!("iptables {IPTABLES} is the oldest that will do, this is {version}"));
    }
    for rule in IPTABLES_RULES {
        match trial(machine, "iptables", rule) {
            Some(Ok(())) => {}
            Some(Err(error)) => return Some(format!("this kernel does not take its rules: {error}")),
            None => return lacks(machine, &IPTABLES_OPTIONS),
        }
    }
    None
}

/// Tries rules in a network namespace that ends with the program; only root can, and only where the program is.
fn trial(machine: &dyn Machine, program: &str, rules: &[&str]) -> Option<Result<(), String>> {
    if !machine.is_root() || !machine.has(program) {
        return None;
    }
    let said = machine.run("unshare", &[&["--net", program], rules].concat())?;
    if said.stderr.starts_with("unshare:") {
        return None;
    }
    let error = said.stderr.lines().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    Some(if said.ok { Ok(()) } else { Err(error.trim().to_owned()) })
}

fn lacks(machine: &dyn Machine, options: &[&str]) -> Option<String> {
    let known = machine.kernel_options()?;
    let is_set = |option: &str| {
        let line = format!("CONFIG_{option}=");
        known.lines().any(|known| known.strip_prefix(&line).is_some_and(|value| value == "y" || value == "m"))
    };
    options.iter().find(|option| !is_set(option)).map(|option| format!("this kernel has no CONFIG_{option}"))
}

fn version(machine: &dyn Machine, program: &str) -> Option<Version> {
    let text = machine.output(program, &["--version"])?;
    text.split_whitespace().find_map(|word| word.strip_prefix('v')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::recorded::Files;

    const DEBIAN_11: (&str, &str) = ("/proc/sys/kernel/osrelease", "5.10.0-36-amd64\n");
    const DEBIAN_12: (&str, &str) = ("/proc/sys/kernel/osrelease", "6.1.0-40-amd64\n");
    const BOTH: &str = "CONFIG_NF_TABLES=m\nCONFIG_NF_TABLES_IPV4=y\nCONFIG_NFT_CT=m\nCONFIG_NFT_FIB_IPV4=m\nCONFIG_NFT_NAT=m\n\
        CONFIG_NFT_MASQ=m\nCONFIG_NFT_NUMGEN=m\nCONFIG_NETFILTER_XT_MATCH_COMMENT=m\nCONFIG_NETFILTER_XT_MATCH_ADDRTYPE=m\n\
        CONFIG_NETFILTER_XT_MATCH_STATISTIC=m\nCONFIG_NETFILTER_XT_MATCH_CONNTRACK=m\nCONFIG_NETFILTER_XT_MATCH_MARK=m\nCONFIG_NF_NAT=m\n";
    const ONLY_IPTABLES: &str = "# CONFIG_NF_TABLES is not set\nCONFIG_NETFILTER_XT_MATCH_COMMENT=y\n\
        CONFIG_NETFILTER_XT_MATCH_ADDRTYPE=y\nCONFIG_NETFILTER_XT_MATCH_STATISTIC=y\nCONFIG_NETFILTER_XT_MATCH_CONNTRACK=y\n\
        CONFIG_NETFILTER_XT_MATCH_MARK=y\nCONFIG_NF_NAT=y\n";

    #[test]
    fn a_kernel_with_fib_gets_nftables_and_one_that_is_older_or_lacks_it_iptables() {
        let modes: [(&[(&str, &str)], &str); 4] = [
            (&[DEBIAN_12, ("/boot/config-6.1.0-40-amd64", BOTH)], "nftables"),
            (&[DEBIAN_12], "nftables"),
            (
                &[DEBIAN_11, ("/boot/config-5.10.0-36-amd64", BOTH)],
                "iptables (nftables mode needs Linux 5.13, this is 5.10.0-36-amd64)",
            ),
            (
                &[DEBIAN_12, ("/boot/config-6.1.0-40-amd64", ONLY_IPTABLES)],
                "iptables (this kernel has no CONFIG_NF_TABLES)",
            ),
        ];
        for (files, mode) in modes {
            assert_eq!(choose(&Files(files)).unwrap().to_string(), mode);
        }
    }

    #[test]
    fn a_kernel_that_takes_neither_is_refused_by_name() {
        let none = &[DEBIAN_12, ("/boot/config-6.1.0-40-amd64", "# CONFIG_NETFILTER is not set\n")];
        assert_eq!(
            choose(&Files(none)).unwrap_err().what,
            "kube-proxy works neither by nftables (this kernel has no CONFIG_NF_TABLES) nor by iptables (this kernel has no \
             CONFIG_NETFILTER_XT_MATCH_COMMENT)"
        );
    }
}
