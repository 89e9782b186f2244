//! OCI registries: [`client`] speaks to one as whoever [`credentials`] finds. Each error says what to do next.
//!
//! It is a crate apart from `oci` because of what it takes to compile: TLS, HTTP and internet names.

pub mod client;
pub mod credentials;

mod manifest;
mod refusal;
