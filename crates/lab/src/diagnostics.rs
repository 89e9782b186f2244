//! What a failed lab leaves for whoever has to find out why: events, objects, logs, component logs; beside what `lab-engine` writes.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, LogParams},
};
use lab_cli::patience::stretched;

use crate::{
    caller::{self, OPEN},
    error::message,
    labs::monitoring,
    wait,
    workshop::Workshop,
};

/// A cluster that is broken may not answer: what it has said by then is what there is.
const PATIENCE: Duration = Duration::from_secs(20);
const REQUEST: Duration = Duration::from_secs(5);
const NAMESPACES: [&str; 4] = ["default", "prometheus", "metallb-system", "kube-system"];
const LOG_LINES: i64 = 500;

/// Writes everything into a new folder and answers it.
pub async fn collect(workshop: &Workshop, lab: u8) -> Result<PathBuf> {
    let folder = lab_engine::diagnostics::begin(&workshop.paths, workshop.cluster.name(), lab)?;
    if lab > 1 {
        let components = folder.join("components");
        caller::folder(&components)?;
        // Each part is worth having without the others.
        let _ = workshop.cluster.diagnostics(&components).await;
        match workshop.client().await {
            Ok(client) => {
                let _ = tokio::task::block_in_place(|| monitoring::diagnostics(workshop, &folder));
                let _ = wait::within(PATIENCE, cluster(workshop, &client, &folder)).await;
            }
            // Each question would be waited for in vain.
            Err(error) => caller::write(&folder.join("events.txt"), message(&error), OPEN)?,
        }
    }
    Ok(folder)
}

async fn cluster(workshop: &Workshop, client: &Client, folder: &Path) -> Result<()> {
    let kubectl = |arguments: &[&str]| {
        let longest = format!("--request-timeout={}s", stretched(REQUEST).as_secs());
        workshop.kubectl().args(arguments).args(["--context", workshop.cluster.context(), &longest])
    };
    let reports: [(&str, &[&str]); 5] = [
        ("events.txt", &["get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"]),
        ("pods.txt", &["get", "pods", "--all-namespaces", "--output=wide"]),
        ("nodes.txt", &["describe", "nodes"]),
        (
            "workloads.yaml",
            &["get", "deployments,daemonsets,statefulsets,services", "--all-namespaces", "--output=yaml"],
        ),
        ("describe.txt", &["describe", "pods", "--all-namespaces"]),
    ];
    for (file, arguments) in reports {
        // It ends with this, if it takes too long.
        let text = kubectl(arguments).follow(|_| {}).await.unwrap_or_else(|error| error.to_string());
        caller::write(&folder.join(file), text, OPEN)?;
    }
    for namespace in NAMESPACES {
        logs(client, namespace, folder).await?;
    }
    Ok(())
}

/// The last lines of every container, and of the one before it if it was restarted.
async fn logs(client: &Client, namespace: &str, folder: &Path) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    for pod in pods.list(&ListParams::default()).await? {
        let name = pod.name_any();
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        for container in containers {
            for previous in [false, true] {
                let params = LogParams {
                    container: Some(container.name.clone()),
                    previous,
                    tail_lines: Some(LOG_LINES),
                    ..LogParams::default()
                };
                // A container that has not started, or was never restarted, has no log.
                if let Ok(text) = pods.logs(&name, &params).await {
                    let suffix = if previous { "previous.log" } else { "log" };
                    let file = folder.join(format!("{namespace}-{name}-{}.{suffix}", container.name));
                    caller::write(&file, text, OPEN)?;
                }
            }
        }
    }
    Ok(())
}
