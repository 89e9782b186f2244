//! What steps and checks get, as far as driving them goes.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use lab_cli::{Obstacle, Options, Paths};

use crate::labs::Lab;

/// One run of the workshop.
pub trait Workshop: Clone + Send + Sync + 'static {
    fn paths(&self) -> &Paths;

    fn options(&self) -> &Options;

    /// The lab of this number, 1 to 6.
    fn lab(&self, number: u8) -> Lab<Self>;

    /// How long a lab waits for its conditions before it calls them failed.
    fn patience(&self) -> Duration;

    /// What no waiting fixes: a part of the cluster that keeps ending.
    fn ails(&self) -> Option<Obstacle>;

    /// Writes down what a failed lab leaves for whoever has to find out why; answers the folder.
    fn diagnostics(&self, lab: u8) -> impl Future<Output = Result<PathBuf>> + Send;
}
