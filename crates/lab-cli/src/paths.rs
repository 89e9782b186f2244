//! Where state lies, so that `cargo clean`, a second clone or a reboot harms nothing.
//!
//! `xtask` computes the folders as the calling user and hands them on in `EBPF_LAB_*` variables, because `lab` may run
//! as root through sudo, where `HOME` and the XDG variables are root's.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use etcetera::BaseStrategy;

/// The folders of one checkout, one user and one cluster number.
#[derive(Debug, Clone)]
pub struct Paths {
    /// The checkout: manifests, probes, `work/`.
    pub checkout: PathBuf,
    /// Programs and images, keyed by content, shared by clones: the one folder for CI to cache (`$XDG_CACHE_HOME/ebpf-lab`).
    pub cache: PathBuf,
    /// Kubeconfigs, 0600 (`$XDG_STATE_HOME/ebpf-lab`).
    pub state: PathBuf,
    /// Our Rust programs: `lab`, `bee`, `bookinfo`, `kebpf`.
    pub bin: PathBuf,
    /// The Go programs of `kubernetes`; the folder appears when they are all built.
    pub programs: PathBuf,
}

const VARIABLES: [&str; 5] =
    ["EBPF_LAB_CHECKOUT", "EBPF_LAB_CACHE", "EBPF_LAB_STATE", "EBPF_LAB_BIN", "EBPF_LAB_PROGRAMS"];

impl Paths {
    /// The calling user's folders for a checkout whose Go programs have the content key `programs_key`.
    pub fn of_user(checkout: &Path, programs_key: &str) -> Result<Self> {
        let base = etcetera::choose_base_strategy().context("failed to find the home folder: set HOME")?;
        let cache = base.cache_dir().join("ebpf-lab");
        let state = base.state_dir().unwrap_or_else(|| base.data_dir()).join("ebpf-lab");
        Ok(Self {
            checkout: checkout.to_owned(),
            programs: cache.join("programs").join(programs_key),
            cache,
            state,
            bin: checkout.join("target/release"),
        })
    }

    /// The folders that `xtask` handed on.
    pub fn from_environment() -> Result<Self> {
        let [checkout, cache, state, bin, programs] = VARIABLES.map(|name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .with_context(|| format!("{name} is not set: start with `cargo xtask`"))
        });
        Ok(Self { checkout: checkout?, cache: cache?, state: state?, bin: bin?, programs: programs? })
    }

    /// The variables that hand these folders on.
    pub fn environment(&self) -> [(&'static str, &Path); 5] {
        let values = [&self.checkout, &self.cache, &self.state, &self.bin, &self.programs];
        std::array::from_fn(|i| (VARIABLES[i], values[i].as_path()))
    }

    /// Where the student works; never deleted or overwritten by us.
    pub fn work(&self) -> PathBuf {
        self.checkout.join("work")
    }

    /// Diagnostics and reports.
    pub fn reports(&self) -> PathBuf {
        self.checkout.join("target/lab")
    }

    /// Image archives, by content.
    pub fn images(&self) -> PathBuf {
        self.cache.join("images")
    }

    /// How the nodes of our clusters reach a registry that is not spoken to in the ordinary way, such as one with an authority of
    /// its own: `HOST:PORT/hosts.toml`, as containerd reads it in `certs.d`. The user writes it.
    pub fn registries(&self) -> PathBuf {
        self.state.join("registries")
    }

    /// A kernel for virtual machines, by the name that the pins give it.
    pub fn kernel(&self, name: &str) -> PathBuf {
        self.cache.join("kernels").join(name).join("vmlinuz")
    }

    /// The kubeconfig of a cluster, context `ebpf`: never the user's own file.
    pub fn kubeconfig(&self, cluster: &str) -> PathBuf {
        self.state.join(cluster).join("kubeconfig")
    }
}
