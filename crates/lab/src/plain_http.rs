//! A client for what the labs themselves serve: plain HTTP at addresses of this machine and of the cluster.

use anyhow::{Context, Result};

/// Names reqwest's cryptography, of which it wants to know even where nothing is encrypted.
pub fn use_ring() {
    // An error says that it knows already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The addresses are never a proxy's to reach, and no certificate is read for them.
pub fn client() -> Result<reqwest::Client> {
    use_ring();
    reqwest::Client::builder().no_proxy().tls_certs_only(None).build().context("failed to set up the HTTP client")
}
