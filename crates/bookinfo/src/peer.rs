//! A call to another service: found by the original's environment variables, on a connection of its own, within a limit of
//! time and size, carrying the caller's tracing headers.

use std::{env, time::Duration};

use anyhow::{Context, bail, ensure};
use axum::http::{HeaderMap, StatusCode};
use reqwest::{Client, Url, redirect};
use serde_json::Value;

use crate::serve::log;

/// What a request takes along to the services behind: the headers that tie spans together in the tracing systems that
/// Bookinfo knows, and for whom the request is made.
const FORWARDED: &[&str] = &[
    "b3",
    "end-user",
    "grpc-trace-bin",
    "sw8",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-b3-flags",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-spanid",
    "x-b3-traceid",
    "x-cloud-trace-context",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "x-datadog-trace-id",
    "x-ot-span-context",
    "x-request-id",
];

/// Answers are a few hundred bytes.
const LARGEST_ANSWER: usize = 1 << 20;

/// A service that this one calls.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Without the product's id.
    url: Url,
    client: Client,
}

impl Peer {
    pub fn from_env(name: &str) -> anyhow::Result<Self> {
        let url = url(name, |variable| env::var(variable).ok())?;
        Ok(Self { url, client: client()? })
    }

    /// The service's JSON about a product; without it the status to pass on: the service's own, or 500 if it gave none.
    pub async fn get(&self, id: u64, caller: &HeaderMap, limit: Duration) -> Result<Value, StatusCode> {
        let request = self.client.get(format!("{}/{id}", self.url)).headers(forwarded(caller)).timeout(limit);
        let failed = |error: anyhow::Error| {
            log(format_args!("{}/{id}: {error:#}", self.url));
            StatusCode::INTERNAL_SERVER_ERROR
        };
        let response = request.send().await.map_err(|error| failed(error.without_url().into()))?;
        match response.status() {
            StatusCode::OK => read(response).await.map_err(failed),
            status => {
                log(format_args!("{}/{id}: {status}", self.url));
                Err(status)
            }
        }
    }
}

/// Opens a connection for each request: the connections are what the labs count, and a kept one would pin every request to
/// one of the three reviews. In-cluster names are never for a proxy to resolve.
pub fn client() -> anyhow::Result<Client> {
    // reqwest wants to know whose cryptography, even where nothing is encrypted; an error says that it knows.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().pool_max_idle_per_host(0).no_proxy().redirect(redirect::Policy::none());
    builder.tls_certs_only(None).build().context("failed to set up the HTTP client")
}

/// `http://NAME.DOMAIN:PORT/NAME`; Kubernetes itself sets NAME_SERVICE_PORT for every Service of the namespace.
fn url(name: &str, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Url> {
    let prefix = name.to_uppercase();
    let host = variable(&format!("{prefix}_HOSTNAME")).unwrap_or_else(|| name.to_owned());
    let domain = variable("SERVICES_DOMAIN").map(|domain| format!(".{domain}")).unwrap_or_default();
    let port = variable(&format!("{prefix}_SERVICE_PORT")).unwrap_or_else(|| "9080".to_owned());

    let url = format!("http://{host}{domain}:{port}/{name}");
    let help = || format!("{url:?} is not an address: fix {prefix}_HOSTNAME, SERVICES_DOMAIN or {prefix}_SERVICE_PORT");
    let parsed: Url = url.parse().with_context(help)?;
    ensure!(parsed.path() == format!("/{name}") && parsed.username().is_empty(), help());
    Ok(parsed)
}

fn forwarded(caller: &HeaderMap) -> HeaderMap {
    caller
        .iter()
        .filter(|(name, _)| FORWARDED.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

async fn read(mut response: reqwest::Response) -> anyhow::Result<Value> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.context("failed to read the answer")? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            bail!("the answer is longer than {LARGEST_ANSWER} bytes");
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).context("the answer is not JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url_with(variables: &[(&str, &str)]) -> anyhow::Result<String> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string());
        url("reviews", find).map(String::from)
    }

    #[test]
    fn a_service_is_found_by_its_own_name_unless_told_otherwise() {
        assert_eq!(url_with(&[]).unwrap(), "http://reviews:9080/reviews");
    }

    #[test]
    fn the_originals_variables_name_host_domain_and_port() {
        let variables = [("REVIEWS_HOSTNAME", "r"), ("SERVICES_DOMAIN", "books.svc"), ("REVIEWS_SERVICE_PORT", "81")];
        assert_eq!(url_with(&variables).unwrap(), "http://r.books.svc:81/reviews");
    }

    #[test]
    fn an_address_that_cannot_be_names_the_variables_to_fix() {
        for wrong in
            [("REVIEWS_SERVICE_PORT", "tcp://10.1.0.7:9080"), ("REVIEWS_HOSTNAME", "a b"), ("REVIEWS_HOSTNAME", "a/b?")]
        {
            let error = url_with(&[wrong]).unwrap_err().to_string();
            assert!(
                error.contains("fix REVIEWS_HOSTNAME, SERVICES_DOMAIN or REVIEWS_SERVICE_PORT"),
                "{wrong:?}: {error}"
            );
        }
    }

    #[test]
    fn tracing_headers_are_forwarded_and_credentials_are_not() {
        let caller =
            [("x-request-id", "7"), ("traceparent", "00-1"), ("cookie", "secret"), ("authorization", "secret")];
        let caller = caller.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).into_iter().collect();
        let mut names: Vec<_> = forwarded(&caller).keys().map(ToString::to_string).collect();
        names.sort();
        assert_eq!(names, ["traceparent", "x-request-id"]);
    }
}
