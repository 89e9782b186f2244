//! OCI images without Docker: what lab's images and bee's probes have in common.
//!
//! Reading order: [`rootfs`] says what lies in an image, [`libraries`] what its program needs there, [`archive`] writes it down,
//! [`layout`] reads it back and verifies it. Each error says what to do next. Registries are crate `oci-registry`'s.

pub mod archive;
pub mod digest;
pub mod files;
pub mod layout;
pub mod libraries;
pub mod rootfs;

mod elf;
mod error;
mod ld_cache;
mod loader;

pub use archive::{Image, Recipe};
pub use error::Error;
