//! Why an object can't be used.

use crate::allowance::Exceeded;
use crate::decode::btf::BtfError;

/// What is wrong with a probe's object.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not an ELF file: expected an object from `bee build` or `clang -target bpf`")]
    NotElf,
    #[error("an ELF file, but not for BPF (machine {0}): compile it with `clang -target bpf`")]
    NotBpf(u16),
    #[error(
        "it is for machines of the other byte order (bpfeb, big-endian): compile it with `clang -target bpfel`, or `-target bpf` on a \
         machine like this"
    )]
    ByteOrder,
    #[error("it is cut off or damaged: {0} lies outside the file")]
    Truncated(&'static str),
    #[error("it is longer than {} MiB", crate::object::SIZE_LIMIT >> 20)]
    TooLong,
    #[error(
        "it has more sections, functions or relocations than a probe, or more than {} maps, or they overlap",
        crate::object::MAPS_LIMIT
    )]
    TooMany,
    #[error(transparent)]
    TooLarge(#[from] Exceeded),
    #[error("it has no type information (.BTF): compile it with `-g`")]
    NoBtf,
    #[error("its type information is damaged: {0}")]
    Btf(#[from] BtfError),
    #[error("invalid section {0}: expected .maps.print, .maps.counter, .maps.gauge or .maps.hist")]
    Section(String),
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Maps(Vec<BadMap>),
}

/// A map that can't be exported.
#[derive(Debug, thiserror::Error)]
#[error("map {map} can't be exported: {why}")]
pub struct BadMap {
    pub map: String,
    pub why: String,
}
