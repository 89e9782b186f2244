//! Lab 1, BumbleBee: two probes are built, stored and run in this machine's kernel.

use crate::{
    labs::Lab,
    outcome::Outcome,
    probe,
    steps::Step,
    student::{self, PROBE, Probe, TCPCONNECT},
    workshop::Workshop,
};

pub fn lab<W: Workshop>() -> Lab<W> {
    let mut steps: Vec<_> = [PROBE, TCPCONNECT].into_iter().flat_map(|probe| [copy(probe), build(probe)]).collect();
    steps.push(list());
    let checks = vec![probe::prints_connections(PROBE), probe::counts_connections(TCPCONNECT)];
    Lab { number: 1, title: "BumbleBee: eBPF probes in this machine's kernel", steps, checks, undo: vec![] }
}

fn copy<W: Workshop>(probe: Probe) -> Step<W> {
    let shell = format!("cp --update=none probes/{} work/{}", probe.source, probe.file);
    Step::new(format!("copy {} to work/", probe.file), shell, move |workshop: &W, live| {
        Box::pin(async move { student::copy(workshop.paths(), probe, live) })
    })
}

fn build<W: Workshop>(probe: Probe) -> Step<W> {
    let shell = format!("cd work && bee build {} {}", probe.file, probe.image);
    Step::new(format!("build {} and store it as {}", probe.file, probe.image), shell, move |workshop: &W, _| {
        Box::pin(async move { student::build(workshop.paths(), probe) })
    })
}

fn list<W: Workshop>() -> Step<W> {
    Step::new("list the stored probes", "bee list", |workshop: &W, live| {
        Box::pin(async move {
            let list = student::bee(workshop.paths()).arg("list").read()?;
            list.lines().for_each(|line| live.say(&format!("      {line}")));
            Ok(Outcome::Unchanged)
        })
    })
}
