//! One kind of error: what went wrong, why, and the next step for the reader.

use std::fmt;

/// What went wrong; its sources say why.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    what: String,
    hint: Option<String>,
    #[source]
    why: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// Something that the reader can fix, and how.
    pub fn fixable(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: Some(hint.into()), why: None }
    }

    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None, why: None }
    }

    /// For `map_err`: what was tried when something else failed.
    pub fn at<E: Into<Box<dyn std::error::Error + Send + Sync>>>(what: impl fmt::Display) -> impl FnOnce(E) -> Self {
        let what = what.to_string();
        move |why| Self { what, hint: None, why: Some(why.into()) }
    }

    /// The next step, where there is one.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}
