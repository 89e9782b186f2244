//! The container engine and kind, as this machine has them: for the choice of a cluster, for doctor, and to bring kind.

use std::{env, ffi::OsString, path::PathBuf, process::Command};

use anyhow::Result;
use interface::{
    Paths, Version,
    engine::{self, Engine, Obstacle, Said},
    network::Network,
    pins,
};

use crate::go_tools;

/// Starts programs where our own would find them.
#[derive(Clone)]
pub struct Machine {
    path: OsString,
}

impl Machine {
    pub fn new(paths: &Paths) -> Self {
        // Without the pins there is nothing of ours to stand first.
        Self { path: go_tools::path(paths).or_else(|_| env::var_os("PATH").ok_or(())).unwrap_or_default() }
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Option<Said> {
        let file = find(&self.path, program)?;
        let output = Command::new(file).args(arguments).env("PATH", &self.path).output().ok()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(Said { ok: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }

    pub fn engine(&self) -> Result<Engine, Obstacle> {
        Engine::find(&|program, arguments| self.run(program, arguments))
    }

    pub fn kind(&self) -> Result<Version, Obstacle> {
        engine::kind(&|program, arguments| self.run(program, arguments))
    }

    /// The network of kind's nodes, if a cluster was ever made.
    pub fn network(&self, engine: &Engine) -> Option<Network> {
        let said = self.run(engine.program.command(), &["network", "inspect", "kind"])?;
        said.ok.then(|| Network::read(&said.stdout).ok()).flatten()
    }

    /// Whether this machine reaches the nodes' addresses, or has what makes up for it.
    pub fn reach(&self, engine: &Engine) -> Result<&'static str, Obstacle> {
        if engine.local {
            return Ok("its containers are in this machine's reach; MetalLB gives out addresses");
        }
        let provider = engine::CLOUD_PROVIDER;
        find(&self.path, provider).map_or_else(|| Err(engine::out_of_reach()), |_| Ok("through cloud-provider-kind"))
    }

    /// What the labs would run on with `--on kind`.
    ///
    /// # Errors
    /// The first thing that is in the way.
    pub fn fit(&self) -> Result<(Engine, Version), Obstacle> {
        let engine = self.engine()?;
        if let Some(obstacle) = engine.obstacle().or_else(|| engine.withholds_bpf()) {
            return Err(obstacle);
        }
        self.reach(&engine)?;
        Ok((engine, self.kind()?))
    }
}

fn find(path: &OsString, program: &str) -> Option<PathBuf> {
    env::split_paths(path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Whether there is a kind that will do.
pub fn found(paths: &Paths) -> Result<(), String> {
    Machine::new(paths).kind().map(drop).map_err(|obstacle| obstacle.what)
}

/// Builds the pinned version.
pub fn build(paths: &Paths) -> Result<()> {
    go_tools::build(paths, "kind", &pins::pins()?.tools.kind, "", "-s -w")
}
