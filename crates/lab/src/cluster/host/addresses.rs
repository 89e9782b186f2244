//! The addresses of cluster number n: pods 10.(100+n).0.0/16, Services 10.n.0.0/16, nodes 172.18.(100+n).0/24,
//! LoadBalancers 172.18.n.1-254, or others than 172.18 where this machine has those already.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddrV4},
};

use anyhow::{Context, Result};
use lab_cli::{
    base::{self, Base},
    network,
    range::Range,
    taken::{Taken, taken},
};

use super::folders::{Folders, write_whole};
use crate::{
    cmd::Here,
    error::{refusal, unfit},
    live::Live,
};

/// The nodes, named as kind names them; the first is the control plane.
pub const NODES: [&str; 3] = ["ebpf-control-plane", "ebpf-worker", "ebpf-worker2"];

/// Every address of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    number: u8,
    base: Base,
}

impl Addresses {
    /// Those that the cluster has, or the first ones before it has any. `number` is 1 to 99, which the command line sees to.
    ///
    /// # Errors
    /// What was written down is no base.
    pub fn of(folders: &Folders) -> Result<Self> {
        let number = folders.number().parse().context("failed to read the cluster's number")?;
        Ok(Self { base: read(folders)?.unwrap_or(Base::FIRST), ..Self::first(number) })
    }

    /// Those of the workshop, which its manifests have for cluster 1.
    pub fn first(number: u8) -> Self {
        Self { number, base: Base::FIRST }
    }

    /// Those that the cluster has or is to have: addresses that nothing else on this machine has.
    ///
    /// # Errors
    /// There are none, or those that it has were taken since.
    pub fn settle(folders: &Folders, live: &Live) -> Result<Self> {
        let ours = Self::of(folders)?;
        let taken = taken(&Here).map_err(refusal)?;
        // A cluster of an earlier version wrote nothing down.
        if read(folders)?.is_some() || folders.pki().is_dir() {
            return ours.refuse_overlap(&taken).map(|()| ours);
        }
        let choice = base::choose(ours.number, &taken).map_err(|taken| none_is_free(ours.number, &taken))?;
        if choice.instead.is_some() {
            live.say(&format!("addresses: {choice}"));
        }
        Ok(Self { base: choice.base, ..ours })
    }

    /// Writes them down, for as long as the cluster lives.
    pub fn keep(self, folders: &Folders) -> Result<()> {
        let file = folders.addresses();
        write_whole(&file, &format!("{}\n", self.base))
    }

    fn refuse_overlap(self, taken: &[Taken]) -> Result<()> {
        match self.base.overlap(self.number, taken) {
            None => Ok(()),
            Some(taken) => Err(unfit(
                format!("{taken}, which overlaps the addresses of cluster {}: {}", self.number, self.base),
                "end what has them (a VPN, a network of Docker's); or `cargo xtask clean`: a new cluster takes others",
            )),
        }
    }

    pub fn pods(self) -> Range {
        network::pods(self.number)
    }

    pub fn services(self) -> Range {
        network::services(self.number)
    }

    pub fn nodes(self) -> Range {
        self.base.nodes(self.number)
    }

    pub fn load_balancers(self) -> Range {
        self.base.load_balancers(self.number)
    }

    /// All that is reached without a proxy, as `NO_PROXY` has it.
    pub fn inside(self) -> Vec<String> {
        let ranges = [self.pods(), self.services(), self.nodes(), self.load_balancers()];
        ranges.iter().map(ToString::to_string).chain(network::NAMES.map(str::to_owned)).collect()
    }

    /// The node's address, by its place in [`NODES`].
    pub fn node(self, index: usize) -> Ipv4Addr {
        self.among_nodes(u8::try_from(index + 1).unwrap_or(u8::MAX))
    }

    /// This machine's own address among the nodes.
    pub fn host(self) -> Ipv4Addr {
        self.among_nodes(254)
    }

    fn among_nodes(self, last: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.nodes().base.octets();
        Ipv4Addr::new(a, b, c, last)
    }

