//! Who connected to whom, by address, as Prometheus has scraped it from the probes.
//!
//! The probes run on every node. Where nodes share one kernel (KinD, nodes in namespaces) each of them counts the same
//! connections, so a pair's count is the *maximum* over the nodes: a sum would count it once per node.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;

/// The probes' counter, labelled by the PodMonitor with `pod_ip` (source) and `cluster_ip` (destination).
pub const METRIC: &str = "ebpf_solo_io_events_hash";

/// About a hundred thousand pairs; a longer answer is refused before it fills the memory.
const ANSWER_LIMIT: usize = 16 << 20;

/// What is quoted of an answer that makes no sense.
const QUOTE_LIMIT: usize = 200;

/// Connections from one address to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    pub source: IpAddr,
    pub target: IpAddr,
    /// Since the probes started: the counters begin again at zero with them.
    pub connections: u64,
    /// Over the last minute.
    pub per_second: f64,
}

#[derive(Debug, thiserror::Error)]
pub enum EdgesError {
    #[error("`{0}` is no address of a Prometheus: give one such as http://prometheus.monitoring.svc:9090")]
    Endpoint(String),
    #[error("could not prepare the HTTP client")]
    Client(#[source] reqwest::Error),
    #[error("Prometheus can't be reached at {endpoint}: {cause}")]
    Unreachable { endpoint: Url, cause: String },
    #[error("Prometheus answered {status}: {message}")]
    Refused { status: StatusCode, message: String },
    #[error("Prometheus' answer is longer than {} MiB", ANSWER_LIMIT >> 20)]
    TooLong,
    #[error("what answers at {endpoint} is not Prometheus: {quote}")]
    NotPrometheus { endpoint: Url, quote: String },
    #[error(
        "no series of {METRIC} carries both pod_ip and cluster_ip: add the PodMonitor's metricRelabelings \
         (saddr to pod_ip, daddr to cluster_ip)"
    )]
    Unlabelled,
}

/// The Prometheus that scrapes the probes.
#[derive(Clone)]
pub struct Prometheus {
    client: Client,
    endpoint: Url,
}

impl Prometheus {
    /// `endpoint` may carry a path, as behind a reverse proxy.
    pub fn new(endpoint: &str, timeout: Duration) -> Result<Self, EdgesError> {
        let invalid = || EdgesError::Endpoint(endpoint.to_owned());
        let mut url = Url::parse(endpoint).map_err(|_| invalid())?;
        if url.scheme() != "http" || !url.has_host() {
            return Err(invalid());
        }
        let path = format!("{}/api/v1/query", url.path().trim_end_matches('/'));
        url.set_path(&path);
        // reqwest wants to know whose cryptography, even where nothing is encrypted; an error says that it knows.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A proxy of the environment would be asked for names that only the cluster knows.
        let client = Client::builder()
            .timeout(timeout)
            .tls_certs_only(None)
            .redirect(Policy::limited(3))
            .no_proxy()
            .build()
            .map_err(EdgesError::Client)?;
        Ok(Self { client, endpoint: url })
    }

    /// Every pair that Prometheus knows at this moment, with its rate.
    pub async fn pairs(&self) -> Result<Vec<Pair>, EdgesError> {
        let counts = format!("max by (pod_ip, cluster_ip) ({METRIC})");
        let rates = format!("max by (pod_ip, cluster_ip) (rate({METRIC}[1m]))");
        let (counts, rates) = futures::try_join!(self.query(&counts), self.query(&rates))?;
        join(counts, rates)
    }

    async fn query(&self, promql: &str) -> Result<Vec<Sample>, EdgesError> {
        let request = self.client.get(self.endpoint.clone()).query(&[("query", promql)]);
        let mut response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = self.read(&mut response).await?;
        match serde_json::from_slice(&body) {
            Ok(Answer::Success { data }) => Ok(data.result),
            Ok(Answer::Error { error }) => Err(EdgesError::Refused { status, message: quote(error.as_bytes()) }),
            Err(_) if !status.is_success() => Err(EdgesError::Refused { status, message: quote(&body) }),
            Err(_) => Err(EdgesError::NotPrometheus { endpoint: self.endpoint.clone(), quote: quote(&body) }),
        }
    }

    async fn read(&self, response: &mut Response) -> Result<Vec<u8>, EdgesError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(EdgesError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> EdgesError {
        EdgesError::Unreachable { endpoint: self.endpoint.clone(), cause: root_cause(error) }
    }
}

/// Of Prometheus' answer, what is needed here (<https://prometheus.io/docs/prometheus/latest/querying/api/>).
#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Answer {
    Success { data: Data },
    Error { error: String },
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    metric: Labels,
    value: (f64, String),
}

