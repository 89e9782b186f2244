//! From a probe's C source to a small, reproducible BPF object.

pub mod vmlinux;