    /// Where the proxy to image registries listens, for the nodes.
    pub fn proxy(self) -> SocketAddrV4 {
        SocketAddrV4::new(self.host(), 3128)
    }

    /// The API server as a Service.
    pub fn kubernetes(self) -> Ipv4Addr {
        self.service(1)
    }

    pub fn dns(self) -> Ipv4Addr {
        self.service(10)
    }

    fn service(self, last: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.services().base.octets();
        Ipv4Addr::new(a, b, c, last)
    }

    pub fn api(self) -> String {
        format!("https://{}:6443", self.node(0))
    }
}

/// The base that was written down.
fn read(folders: &Folders) -> Result<Option<Base>> {
    let file = folders.addresses();
    match fs::read_to_string(&file) {
        Ok(text) => {
            let base = Base::parse(&text);
            let wrong = || {
                format!("invalid {}: expected a range such as {}, not `{}`", file.display(), Base::FIRST, text.trim())
            };
            base.map(Some).with_context(wrong)
        }
        // To whom may not see it, `--explain` tells of the first.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to read {}", file.display())),
    }
}

fn none_is_free(number: u8, taken: &Taken) -> anyhow::Error {
    unfit(
        format!("{taken}, and so is every other range that cluster {number} could have"),
        "end the VPN that takes them while the cluster is up, or let it leave local networks alone",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(folder: &std::path::Path) -> Folders {
        Folders { run: folder.join("run/7"), data: folder.to_owned() }
    }

    #[test]
    fn cluster_1_has_the_addresses_of_the_workshop() {
        let addresses = Addresses::first(1);
        let ranges = [addresses.pods(), addresses.services(), addresses.nodes(), addresses.load_balancers()];
        assert_eq!(
            ranges.map(|range| range.to_string()),
            ["10.101.0.0/16", "10.1.0.0/16", "172.18.101.0/24", "172.18.1.0/24"]
        );
        assert_eq!(addresses.node(2).to_string(), "172.18.101.3");
        assert_eq!(
            (addresses.kubernetes().to_string(), addresses.dns().to_string()),
            ("10.1.0.1".to_owned(), "10.1.0.10".to_owned())
        );
    }

    #[test]
    fn no_two_clusters_share_an_address() {
        for (a, b) in (1..=99).flat_map(|a| (a + 1..=99).map(move |b| (a, b))) {
            let (a, b) = (Addresses::first(a), Addresses::first(b));
            let ranges = |c: Addresses| [c.pods(), c.services(), c.nodes(), c.load_balancers()];
            assert!(!ranges(a).iter().any(|x| ranges(b).iter().any(|y| x.overlaps(*y))), "{a:?} {b:?}");
        }
    }

    #[test]
    fn what_was_written_down_is_kept_and_an_older_cluster_has_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let folders = folders(folder.path());
        assert_eq!(Addresses::of(&folders).unwrap().api(), "https://172.18.107.1:6443");
        Addresses { number: 7, base: Base::parse("172.30.0.0/16").unwrap() }.keep(&folders).unwrap();
        let kept = Addresses::of(&folders).unwrap();
        assert_eq!(
            (kept.api(), kept.proxy().to_string()),
            ("https://172.30.107.1:6443".to_owned(), "172.30.107.254:3128".to_owned())
        );
        assert_eq!(kept.load_balancers().to_string(), "172.30.7.0/24");
        fs::write(folders.addresses(), "172.30").unwrap();
        let error = Addresses::of(&folders).unwrap_err().to_string();
        assert!(
            error.starts_with("invalid ") && error.ends_with("expected a range such as 172.18.0.0/16, not `172.30`"),
            "{error}"
        );
    }

    #[test]
    fn addresses_that_were_taken_since_are_named_with_who_has_them() {
        let vpn = Taken { range: Range::parse("172.16.0.0/12").unwrap(), by: "tun0".to_owned() };
        let error = Addresses::first(1).refuse_overlap(&[vpn]).unwrap_err();
        let words = "172.16.0.0/12 is taken by tun0 (a VPN), which overlaps the addresses of cluster 1: 172.18.0.0/16";
        assert_eq!(error.to_string(), words);
    }
}
