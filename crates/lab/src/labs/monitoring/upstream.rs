//! kube-prometheus-stack by Helm, with Grafana and a dashboard of the probe's metrics.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use kube::api::DynamicObject;
use lab_cli::pins::Pins;
use serde_json::json;

use super::{
    Monitoring, NAMESPACE, WORKLOADS,
    helm::{self, Helm, RELEASE},
    kinds, make_namespace,
};
use crate::{
    caller::{self, OPEN},
    error::unfit,
    kubernetes::{apply::Applier, rollout::Workload},
    labs::steps::{self, Step},
    live::Live,
    outcome::Outcome,
    wait::{self, NotYet},
    workshop::Workshop,
};

const DASHBOARD: &str = "manifests/lab3/dashboard.json";
const GRAFANA: Workload = Workload::deployment(NAMESPACE, "prom-grafana");
/// Another helm may be at work for so long before we take it for dead.
const OTHER_HELM: Duration = Duration::from_secs(10);

/// How to get at Grafana; the chart makes a password that nobody knows.
const GRAFANA_ACCESS: &str = "      Grafana: `cargo xtask kubectl port-forward --namespace prometheus service/prom-grafana 3000:80`, then \
     http://localhost:3000, user admin;\n      its password: `cargo xtask kubectl get secret prom-grafana --namespace prometheus \
     --output 'jsonpath={.data.admin-password}' | base64 --decode`";

/// Lab 3 of the upstream profile.
pub fn monitoring(pins: &Pins) -> Monitoring {
    let (look_at, install_from, uninstall_by) = (pins.clone(), pins.clone(), pins.clone());
    let steps = vec![
        Step::new("see that helm will do", "helm version --short", move |workshop, _| {
            let pins = look_at.clone();
            Box::pin(async move { look(workshop, &pins) })
        }),
        make_namespace(),
        Step::new("install kube-prometheus-stack", install_in_shell(pins), move |workshop, live| {
            let pins = install_from.clone();
            Box::pin(async move { install(workshop, &pins, live).await })
        }),
        Step::new("give Grafana a dashboard of the probe's metrics", DASHBOARD_IN_SHELL, |workshop, live| {
            Box::pin(async move { steps::apply_objects(workshop, live, vec![dashboard(workshop)?]).await })
        }),
    ];
    let undo = vec![
        Step::new("remove the dashboard", DASHBOARD_AWAY, |workshop, live| {
            Box::pin(async move { delete(workshop, live, dashboard(workshop)?).await })
        }),
        Step::new("uninstall kube-prometheus-stack", UNINSTALL, move |workshop, live| {
            let pins = uninstall_by.clone();
            Box::pin(async move { uninstall(workshop, &pins, live).await })
        }),
        Step::new("remove the namespace", format!("kubectl delete namespace {NAMESPACE}"), |workshop, live| {
            Box::pin(async move { remove_namespace(workshop, live).await })
        }),
        kinds::remove(),
    ];
    let workloads = WORKLOADS.into_iter().chain([GRAFANA]).collect();
    Monitoring { title: "Prometheus and Grafana, by kube-prometheus-stack", steps, workloads, undo }
}

/// Writes into a directory what helm knows of a release that failed.
pub fn diagnostics(workshop: &Workshop, into: &Path) -> Result<()> {
    let helm = Helm::new(workshop, &workshop.pins);
    let folder = into.join("helm");
    caller::folder(&folder)?;
    let questions: [(&str, &[&str]); 3] = [
        ("history.txt", &["history"]),
        // With what the chart fills in for everything that our file leaves open.
        ("values.yaml", &["get", "values", "--all"]),
        ("manifest.yaml", &["get", "manifest"]),
    ];
    for (file, words) in questions {
        let text = helm.ask(words).read().unwrap_or_else(|error| error.to_string());
        caller::write(&folder.join(file), without_secrets(&text), OPEN)?;
    }
    Ok(())
}

fn install_in_shell(pins: &Pins) -> String {
    let chart = &pins.chart;
    format!(
        "helm upgrade --install {RELEASE} {} --repo {} --version {} --namespace {NAMESPACE} --values {}",
        chart.name,
        chart.repository,
        chart.version,
        helm::VALUES
    )
}

const DASHBOARD_IN_SHELL: &str = "kubectl create configmap bumblebee-dashboard --namespace prometheus --from-file manifests/lab3/dashboard.json\n\
    kubectl label configmap bumblebee-dashboard --namespace prometheus grafana_dashboard=1";
const DASHBOARD_AWAY: &str = "kubectl delete configmap bumblebee-dashboard --namespace prometheus";
const UNINSTALL: &str = "helm uninstall prom --namespace prometheus";

fn look(workshop: &Workshop, pins: &Pins) -> Result<Outcome> {
    tokio::task::block_in_place(|| Helm::new(workshop, pins).look())?;
    Ok(Outcome::Unchanged)
}

