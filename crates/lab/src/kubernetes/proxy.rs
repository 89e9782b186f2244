//! HTTP to a Service through the API server: works wherever the API server does, with no port of its own.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures::AsyncReadExt;
use kube::Client;

use super::ServicePort;
use crate::{error::words, wait};

/// What a Service may answer.
const MOST: u64 = 32 << 20;
/// The API server waits for a pod that does not answer as long as we do.
const PATIENCE: Duration = Duration::from_secs(15);

/// The body of a 2xx answer. `path` begins with a slash and is percent-encoded already.
pub async fn get(client: &Client, to: &ServicePort, path: &str) -> Result<String> {
    let answer = wait::within(PATIENCE, read(client, to, path)).await;
    answer.unwrap_or_else(|| bail!("{}:{} does not answer within {} s", to.service, to.port, PATIENCE.as_secs()))
}

async fn read(client: &Client, to: &ServicePort, path: &str) -> Result<String> {
    let ServicePort { namespace, service, port } = to;
    let url = format!("/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy{path}");
    let request = http::Request::get(&url).body(vec![]).with_context(|| format!("the address {url}"))?;
    let body = client.request_stream(request).await.map_err(|error| anyhow!("{service}:{port}: {}", words(&error)))?;
    let mut bytes = vec![];
    body.take(MOST + 1)
        .read_to_end(&mut bytes)
        .await
        .with_context(|| format!("failed to read the answer of {service}:{port}"))?;
    if bytes.len() as u64 > MOST {
        bail!("{service}:{port} answers more than {} MiB", MOST >> 20);
    }
    String::from_utf8(bytes).with_context(|| format!("{service}:{port} answers with something else than text"))
}
