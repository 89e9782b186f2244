//! Lab 1, BumbleBee: two probes are built, stored and run in this machine's kernel.

use super::Lab;
use crate::{
    check::probe,
    outcome::Outcome,
    steps::Step,
    student::{self, PROBE, Probe, TCPCONNECT},
    workshop::Workshop,
};

pub fn lab(_workshop: &Workshop) -> Lab {
    let mut steps: Vec<_> = [PROBE, TCPCONNECT].into_iter().flat_map(|probe| [copy(probe), build(probe)]).collect();
    steps.push(list());
    let checks = vec![probe::prints_connections(PROBE), probe::counts_connections(TCPCONNECT)];
    Lab { number: 1, title: "BumbleBee: eBPF probes in this machine's kernel", steps, checks, undo: vec![] }
}

fn copy(probe: Probe) -> Step {
    let shell = format!("cp --update=none probes/{} work/{}", probe.source, probe.file);
    Step::new(format!("copy {} to work/", probe.file), shell, move |workshop, live| {
        Box::pin(async move { student::copy(workshop, probe, live) })
    })
}

fn build(probe: Probe) -> Step {
    let shell = format!("cd work && bee build {} {}", probe.file, probe.image);
    Step::new(format!("build {} and store it as {}", probe.file, probe.image), shell, move |workshop, _| {
        Box::pin(async move { student::build(workshop, probe) })
    })
}

fn list() -> Step {
    Step::new("list the stored probes", "bee list", |workshop, live| {
        Box::pin(async move {
            let list = student::bee(workshop).arg("list").read()?;
            list.lines().for_each(|line| live.say(&format!("      {line}")));
            Ok(Outcome::Unchanged)
        })
    })
}
