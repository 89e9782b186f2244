//! Which cargo builds.

use std::ffi::OsString;

/// The cargo that started us, or the one on `PATH`.
pub fn program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
