//! Custom resource definitions: large, cluster-wide, and shared with whoever uses the same operator.
//!
//! One of them is 800 kB of YAML, which the API server takes a while to digest. So each carries the digest of the
//! file that it came from, and one whose file did not change is neither parsed nor sent.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, ListParams},
};
use sha2::{Digest, Sha256};

use super::manifest;

/// On a definition: the digest of its manifest.
const MANIFEST_DIGEST: &str = "ebpf-lab/manifest-digest";

/// A file with one definition.
pub struct Definition {
    /// Such as `podmonitors.monitoring.coreos.com`.
    pub name: String,
    pub file: PathBuf,
}

/// Those of the definitions that the cluster has not, or has from an older file of ours, as objects to apply.
pub async fn outdated(client: &Client, definitions: Vec<Definition>) -> Result<Vec<DynamicObject>> {
    let present = present(client).await?;
    let mut objects = vec![];
    for Definition { name, file } in definitions {
        let text =
            fs::read_to_string(&file).with_context(|| format!("failed to read the definition {}", file.display()))?;
        let digest = hex::encode(Sha256::digest(&text));
        let annotations = present.get(&name).and_then(|meta| meta.annotations.as_ref());
        if annotations.and_then(|all| all.get(MANIFEST_DIGEST)) != Some(&digest) {
            objects.extend(
                read(&text, &digest).with_context(|| format!("failed to read the definition {}", file.display()))?,
            );
        }
    }
    Ok(objects)
}

/// The names of all definitions that the cluster has.
pub async fn names(client: &Client) -> Result<HashSet<String>> {
    Ok(present(client).await?.into_keys().collect())
}

async fn present(client: &Client) -> Result<HashMap<String, ObjectMeta>> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let present = api.list_metadata(&ListParams::default()).await.context("failed to list the cluster's kinds")?;
    Ok(present.into_iter().map(|crd| (crd.name_any(), crd.metadata)).collect())
}

/// The definitions as objects that are only named, for deleting them.
pub fn named(definitions: &[Definition]) -> Result<Vec<DynamicObject>> {
    let name = |definition: &Definition| {
        let header = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: ";
        manifest::parse(&format!("{header}{}}}}}", definition.name))
    };
    Ok(definitions.iter().map(name).collect::<Result<Vec<_>>>()?.concat())
}

/// The definitions of a group that lie in a folder under the operator's file names, `GROUP_PLURAL.yaml`.
pub fn in_folder(folder: &Path, group: &str, plurals: &[&str]) -> Vec<Definition> {
    let definition = |plural: &&str| Definition {
        name: format!("{plural}.{group}"),
        file: folder.join(format!("{group}_{plural}.yaml")),
    };
    plurals.iter().map(definition).collect()
}

fn read(text: &str, digest: &str) -> Result<Vec<DynamicObject>> {
    let mut objects = manifest::parse(text)?;
    for object in &mut objects {
        object.annotations_mut().insert(MANIFEST_DIGEST.into(), digest.into());
    }
    Ok(objects)
}