async fn install(workshop: &Workshop, pins: &Pins, live: &Live) -> Result<Outcome> {
    let (client, helm) = (workshop.client().await?, Helm::new(workshop, pins));
    let digest = helm.digest()?;
    if let Some(release) = settled(&client, live).await? {
        let ours = workshop.cluster.ours() || release.digest.is_some();
        if !ours {
            return Err(foreign(&release.status));
        }
        let same = release.status == "deployed" && release.digest.as_ref() == Some(&digest);
        if same && is_ready(&client).await {
            return Ok(Outcome::Unchanged);
        }
        if release.is_pending() {
            helm::forget(&client, &release).await?;
        } else if release.status == "uninstalling" {
            helm::run(helm.uninstall()).await?;
        }
    }
    live.waiting("helm fetches the chart and installs it");
    // Helm 3 leaves kinds alone that are there, Helm 4 refuses those that somebody else made.
    let skip: &[&str] = if kinds::are_there(&client).await? { &["--skip-crds"] } else { &[] };
    helm::run(helm.upgrade(&digest).args(skip)).await?;
    live.say(GRAFANA_ACCESS);
    Ok(Outcome::Changed)
}

/// The release, once no other helm is at work on it, or does not seem to be any more.
async fn settled(client: &kube::Client, live: &Live) -> Result<Option<helm::Release>> {
    let settled = wait::poll("another helm that is at work on release prom", OTHER_HELM, live, || async {
        match helm::release(client).await {
            Ok(Some(release)) if release.is_pending() => {
                Err(NotYet::Because(format!("the release is {}", release.status)))
            }
            Ok(release) => Ok(release),
            Err(error) => Err(NotYet::Never(error)),
        }
    });
    match settled.await {
        Ok(release) => Ok(release),
        Err(_) => helm::release(client).await,
    }
}

fn foreign(status: &str) -> anyhow::Error {
    unfit(
        format!("release {RELEASE} is in namespace {NAMESPACE} already, {status}, and not ours"),
        "nothing was taken over: if it is a kube-prometheus-stack, labs 4 to 6 may do with it (`cargo xtask check 3` tells); \
         else `helm uninstall prom --namespace prometheus` makes room",
    )
}

async fn is_ready(client: &kube::Client) -> bool {
    for workload in WORKLOADS.iter().chain([&GRAFANA]) {
        if workload.ready(client, 3).await.is_err() {
            return false;
        }
    }
    true
}

async fn uninstall(workshop: &Workshop, pins: &Pins, live: &Live) -> Result<Outcome> {
    let client = workshop.client().await?;
    let Some(release) = settled(&client, live).await? else { return Ok(Outcome::Unchanged) };
    if !workshop.cluster.ours() && release.digest.is_none() {
        return Ok(Outcome::Unchanged);
    }
    helm::run(Helm::new(workshop, pins).uninstall()).await?;
    Ok(Outcome::Changed)
}

/// Not with somebody else's release in it, even if the namespace is ours.
async fn remove_namespace(workshop: &Workshop, live: &Live) -> Result<Outcome> {
    if helm::release(&workshop.client().await?).await?.is_some() {
        return Ok(Outcome::Unchanged);
    }
    delete(workshop, live, namespace()?).await
}

async fn delete(workshop: &Workshop, live: &Live, object: DynamicObject) -> Result<Outcome> {
    Applier::new(workshop.client().await?, workshop.cluster.ours(), live).delete(vec![object]).await
}

fn namespace() -> Result<DynamicObject> {
    let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
    serde_json::from_value(object).context("failed to name the namespace")
}

/// Grafana's sidecar takes every ConfigMap with this label for a dashboard.
fn dashboard(workshop: &Workshop) -> Result<DynamicObject> {
    let text = fs::read_to_string(workshop.paths.checkout.join(DASHBOARD)).context("failed to read the dashboard")?;
    let object = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "bumblebee-dashboard", "namespace": NAMESPACE, "labels": { "grafana_dashboard": "1" } },
        "data": { "bumblebee.json": text },
    });
    serde_json::from_value(object).context("failed to make a ConfigMap of the dashboard")
}

/// A manifest without its Secrets: diagnostics are sent to people.
fn without_secrets(manifest: &str) -> String {
    let documents = manifest.split("\n---\n");
    let open = documents.filter(|document| !document.lines().any(|line| line.trim_end() == "kind: Secret"));
    open.collect::<Vec<_>>().join("\n---\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagnostics_hold_no_secrets() {
        let manifest = "kind: Service\n---\nkind: Secret\ndata: {admin-password: c2VjcmV0}\n---\nkind: ConfigMap";
        assert_eq!(without_secrets(manifest), "kind: Service\n---\nkind: ConfigMap");
    }
}
