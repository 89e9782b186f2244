//! Maps as time series: events added up by key, elements read when somebody asks, whether they live in the kernel or in a recording.

pub(crate) mod cardinality;
pub(crate) mod hash_histogram;
pub(crate) mod losses;
pub mod map;
pub(crate) mod series;
mod shown;
pub(crate) mod source;
pub(crate) mod state;
