//! Server-side apply of manifests, and their removal.
//!
//! On a cluster of ours we own what we apply: an object that a person made by hand is adopted. On anybody else's we
//! never take a field that another manages, and what they made does not become ours to delete.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result, bail};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
    core::{GroupVersionKind, PartialObjectMeta},
    discovery::{self, ApiResource, Scope},
    runtime::conditions,
};

use super::{FIELD_MANAGER, is_not_found, is_ours, manifest};
use crate::{
    error::{unfit, words},
    live::Live,
    outcome::Outcome,
    wait::{self, NotYet},
};

/// How many requests are under way at a time.
const AT_ONCE: usize = 8;
/// How long the API server may take to serve a kind whose definition it has.
const NEW_KIND: Duration = Duration::from_secs(10);
/// How long a deleted object may take to go: its pods get 30 s to end.
const GONE: Duration = Duration::from_secs(60);

/// Applies and deletes objects on one cluster.
pub struct Applier<'a> {
    client: Client,
    ours: bool,
    live: &'a Live,
    kinds: HashMap<GroupVersionKind, (ApiResource, Scope)>,
}

impl<'a> Applier<'a> {
    /// `ours`: whether the cluster is, so that we may own every field of what we apply.
    pub fn new(client: Client, ours: bool, live: &'a Live) -> Self {
        Self { client, ours, live, kinds: HashMap::new() }
    }

    /// Makes the cluster's objects what these say: first what others stand on, workloads last.
    ///
    /// # Errors
    /// A kind that the cluster does not know; on a cluster that is not ours, a field that another manages.
    pub async fn apply(&mut self, objects: Vec<DynamicObject>) -> Result<Outcome> {
        let mut outcome = Outcome::Unchanged;
        for rank in 0..RANKS {
            let now: Vec<_> = objects.iter().filter(|object| self::rank(manifest::kind(object)) == rank).collect();
            for object in &now {
                self.learn(object).await?;
            }
            let changes: Vec<_> = now.into_iter().map(|object| self.apply_one(object).boxed()).collect();
            let changes: Vec<_> = stream::iter(changes).buffer_unordered(AT_ONCE).try_collect().await?;
            if changes.contains(&Outcome::Changed) {
                outcome = Outcome::Changed;
            }
        }
        Ok(outcome)
    }

    /// Deletes those of the objects that are ours (on a cluster of ours, all of them) and waits until they are gone.
    pub async fn delete(&mut self, objects: Vec<DynamicObject>) -> Result<Outcome> {
        let mut outcome = Outcome::Unchanged;
        for rank in (0..RANKS).rev() {
            let now: Vec<_> = objects.iter().filter(|object| self::rank(manifest::kind(object)) == rank).collect();
            for object in &now {
                // A kind that the cluster does not know has no objects.
                let _ = self.look_up(object).await;
            }
            let changes: Vec<_> = now.into_iter().map(|object| self.delete_one(object).boxed()).collect();
            let changes: Vec<_> = stream::iter(changes).buffer_unordered(AT_ONCE).try_collect().await?;
            if changes.contains(&Outcome::Changed) {
                outcome = Outcome::Changed;
            }
        }
        Ok(outcome)
    }

    async fn apply_one(&self, object: &DynamicObject) -> Result<Outcome> {
        let (name, title) = (object.name_any(), manifest::title(object));
        let api = self.api(object).with_context(|| format!("failed to apply {title}"))?;
        let before = api.get_metadata_opt(&name).await.with_context(|| format!("failed to look up {title}"))?;
        let mut object = object.clone();
        manifest::mark(&mut object);
        if let Some(before) = before.as_ref().filter(|before| !self.ours && !is_ours(&before.metadata)) {
            if matches!(manifest::kind(&object), "Namespace" | "CustomResourceDefinition") {
                return Ok(Outcome::Unchanged);
            }
            self.live.say(&format!("{title} in {} is there already and not ours", place(before)));
            manifest::unmark(&mut object);
        }
        let after = self.patch(&api, &object).await?;
        if manifest::kind(&object) == "CustomResourceDefinition" {
            self.established(&name).await?;
        }
        let unchanged =
            before.is_some_and(|before| before.metadata.resource_version == after.metadata.resource_version);
        Ok(if unchanged { Outcome::Unchanged } else { Outcome::Changed })
    }

    async fn patch(
        &self,
        api: &Api<DynamicObject>,
        object: &DynamicObject,
    ) -> Result<PartialObjectMeta<DynamicObject>> {
        let params = PatchParams { force: self.ours, ..PatchParams::apply(FIELD_MANAGER) };
        let title = manifest::title(object);
        match api.patch_metadata(&object.name_any(), &params, &Patch::Apply(object)).await {
            Ok(after) => Ok(after),
            Err(kube::Error::Api(status)) if status.code == 409 && !self.ours => Err(unfit(
                format!("{title} has fields that another manages: {}", status.message),
                format!(
                    "nothing was taken over: change those fields yourself, or delete {title} and run the lab again"
                ),
            )),
            Err(error) => bail!("apply {title}: {}", words(&error)),
        }
    }

