//! Manifests as objects: read, marked as ours, and made to follow their images.
//!
//! The files are plain: `kubectl apply -f` takes them as they are. What we add is the label by which we know our
//! objects, and the digest of each image, so that a rebuilt image restarts the pods that use it.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use kube::{ResourceExt, api::DynamicObject};
use serde_json::{Map, Value, json};

use super::MANAGED_BY;
use crate::images::Image;

/// On pod templates: the digests of the images that the pods run.
pub const IMAGE_DIGEST: &str = "ebpf-lab/image-digest";

/// The objects of one file, in its order.
pub fn read(file: &Path) -> Result<Vec<DynamicObject>> {
    let text = fs::read_to_string(file).with_context(|| format!("failed to read the manifest {}", file.display()))?;
    parse(&text).with_context(|| format!("failed to read the manifest {}", file.display()))
}

/// The objects of a multi-document YAML text; empty documents are left out.
pub fn parse(text: &str) -> Result<Vec<DynamicObject>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).context("not YAML")?;
    let object = |document| {
        let object: DynamicObject = serde_json::from_value(document).context("a document that is not an object")?;
        ensure!(object.types.is_some() && object.metadata.name.is_some(), "a document without kind or name");
        Ok(object)
    };
    documents.into_iter().filter(|document| !document.is_null()).map(object).collect()
}

/// `kind/name`, as kubectl names objects.
pub fn title(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map_or("object", |types| &types.kind).to_lowercase();
    format!("{kind}/{}", object.name_any())
}

pub fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| &types.kind)
}

/// Adds our label.
pub fn mark(object: &mut DynamicObject) {
    object.labels_mut().insert(MANAGED_BY.0.into(), MANAGED_BY.1.into());
}

/// Takes our label off again, for an object that somebody else made.
pub fn unmark(object: &mut DynamicObject) {
    object.labels_mut().remove(MANAGED_BY.0);
}

/// Writes the digests of the images that an object names into the annotations of its pods.
pub fn follow_images(object: &mut DynamicObject, images: &[Image]) {
    let Some(pods) = pod_metadata(object) else { return };
    let text = object.data.to_string();
    let digests = images.iter().filter(|image| text.contains(&image.reference)).map(|image| image.digest.as_str());
    let digests = digests.collect::<Vec<_>>().join(",");
    if !digests.is_empty() {
        set(&mut object.data, &[pods, &["annotations", IMAGE_DIGEST]].concat(), json!(digests));
    }
}

/// Where a kind keeps the metadata of its pods.
fn pod_metadata(object: &DynamicObject) -> Option<&'static [&'static str]> {
    match kind(object) {
        "Deployment" | "DaemonSet" | "StatefulSet" | "Job" => Some(&["spec", "template", "metadata"]),
        "Prometheus" => Some(&["spec", "podMetadata"]),
        _ => None,
    }
}

/// Sets a field, making the objects on the way to it.
pub fn set(data: &mut Value, path: &[&str], value: Value) {
    let field = path.iter().fold(data, |parent, key| {
        if !parent.is_object() {
            *parent = Value::Object(Map::new());
        }
        &mut parent[*key]
    });
    *field = value;
}

/// Replaces every string in an object that `change` has another for.
pub fn rewrite(value: &mut Value, change: &impl Fn(&str) -> Option<String>) {
    match value {
        Value::String(text) => {
            if let Some(other) = change(text) {
                *text = other;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| rewrite(field, change)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAEMONSET: &str = "\
# only a comment
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: bumblebee}
spec:
  template:
    spec:
      containers:
      - {name: bee, image: 'localhost/ebpf-lab/bee:lab'}
---
apiVersion: v1
kind: Service
metadata: {name: kebpf}
";

    fn image(name: &str, digest: &str) -> Image {
        Image { reference: crate::images::reference(name), digest: digest.into(), archive: "".into(), size: 0 }
    }

    #[test]
    fn a_file_of_several_documents_gives_its_objects_in_order() {
        let titles: Vec<_> = parse(DAEMONSET).unwrap().iter().map(title).collect();
        assert_eq!(titles, ["daemonset/bumblebee", "service/kebpf"]);
    }

    #[test]
    fn a_document_that_is_no_object_is_refused() {
        assert!(parse("just: words").is_err());
        assert!(parse("a: [").is_err());
    }

    #[test]
    fn pods_follow_only_the_images_that_they_run() {
        let mut objects = parse(DAEMONSET).unwrap();
        let images = [image("bee", "sha256:1"), image("bee-other", "sha256:2")];
        objects.iter_mut().for_each(|object| follow_images(object, &images));
        let annotations = &objects[0].data["spec"]["template"]["metadata"]["annotations"];
        assert_eq!(annotations, &json!({ IMAGE_DIGEST: "sha256:1" }));
        assert_eq!(objects[1].data, json!({}));
    }

    #[test]
    fn the_pods_of_a_prometheus_object_follow_too() {
        let text = "{apiVersion: monitoring.coreos.com/v1, kind: Prometheus, metadata: {name: p}, \
                    spec: {image: 'localhost/ebpf-lab/prometheus:lab'}}";
        let mut objects = parse(text).unwrap();
        follow_images(&mut objects[0], &[image("prometheus", "sha256:3")]);
        assert_eq!(objects[0].data["spec"]["podMetadata"]["annotations"][IMAGE_DIGEST], "sha256:3");
    }

    #[test]
    fn rewriting_reaches_every_string() {
        let mut value = json!({"a": ["x", {"b": "x"}], "c": "y", "d": 1});
        rewrite(&mut value, &|text| (text == "x").then(|| "z".to_owned()));
        assert_eq!(value, json!({"a": ["z", {"b": "z"}], "c": "y", "d": 1}));
    }
}
