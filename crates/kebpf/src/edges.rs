//! Who connected to whom, by address, as Prometheus has scraped it from the probes.
//!
//! The probes run on every node. Where nodes share one kernel (KinD, nodes in namespaces) each of them counts the same
//! connections, so a pair's count is the *maximum* over the nodes: a sum would count it once per node.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, StatusCode};
use serde::Deserialize;

use crate::endpoint::{Endpoint, EndpointError};

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
    #[error("failed to read the authorities of Prometheus from {}: {cause}", .file.display())]
    Authorities { file: PathBuf, cause: String },
    #[error("failed to prepare the HTTP client: {cause}{}", hint_authorities(*.encrypted))]
    Client { cause: String, encrypted: bool },
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error("Prometheus can't be reached at {endpoint}: {cause}")]
    Unreachable { endpoint: String, cause: String },
    #[error("Prometheus answered {status}: {message}")]
    Refused { status: StatusCode, message: String },
    #[error("Prometheus' answer is longer than {} MiB", ANSWER_LIMIT >> 20)]
    TooLong,
    #[error("what answers at {endpoint} is not Prometheus: {quote}")]
    NotPrometheus { endpoint: String, quote: String },
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
    endpoint: Endpoint,
}

impl Prometheus {
    /// `authorities` is a PEM file with those that may have signed an https endpoint's certificate, in place of this machine's.
    ///
    /// # Errors
    /// No such file, no certificate in it, or no authorities at all.
    pub fn new(endpoint: Endpoint, authorities: Option<&Path>, timeout: Duration) -> Result<Self, EdgesError> {
        // reqwest wants to know whose cryptography, even where nothing is encrypted; an error says that it knows.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A proxy of the environment would be asked for names that only the cluster knows.
        let mut client = Client::builder().timeout(timeout).redirect(Policy::limited(3)).no_proxy();
        if let Some(file) = authorities {
            client = client.tls_certs_only(read_authorities(file)?);
        } else if !endpoint.is_encrypted() {
            // None are looked for: an image of one program has none.
            client = client.tls_certs_only(None);
        }
        let encrypted = endpoint.is_encrypted();
        let client = client.build().map_err(|error| EdgesError::Client { cause: root_cause(error), encrypted })?;
        Ok(Self { client, endpoint })
    }

    /// Every pair that Prometheus knows at this moment, with its rate.
    pub async fn pairs(&self) -> Result<Vec<Pair>, EdgesError> {
        let counts = format!("max by (pod_ip, cluster_ip) ({METRIC})");
        let rates = format!("max by (pod_ip, cluster_ip) (rate({METRIC}[1m]))");
        let (counts, rates) = futures::try_join!(self.query(&counts), self.query(&rates))?;
        join(counts, rates)
    }

    async fn query(&self, promql: &str) -> Result<Vec<Sample>, EdgesError> {
        let request = self.endpoint.request(&self.client)?.query(&[("query", promql)]);
        let mut response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        let body = self.read(&mut response).await?;
        match serde_json::from_slice(&body) {
            Ok(Answer::Success { data }) => Ok(data.result),
            Ok(Answer::Error { error }) => Err(EdgesError::Refused { status, message: quote(error.as_bytes()) }),
            Err(_) if !status.is_success() => Err(EdgesError::Refused { status, message: quote(&body) }),
            Err(_) => Err(EdgesError::NotPrometheus { endpoint: self.endpoint.to_string(), quote: quote(&body) }),
        }
    }

    async fn read(&self, response: &mut Response) -> Result<Vec<u8>, EdgesError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(error))? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(EdgesError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unreachable(&self, error: reqwest::Error) -> EdgesError {
        EdgesError::Unreachable { endpoint: self.endpoint.to_string(), cause: root_cause(error) }
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

fn read_authorities(file: &Path) -> Result<Vec<Certificate>, EdgesError> {
    let unreadable = |cause: String| EdgesError::Authorities { file: file.to_owned(), cause };
    let pem = fs::read(file).map_err(|error| unreadable(error.to_string()))?;
    let authorities = Certificate::from_pem_bundle(&pem).map_err(|error| unreadable(root_cause(error)))?;
    if authorities.is_empty() {
        return Err(unreadable("it holds no certificate".to_owned()));
    }
    Ok(authorities)
}

fn hint_authorities(encrypted: bool) -> &'static str {
    if encrypted { " (--prometheus-ca-file names the authorities)" } else { "" }
}

/// reqwest's own message repeats the address, with what stands in it, and hides the reason in its sources.
fn root_cause(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
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
