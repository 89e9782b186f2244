//! From address pairs that the probe counted to who calls whom.
//!
//! A caller is seen under its pod's address; whom it calls under the Service's ClusterIP, which the node translates
//! only after the probe has seen it. Both ends are named after the Service.

use std::collections::{BTreeSet, HashMap};

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{Api, Client, ResourceExt};

use super::{
    Check,
    bookinfo::{CALLS, SERVICES},
    client,
};
use crate::{
    error::words,
    finding::Finding,
    promql::{self, Sample},
};

/// The metric that the workshop asks for; on a cluster whose nodes share a kernel, every node counts each connection.
const QUERY: &str = "max by (pod_ip, cluster_ip) (ebpf_solo_io_events_hash)";
const METRIC: &str = "metric ebpf_solo_io_events_hash";

type Call = (String, String);

/// Prometheus has connections, and Bookinfo's are among them.
pub fn check() -> Check {
    Check::new("Prometheus has ebpf_solo_io_events_hash with Bookinfo's connections", |workshop, _| {
        Box::pin(async move { bookinfo_seen(&client(workshop).await?).await })
    })
}

/// Asks once.
pub async fn bookinfo_seen(client: &Client) -> Result<(), Finding> {
    let finding = |condition: &str| Finding::new(METRIC, condition);
    let samples = promql::query(client, QUERY).await;
    let samples = samples.map_err(|error| {
        finding("could not be asked for").because(crate::error::message(&error)).fix(FIX_PROMETHEUS)
    })?;
    if samples.is_empty() {
        return Err(finding("has no results")
            .fix("are the targets up? `cargo xtask check 5` tells; then `cargo xtask traffic`"));
    }
    if samples.iter().all(|sample| sample.label("pod_ip").is_empty() || sample.label("cluster_ip").is_empty()) {
        return Err(finding("has no labels pod_ip and cluster_ip")
            .fix("podmonitor/bumblebee must copy saddr to pod_ip and daddr to cluster_ip (metricRelabelings)"));
    }
    let names = Names::ask(client)
        .await
        .map_err(|error| finding("could not be resolved").because(words(&error)).cluster_down())?;
    let calls = names.calls(&samples);
    let missing: Vec<_> =
        CALLS.iter().filter(|(from, to)| !calls.contains(&(from.to_string(), to.to_string()))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.iter().map(|(from, to)| format!("{from} -> {to}")).collect::<Vec<_>>().join(", ");
    let seen = format!("{} address pairs are there, of Bookinfo's calls {calls:?}", samples.len());
    Err(finding(&format!("lacks {missing}"))
        .because(seen)
        .fix("`cargo xtask traffic` makes requests; a scrape later they are there"))
}

const FIX_PROMETHEUS: &str = "`cargo xtask check 3` says what is wrong with Prometheus";

/// Which Bookinfo Service an address belongs to.
struct Names(HashMap<String, &'static str>);

impl Names {
    async fn ask(client: &Client) -> Result<Self, kube::Error> {
        let services = Api::<Service>::namespaced(client.clone(), "default").list(&Default::default()).await?;
        let pods = Api::<Pod>::namespaced(client.clone(), "default").list(&Default::default()).await?;
        Ok(Self::new(&services.items, &pods.items))
    }

    fn new(services: &[Service], pods: &[Pod]) -> Self {
        let mut names = HashMap::new();
        for service in services {
            let Some(name) = SERVICES.into_iter().find(|name| service.name_any() == *name) else { continue };
            let Some(spec) = &service.spec else { continue };
            names.extend(spec.cluster_ips.iter().flatten().map(|address| (address.clone(), name)));
            let selector = spec.selector.clone().unwrap_or_default();
            let selected = pods.iter().filter(|pod| {
                !selector.is_empty() && selector.iter().all(|(key, value)| pod.labels().get(key) == Some(value))
            });
            let addresses = selected.filter_map(|pod| pod.status.as_ref()?.pod_ip.clone());
            names.extend(addresses.map(|address| (address, name)));
        }
        Self(names)
    }

    /// The calls among Bookinfo's Services.
    fn calls(&self, samples: &[Sample]) -> BTreeSet<Call> {
        let name = |sample: &Sample, label| self.0.get(sample.label(label)).map(|name| name.to_string());
        let seen = samples.iter().filter(|sample| sample.value > 0.0);
        seen.filter_map(|sample| Some((name(sample, "pod_ip")?, name(sample, "cluster_ip")?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(name: &str, address: &str) -> Service {
        let spec = json!({"clusterIPs": [address], "selector": {"app": name}});
        serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
    }

    fn pod(app: &str, address: &str) -> Pod {
        serde_json::from_value(json!({"metadata": {"labels": {"app": app}}, "status": {"podIP": address}})).unwrap()
    }

    fn sample(from: &str, to: &str, value: f64) -> Sample {
        let labels = [("pod_ip", from), ("cluster_ip", to)].map(|(key, value)| (key.to_owned(), value.to_owned()));
        Sample { labels: labels.into(), value }
    }

    #[test]
    fn pods_and_cluster_ips_become_services() {
        let services =
            [service("productpage", "10.1.0.1"), service("details", "10.1.0.2"), service("other", "10.1.0.3")];
        let names = Names::new(&services, &[pod("productpage", "10.101.1.1"), pod("details", "10.101.1.2")]);
        let samples = [
            sample("10.101.1.1", "10.1.0.2", 20.0),
            sample("10.101.1.2", "10.101.1.1", 0.0),
            sample("10.101.1.1", "10.1.0.3", 1.0),
            sample("10.101.9.9", "10.1.0.2", 1.0),
        ];
        assert_eq!(names.calls(&samples), BTreeSet::from([("productpage".into(), "details".into())]));
    }

    #[test]
    fn a_service_without_a_selector_names_no_pod() {
        let mut all = service("details", "10.1.0.2");
        all.spec.as_mut().unwrap().selector = None;
        assert_eq!(Names::new(&[all], &[pod("details", "10.101.1.2")]).0.len(), 1);
    }
}
