//! What must hold on every cluster of ours, wherever it runs.

pub mod broken;
pub mod labs;
