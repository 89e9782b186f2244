//! How a running probe is shown: a live table for a person, JSON lines for a program.

pub mod json;
pub mod terminal;
