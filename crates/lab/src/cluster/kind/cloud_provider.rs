//! Load balancing where the nodes' network is out of this machine's reach (Docker Desktop, as on WSL2): kind's own
//! `cloud-provider-kind`, which the user brings, publishes each Service on a port of this machine.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result};
use lab_cli::engine::{CLOUD_PROVIDER as PROGRAM, out_of_reach};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::engine::Engine;
use crate::{
    caller::{self, OPEN},
    cmd::Cmd,
    error::refusal,
    kubernetes::ServicePort,
};

/// On the containers that it runs.
const CLUSTER_LABEL: &str = "io.x-k8s.cloud-provider-kind.cluster";
const SERVICE_LABEL: &str = "io.x-k8s.cloud-provider-kind.loadbalancer.name";

/// Refuses a machine that needs it and has none.
pub fn refuse_without() -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(PROGRAM).is_file()) {
        return Ok(());
    }
    Err(refusal(out_of_reach()))
}

/// Starts it unless it runs; it outlives us, its words go to a file in `folder`.
pub fn start(folder: &Path) -> Result<()> {
    if running(folder).is_some() {
        return Ok(());
    }
    let path = folder.join(format!("{PROGRAM}.log"));
    caller::write(&path, "", OPEN)?;
    let log = File::options().append(true).open(path).context("failed to make the log of the load balancer")?;
    let errors = log.try_clone().context("failed to make the log of the load balancer")?;
    // Lab 6 needs no Gateway API, whose kinds it would install.
    let command = Cmd::new(PROGRAM).args(["--gateway-channel", "disabled"]).with(|command| {
        command.process_group(0);
    });
    let process = command.spawn(log.into(), Stdio::from(errors))?;
    caller::write(&pid_file(folder), process.id().to_string(), OPEN)
}

/// Ends it, and the containers that it ran for this cluster.
pub fn stop(engine: &Engine, cluster: &str, folder: &Path) -> Result<()> {
    if let Some(pid) = running(folder) {
        kill(Pid::from_raw(pid), Signal::SIGTERM).context("failed to end the load balancer")?;
    }
    let filter = format!("label={CLUSTER_LABEL}={cluster}");
    let containers = engine.command(&["ps", "--all", "--quiet", "--filter", &filter]).read()?;
    for container in containers.split_whitespace() {
        engine.command(&["rm", "--force", container]).run()?;
    }
    for file in [pid_file(folder), folder.join(format!("{PROGRAM}.log"))] {
        // It was never started where there is no such file.
        let _ = fs::remove_file(file);
    }
    Ok(())
}

/// Where this machine reaches a Service.
pub fn address(engine: &Engine, cluster: &str, port: &ServicePort) -> Result<String> {
    let filter = format!("label={SERVICE_LABEL}={cluster}/{}/{}", port.namespace, port.service);
    let container = engine.command(&["ps", "--quiet", "--filter", &filter]).read()?;
    let container =
        container.lines().next().with_context(|| format!("{PROGRAM} does not serve service {} yet", port.service))?;
    let published = engine.command(&["port", container, &format!("{}/tcp", port.port)]).read()?;
    let number = published.lines().find_map(|line| line.rsplit(':').next()?.parse::<u16>().ok());
    let number = number.with_context(|| format!("port {} of service {} is not published", port.port, port.service))?;
    Ok(format!("http://127.0.0.1:{number}"))
}

/// Its process, if the one that we started lives.
fn running(folder: &Path) -> Option<i32> {
    let pid = fs::read_to_string(pid_file(folder)).ok()?.trim().parse().ok()?;
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    String::from_utf8_lossy(&line).contains(PROGRAM).then_some(pid)
}

fn pid_file(folder: &Path) -> PathBuf {
    folder.join(format!("{PROGRAM}.pid"))
}
