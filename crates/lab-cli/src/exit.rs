//! The exit codes of `cargo xtask` and `lab`, one meaning each, so that scripts need not read messages.

/// Everything asked for was done, every check passed.
pub const OK: u8 = 0;
/// A lab step failed for a reason that no other code names.
pub const FAILED: u8 = 1;
/// The command line was not understood (clap's own code).
pub const USAGE: u8 = 2;
/// A check ran and did not pass.
pub const CHECK_FAILED: u8 = 3;
/// This machine lacks something: a tool, a kernel feature, memory, a free subnet. The message names the fix.
pub const UNFIT: u8 = 4;
/// Another `lab` holds the cluster's lock.
pub const BUSY: u8 = 5;
