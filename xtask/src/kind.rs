//! The container engine and kind, as this machine has them: for the choice of a cluster, for doctor, and to bring kind.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use interface::{
    Paths, Version,
    engine::{self, Engine, Obstacle, Said},
    network::Network,
    pins,
};
use xshell::{Shell, cmd};

use crate::{progress::Line, tools};

/// Where `--install` puts kind: in the cache, so that neither root nor the user's PATH is needed.
pub fn folder(paths: &Paths) -> PathBuf {
    paths.cache.join("tools")
}

/// PATH for our programs: what `--install` brought stands first.
pub fn search_path(paths: &Paths) -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder(paths)).filter(|folder| folder.is_dir());
    env::join_paths(folders.chain(env::split_paths(&path))).unwrap_or(path)
}

/// Starts programs where our own would find them.
#[derive(Clone)]
pub struct Machine {
    path: OsString,
}

impl Machine {
    pub fn new(paths: &Paths) -> Self {
        Self { path: search_path(paths) }
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

/// Sees that kind is there; with `install`, Go compiles the pinned one, as kind's own manual has it.
pub fn ensure(paths: &Paths, install: bool) -> Result<()> {
    let Err(obstacle) = Machine::new(paths).kind() else { return Ok(()) };
    if !install {
        return Err(tools::Missing::new(obstacle.what, obstacle.mending).into());
    }
    let version = pins::pins()?.tools.kind.install.context("the pins name no kind to install")?;
    let folder = folder(paths);
    let line = Line::new(&format!("installing kind {version} (Go; half a minute)"));
    go_install(&folder, &format!("sigs.k8s.io/kind@v{version}"))?;
    drop(line);
    match Machine::new(paths).kind() {
        Ok(_) => Ok(()),
        Err(obstacle) => bail!("kind was installed in {}, but {}", folder.display(), obstacle.what),
    }
}

fn go_install(folder: &Path, module: &str) -> Result<()> {
    let shell = Shell::new()?;
    shell.create_dir(folder)?;
    let _elsewhere = shell.push_dir(folder);
    let install = cmd!(shell, "go install {module}").env("GOBIN", folder).env("GOFLAGS", "-buildvcs=false");
    let output = install.quiet().ignore_status().output().context("start go")?;
    if !output.status.success() {
        bail!("`go install {module}` failed\n{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}
