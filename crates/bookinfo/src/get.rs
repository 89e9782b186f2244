//! `bookinfo get`: traffic by `kubectl exec`, in an image that has neither curl nor Python.

use std::{
    io::{Write, stdout},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use reqwest::Url;

use crate::{peer::client, serve::log};

/// More than the slowest page takes: three calls of three seconds each.
const LIMIT: Duration = Duration::from_secs(15);

/// Prints one status per request and goes on when one fails: how many of how many failed is what the caller wants to know.
pub async fn run(url: &Url, repeat: u32) -> anyhow::Result<ExitCode> {
    let client = client()?;
    let mut failed = 0;
    for _ in 0..repeat {
        let status = match client.get(url.clone()).timeout(LIMIT).send().await {
            Ok(response) => response.status().as_u16(),
            Err(error) => {
                log(format_args!("{url}: {:#}", anyhow::Error::from(error.without_url())));
                0
            }
        };
        failed += u32::from(status != 200);
        writeln!(stdout(), "{status:03}").context("failed to print the status")?;
    }
    if failed == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    log(format_args!("{failed} of {repeat} requests to {url} were not answered with 200"));
    Ok(ExitCode::FAILURE)
}
