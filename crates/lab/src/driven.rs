//! The workshop as crate `lab-engine` drives it.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use lab_cli::{Obstacle, Options, Paths};

use crate::{
    diagnostics,
    labs::{self, Lab},
    workshop::Workshop,
};

impl lab_engine::workshop::Workshop for Workshop {
    fn paths(&self) -> &Paths {
        &self.paths
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn lab(&self, number: u8) -> Lab {
        labs::lab(number, self)
    }

    fn patience(&self) -> Duration {
        self.profile.patience()
    }

    fn ails(&self) -> Option<Obstacle> {
        self.cluster.ails()
    }

    async fn diagnostics(&self, lab: u8) -> Result<PathBuf> {
        diagnostics::collect(self, lab).await
    }
}
