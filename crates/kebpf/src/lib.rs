//! kebpf joins what the probes counted with what Kubernetes knows, so that a table of addresses becomes a live graph
//! of which services talk to each other.
//!
//! In reading order: [`edges`] asks Prometheus, at an [`endpoint`], who connected to whom, [`cluster`] watches the [`objects`] of Kubernetes,
//! [`identity`] turns them into "who stands behind this address" (with [`owners`] for the owner chain and [`ranges`]
//! for the cluster's own addresses), [`memory`] keeps those who left a moment ago, [`graph`] joins both, [`live`] does so
//! again whenever something changed, and [`api`] gives the outcome to whoever asks by one of its [`hosts`]' names, in bounded
//! [`slots`], over a [`server`] that nobody can hold up.

pub mod api;
pub mod cluster;
pub mod edges;
pub mod endpoint;
pub mod graph;
pub mod hosts;
pub mod identity;
pub mod live;
pub mod memory;
pub mod objects;
pub mod owners;
pub mod ranges;
pub mod server;
pub mod slots;
