//! A run that was saved, to be shown again where there is neither root nor BPF.
//!
//! A file is [`MAGIC`] and then gzip of: the length of the header (u32), the header as JSON, each probe's object, and frames until
//! the end. Numbers are little-endian. The objects say what the bytes in the frames mean, as they do when a probe runs, so a recording
//! is complete by itself. Files come from other people: everything that is read has a bound.

mod frame;
pub(crate) mod functions;
mod reader;
pub(crate) mod stacks;
mod writer;

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::allowance::Exceeded;
use crate::decode::host::Origin;

pub(crate) use frame::Frame;
pub use reader::Recording;
pub(crate) use writer::{Recorder, create};

/// What a recording begins with; the last byte but one is the format's version.
const MAGIC: &[u8; 8] = b"beerec\x01\n";

/// The most of everything: a header, its probes, one frame, and all that is read, uncompressed. How much of it is kept at once has a bound
/// of its own ([`crate::allowance`]).
const HEADER_LIMIT: usize = 1 << 20;
const PROBES_LIMIT: usize = 64;
const FRAME_LIMIT: usize = 32 << 20;
/// Of a frame in JSON: what a number or a text takes there is a fraction of what it takes here.
const JSON_LIMIT: usize = 1 << 20;
const TEXT_LIMIT: usize = 8 << 20;
const TOTAL_LIMIT: u64 = 4 << 30;

/// What is known before the first event.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) probes: Vec<Probe>,
    pub(crate) most_series: usize,
    /// Where it was made.
    pub(crate) origin: Origin,
    /// Whether it has what programs said with `bpf_printk`.
    #[serde(default)]
    pub(crate) trace_pipe: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Probe {
    pub(crate) name: String,
    /// How it was attached.
    pub(crate) state: String,
    pub(crate) object_size: usize,
    pub(crate) maps: Vec<Map>,
    pub(crate) iterators: Vec<String>,
}

/// What an exported map's definition in the object does not say.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Map {
    pub(crate) name: String,
    /// The field of events that is the value of a gauge or histogram.
    pub(crate) value: String,
    /// How many elements it has room for.
    pub(crate) room: u64,
    /// Whether somebody counts what it loses.
    pub(crate) loss_known: bool,
    /// The bounds of a histogram, as the command line writes them.
    #[serde(default)]
    pub(crate) buckets: Option<String>,
    /// Whether its elements are each CPU's.
    #[serde(default)]
    pub(crate) by_cpu: bool,
}

/// Why a recording can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to open {file}")]
    Open { file: PathBuf, source: io::Error },
    #[error("{0} exists and is not a recording: name another file")]
    Exists(PathBuf),
    #[error("failed to write the recording")]
    Write(#[source] io::Error),
    #[error("{0} is not a recording made by bee")]
    Foreign(PathBuf),
    #[error("it was made by another version of bee (its format is {0}, this one reads 1)")]
    Version(u8),
    #[error("it is cut off")]
    Cut,
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error("it is larger than bee reads ({} GB)", TOTAL_LIMIT >> 30)]
    TooLarge,
    #[error(transparent)]
    TooMuch(#[from] Exceeded),
}

impl Error {
    pub(crate) fn damaged(why: impl ToString) -> Self {
        Self::Damaged(why.to_string())
    }
}
