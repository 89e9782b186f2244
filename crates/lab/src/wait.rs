//! Waiting: what Kubernetes can tell is watched, what it can't is polled.

use std::{fmt::Debug, time::Duration};

use anyhow::Result;
use kube::{
    Api,
    runtime::wait::{Condition, await_condition},
};
use serde::de::DeserializeOwned;

use crate::live::Live;

pub use lab_engine::wait::{NotYet, poll, within};

/// Watches one object until a condition holds. A watch that breaks off (an API server that restarts) begins anew.
pub async fn watched<K, C>(
    what: &str,
    timeout: Duration,
    live: &Live,
    api: &Api<K>,
    name: &str,
    condition: impl Fn() -> C,
) -> Result<()>
where
    K: Clone + Debug + Send + DeserializeOwned + kube::Resource + 'static,
    C: Condition<K>,
{
    live.waiting(format!("waiting for {what}"));
    poll(what, timeout, live, || async {
        await_condition(api.clone(), name, condition()).await.map(drop).map_err(NotYet::from)
    })
    .await
}