    async fn delete_one(&self, object: &DynamicObject) -> Result<Outcome> {
        let (name, title) = (object.name_any(), manifest::title(object));
        let Ok(api) = self.api(object) else { return Ok(Outcome::Unchanged) };
        let before = api.get_metadata_opt(&name).await.with_context(|| format!("failed to look up {title}"))?;
        let Some(before) = before.filter(|before| self.ours || is_ours(&before.metadata)) else {
            return Ok(Outcome::Unchanged);
        };
        match api.delete(&name, &DeleteParams::foreground()).await {
            Err(error) if !is_not_found(&error) => bail!("delete {title}: {}", words(&error)),
            _ => {}
        }
        let uid = before.metadata.uid.unwrap_or_default();
        let gone = || conditions::is_deleted::<DynamicObject>(&uid);
        wait::watched(&format!("{title} to be gone"), GONE, self.live, &api, &name, gone).await?;
        Ok(Outcome::Changed)
    }

    async fn established(&self, name: &str) -> Result<()> {
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let what = format!("kind {name} to be served");
        wait::watched(&what, NEW_KIND, self.live, &api, name, conditions::is_crd_established).await
    }

    fn api(&self, object: &DynamicObject) -> Result<Api<DynamicObject>> {
        let kind = kind_of(object)?;
        let (resource, scope) =
            self.kinds.get(&kind).with_context(|| format!("the cluster has no kind {}", kind.kind))?;
        let namespace = object.namespace().unwrap_or_else(|| "default".to_owned());
        Ok(match scope {
            Scope::Cluster => Api::all_with(self.client.clone(), resource),
            Scope::Namespaced => Api::namespaced_with(self.client.clone(), &namespace, resource),
        })
    }

    /// Asks the cluster where an object's kind is served; a definition just applied takes a moment to be.
    async fn learn(&mut self, object: &DynamicObject) -> Result<()> {
        let kind = kind_of(object)?;
        if self.kinds.contains_key(&kind) {
            return Ok(());
        }
        let (client, what) = (self.client.clone(), format!("kind {} to be served", kind.kind));
        let ask = || async { discovery::pinned_kind(&client, &kind).await.map_err(NotYet::from) };
        let (resource, capabilities) = wait::poll(&what, NEW_KIND, self.live, ask).await.map_err(|error| {
            unfit(format!("the cluster does not know the kind {}: {error:#}", kind.kind), HINT_KIND)
        })?;
        self.kinds.insert(kind, (resource, capabilities.scope));
        Ok(())
    }

    async fn look_up(&mut self, object: &DynamicObject) -> Result<()> {
        let kind = kind_of(object)?;
        if !self.kinds.contains_key(&kind) {
            let (resource, capabilities) = discovery::pinned_kind(&self.client, &kind).await?;
            self.kinds.insert(kind, (resource, capabilities.scope));
        }
        Ok(())
    }
}

const HINT_KIND: &str = "lab 3 installs Prometheus' kinds, lab 2 MetalLB's: run `cargo xtask lab 2-3` first";

/// What others stand on is lower: a pod without its namespace or service account is not created.
const RANKS: usize = 3;

fn rank(kind: &str) -> usize {
    match kind {
        "Namespace" | "CustomResourceDefinition" => 0,
        "Deployment" | "DaemonSet" | "StatefulSet" | "Prometheus" | "PodMonitor" | "ServiceMonitor" => 2,
        _ => 1,
    }
}

fn kind_of(object: &DynamicObject) -> Result<GroupVersionKind> {
    let types = object.types.as_ref().context("an object without a kind")?;
    GroupVersionKind::try_from(types).with_context(|| format!("the API version `{}`", types.api_version))
}

fn place(object: &PartialObjectMeta<DynamicObject>) -> String {
    object.metadata.namespace.as_ref().map_or("the cluster".to_owned(), |name| format!("namespace {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_stand_on_comes_first() {
        let mut kinds = ["DaemonSet", "ServiceAccount", "Namespace", "PodMonitor", "CustomResourceDefinition"];
        kinds.sort_by_key(|kind| rank(kind));
        assert_eq!(kinds, ["Namespace", "CustomResourceDefinition", "ServiceAccount", "DaemonSet", "PodMonitor"]);
        assert!(kinds.iter().all(|kind| rank(kind) < RANKS));
    }
}
