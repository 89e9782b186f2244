//! OCI images made here, without Docker and without a base image.

use std::path::PathBuf;

/// An image archive on this machine.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its name in a cluster, such as `localhost/ebpf-lab/bee:lab`.
    pub reference: String,
    /// `sha256:…` of its manifest.
    pub digest: String,
    /// The archive: OCI layout and docker-archive in one tar, as `ctr images import`, `docker load` and `kind load` take it.
    pub archive: PathBuf,
}
