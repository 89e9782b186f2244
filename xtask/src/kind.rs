//! The container engine and kind, as this machine has them: for the choice of a cluster, for doctor, and to bring kind.

use anyhow::Result;
use lab_cli::{
    Machine, Obstacle, Paths, Version,
    engine::{self, Engine},
    network::Network,
    pins,
};

use crate::{go_tools, machine::ThisMachine};

/// The network of kind's nodes, if a cluster was ever made.
pub fn network(machine: &dyn Machine, engine: &Engine) -> Option<Network> {
    let text = machine.output(engine.program.command(), &["network", "inspect", "kind"])?;
    Network::read(&text).ok()
}

/// Whether a machine reaches the nodes' addresses, or has what makes up for it.
pub fn reach(machine: &dyn Machine, engine: &Engine) -> Result<&'static str, Obstacle> {
    match (engine.local, machine.has(engine::CLOUD_PROVIDER)) {
        (true, _) => Ok("its containers are in this machine's reach; MetalLB gives out addresses"),
        (false, true) => Ok("through cloud-provider-kind"),
        (false, false) => Err(engine::out_of_reach()),
    }
}

/// What the labs would run on with `--on kind`.
///
/// # Errors
/// The first thing that is in the way.
pub fn fit(machine: &dyn Machine) -> Result<(Engine, Version), Obstacle> {
    let engine = Engine::find(machine)?;
    if let Some(obstacle) = engine.obstacle().or_else(|| engine.withholds_bpf()) {
        return Err(obstacle);
    }
    reach(machine, &engine)?;
    Ok((engine, engine::kind(machine)?))
}

/// Whether there is a kind that will do.
pub fn found(paths: &Paths) -> Result<(), String> {
    engine::kind(&ThisMachine::new(paths)).map(drop).map_err(|obstacle| obstacle.what)
}

/// Builds the pinned version.
pub fn build(paths: &Paths) -> Result<()> {
    go_tools::build(paths, "kind", &pins::pins()?.tools.kind, "", "-s -w")
}
