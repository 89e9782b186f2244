//! What can be wrong with the store, and how to fix it.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;

use crate::store::Reference;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{reference} is neither a file here nor a probe in the store {store}", store = store.display())]
    Unknown { reference: Reference, store: PathBuf },

    #[error("{reference} is damaged in the store")]
    Damaged {
        reference: String,
        #[source]
        why: Damage,
    },

    #[error("{reference} is incomplete: {lacking} is missing")]
    Incomplete { reference: Reference, lacking: String },

    #[error("{reference} is for {platforms}, not for this machine's architecture")]
    OtherProcessor { reference: Reference, platforms: String },

    #[error("the store {store} is full: too many probes", store = store.display())]
    Full { store: PathBuf },

    #[error("the image lists no platform")]
    Empty,

    #[error("the store's list of probes, {path}, is damaged", path = path.display())]
    Index {
        path: PathBuf,
        #[source]
        why: Damage,
    },

    #[error("failed to write to the store: {path}", path = path.display())]
    Write {
        path: PathBuf,
        #[source]
        why: io::Error,
    },

    #[error("failed to build the OCI manifest")]
    Description(#[from] oci_spec::OciSpecError),

    #[error("failed to build the OCI manifest")]
    Document(#[source] oci::Error),
}

/// What is wrong with something read from the store.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {detail}")]
pub struct Damage {
    what: &'static str,
    detail: String,
}

impl Damage {
    pub(super) fn new(what: &'static str, detail: impl Display) -> Self {
        Self { what, detail: detail.to_string() }
    }
}

impl Error {
    pub(super) fn damaged(reference: &Reference, why: Damage) -> Self {
        Self::Damaged { reference: reference.to_string(), why }
    }

    /// The next step, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => {
                Some("`bee list` shows what the store has; `bee build SOURCE REF` adds to it".to_owned())
            }
            Self::Damaged { reference, .. } if reference.contains('@') => {
                Some(format!("fetch it again: `bee rm {reference}`, then `bee pull {reference}`"))
            }
            Self::Damaged { reference, .. } => {
                Some(format!("build it again, which replaces it: `bee build SOURCE {reference}`"))
            }
            Self::Index { path, .. } => Some(format!(
                "move it away, `mv {path} {path}.damaged`, and build your probes again",
                path = path.display()
            )),
            Self::Write { why, .. } if why.kind() == io::ErrorKind::StorageFull => {
                Some("make room, `bee rm` removes probes; or take another folder with `--storage FOLDER`".to_owned())
            }
            Self::Write { .. } => Some("another folder is taken with `--storage FOLDER`".to_owned()),
            Self::Incomplete { reference, .. } => {
                Some(format!("fetch the rest: `bee pull --all-platforms {reference}`"))
            }
            Self::OtherProcessor { reference, .. } => Some(format!(
                "fetch it, if it is there for this one too: `bee pull {reference}`; or build it: `bee build SOURCE {reference}`"
            )),
            Self::Full { .. } => Some("`bee rm` removes some".to_owned()),
            Self::Empty | Self::Description(_) | Self::Document(_) => None,
        }
    }
}
