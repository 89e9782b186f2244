//! OCI images without Docker: what lab's images and bee's probes have in common.
//!
//! Reading order: [`rootfs`] says what lies in an image, [`libraries`] what its program needs there, [`archive`] writes it down,
//! [`layout`] reads it back and verifies it; [`client`] speaks to a registry as whoever [`credentials`] finds. Each error says
//! what to do next.

pub mod archive;
pub mod client;
pub mod credentials;
pub mod digest;
pub mod layout;
pub mod libraries;
pub mod rootfs;

mod elf;
mod error;
mod ld_cache;
mod loader;
mod manifest;
mod refusal;

pub use archive::{Image, Recipe};
pub use error::Error;