#[derive(Deserialize)]
struct Labels {
    pod_ip: Option<String>,
    cluster_ip: Option<String>,
}

impl Sample {
    /// A label may hold anything: what is no address belongs to no edge. An IPv6 socket that talks IPv4 counts under
    /// the IPv4-mapped form: the same two parties.
    fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        let parse = |label: &Option<String>| label.as_ref()?.parse::<IpAddr>().ok();
        Some((parse(&self.metric.pod_ip)?.to_canonical(), parse(&self.metric.cluster_ip)?.to_canonical()))
    }

    /// Prometheus writes numbers as text, `NaN` and `+Inf` among them.
    fn number(&self) -> Option<f64> {
        self.value.1.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
    }
}

/// A new pair has no rate until it was scraped twice.
fn join(counts: Vec<Sample>, rates: Vec<Sample>) -> Result<Vec<Pair>, EdgesError> {
    let mut per_second: BTreeMap<(IpAddr, IpAddr), f64> = BTreeMap::new();
    for sample in &rates {
        if let (Some(addresses), Some(rate)) = (sample.addresses(), sample.number()) {
            *per_second.entry(addresses).or_default() += rate;
        }
    }
    let mut pairs: BTreeMap<(IpAddr, IpAddr), u64> = BTreeMap::new();
    for sample in &counts {
        if let (Some(addresses), Some(count)) = (sample.addresses(), sample.number()) {
            let sum = pairs.entry(addresses).or_default();
            *sum = sum.saturating_add(count.round() as u64);
        }
    }
    if pairs.is_empty() && !counts.is_empty() {
        return Err(EdgesError::Unlabelled);
    }
    let pair = |((source, target), connections)| Pair {
        source,
        target,
        connections,
        per_second: per_second.get(&(source, target)).copied().unwrap_or(0.0),
    };
    Ok(pairs.into_iter().map(pair).collect())
}

/// reqwest's own message repeats the address and hides the reason in its sources.
fn root_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn quote(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(QUOTE_LIMIT)]);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(json: serde_json::Value) -> Vec<Sample> {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn an_endpoint_may_carry_a_path_and_must_be_http() {
        let endpoint = |text: &str| Prometheus::new(text, Duration::from_secs(1)).map(|p| p.endpoint.to_string());
        assert_eq!(endpoint("http://prom:9090").unwrap(), "http://prom:9090/api/v1/query");
        assert_eq!(endpoint("http://proxy/prom/").unwrap(), "http://proxy/prom/api/v1/query");
        for wrong in ["", "prom:9090", "https://prom:9090", "file:///etc/passwd"] {
            assert!(matches!(endpoint(wrong), Err(EdgesError::Endpoint(_))), "{wrong}");
        }
    }

    #[test]
    fn a_pair_without_a_rate_counts_and_one_without_numbers_does_not() {
        let counts = samples(serde_json::json!([
            {"metric": {"pod_ip": "10.101.1.2", "cluster_ip": "10.1.0.5"}, "value": [1.0, "20"]},
            {"metric": {"pod_ip": "10.101.1.2", "cluster_ip": "10.1.0.6"}, "value": [1.0, "NaN"]},
            {"metric": {"pod_ip": "nobody", "cluster_ip": "10.1.0.6"}, "value": [1.0, "3"]},
        ]));
        let pairs = join(counts, Vec::new()).unwrap();
        assert_eq!(pairs.len(), 1);
        assert_eq!((pairs[0].connections, pairs[0].per_second), (20, 0.0));
    }

    #[test]
    fn the_ipv4_mapped_form_is_the_same_pair() {
        let counts = samples(serde_json::json!([
            {"metric": {"pod_ip": "::ffff:10.101.1.2", "cluster_ip": "::ffff:10.1.0.5"}, "value": [1.0, "2"]},
            {"metric": {"pod_ip": "10.101.1.2", "cluster_ip": "10.1.0.5"}, "value": [1.0, "3"]},
        ]));
        let pairs = join(counts, Vec::new()).unwrap();
        assert_eq!(pairs.iter().map(|pair| pair.connections).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn series_that_were_not_relabelled_name_the_podmonitor() {
        let counts = samples(serde_json::json!([{"metric": {}, "value": [1.0, "45"]}]));
        let error = join(counts, Vec::new()).unwrap_err().to_string();
        assert!(error.contains("metricRelabelings"), "{error}");
    }
}
