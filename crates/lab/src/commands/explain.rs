//! `--explain`: what a command does, as a person would type it. Nothing runs.

use std::path::Path;

use anyhow::Result;
use clikit::print;
use lab_cli::{Command, cli::ImagesAction};

use crate::{cmd, labs, labs::steps::Step, run, workshop::Workshop};

pub fn run(workshop: &Workshop, command: &Command) -> Result<()> {
    match command {
        Command::Lab { labs, rm } => {
            run::explain(workshop, *labs)?;
            if *rm { removal(workshop) } else { Ok(()) }
        }
        Command::Check { labs, .. } => run::explain(workshop, *labs),
        Command::Clean | Command::Reset { lab: 2 } => removal(workshop),
        Command::Reset { lab: 1 } => lines("# the unchanged probes of lab 1 go\nrm work/probe.c work/tcpconnect.c"),
        Command::Reset { lab } => steps(&labs::lab(*lab, workshop).undo),
        other => lines(&shell(workshop, other)),
    }
}

fn removal(workshop: &Workshop) -> Result<()> {
    if !workshop.cluster.ours() {
        (3..=6).rev().try_for_each(|number| steps(&labs::lab(number, workshop).undo))?;
    }
    lines(&workshop.cluster.down_in_shell())
}

fn steps(steps: &[Step]) -> Result<()> {
    steps.iter().try_for_each(|step| lines(&format!("# {}\n{}\n", step.title, step.shell)))
}

fn lines(text: &str) -> Result<()> {
    Ok(print::lines(text)?)
}

/// The commands that are one line.
fn shell(workshop: &Workshop, command: &Command) -> String {
    let quoted = |path: &Path| cmd::line([path]);
    let kubeconfig = quoted(&workshop.cluster.kubeconfig());
    match command {
        Command::Status => "kubectl get nodes,pods --all-namespaces".to_owned(),
        Command::Images { action: Some(ImagesAction::Load) } => {
            "ctr --namespace k8s.io images import ARCHIVE    # each archive, on each node".to_owned()
        }
        Command::Images { action: Some(ImagesAction::Save { folder }) } => {
            format!("cp {}/*.tar {}", quoted(&workshop.paths.images()), quoted(folder))
        }
        Command::Images { action: Some(ImagesAction::Push(options)) } => {
            let named = options.to.as_ref().or(workshop.options.registry.as_ref());
            let registry = named.map_or_else(|| "HOST:PORT".to_owned(), ToString::to_string);
            format!("skopeo copy oci-archive:ARCHIVE docker://{registry}/ebpf-lab/NAME:lab    # each archive")
        }
        Command::Images { action: None } => "ctr --namespace k8s.io images list".to_owned(),
        Command::Kubeconfig => format!("echo {kubeconfig}"),
        Command::Kubectl { args } => format!("KUBECONFIG={kubeconfig} kubectl {}", cmd::line(args)),
        Command::Shell => format!("KUBECONFIG={kubeconfig} PATH={}:$PATH bash", quoted(&workshop.paths.bin)),
        Command::Traffic => labs::traffic_in_shell(workshop),
        Command::Query { promql } => format!(
            "curl --get --data-urlencode {} http://localhost:9090/api/v1/query    # behind `kubectl port-forward --namespace \
             prometheus service/prom-kube-prometheus-stack-prometheus 9090`",
            cmd::line([format!("query={promql}")])
        ),
        Command::Open { .. } => "kubectl port-forward service/kebpf 8080:80".to_owned(),
        _ => "# nothing runs on the cluster".to_owned(),
    }
}
