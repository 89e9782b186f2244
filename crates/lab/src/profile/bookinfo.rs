//! Istio's own Bookinfo images in our manifest: what they need otherwise than ours.
//!
//! Compare Istio's `samples/bookinfo/platform/kube/bookinfo.yaml` and `bookinfo-psa.yaml`: the images' users are their own and not
//! root, they write to `/tmp`, and the Java service to its output folder. The probe stays: all four serve `/health`.

use kube::api::DynamicObject;
use lab_cli::pins::Bookinfo;
use serde_json::{Value, json};

use crate::{images, kubernetes::manifest};

/// What each service's pod asks for at least; ours takes a tenth of it, and its limit would end them.
const MEMORY: [(&str, &str); 4] =
    [("productpage", "192Mi"), ("details", "64Mi"), ("ratings", "64Mi"), ("reviews", "256Mi")];

/// Folders that a service writes to: the volume's name and where it is mounted.
const WRITABLE: [(&str, &str, &str); 3] =
    [("productpage", "tmp", "/tmp"), ("reviews", "tmp", "/tmp"), ("reviews", "wlp-output", "/opt/ibm/wlp/output")];

/// Makes a Deployment of our manifest run the original's image; leaves other objects alone.
pub fn original(object: &mut DynamicObject, pins: &Bookinfo) {
    let (Some(pods), "Deployment") = (object.data.pointer("/spec/template"), manifest::kind(object)) else { return };
    let container = &pods["spec"]["containers"][0];
    if container["image"] != images::reference("bookinfo").as_str() {
        return;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (service, version) = (text(&container["name"]), text(&pods["metadata"]["labels"]["version"]));
    let image = format!("{}/examples-bookinfo-{service}-{version}:{}", pins.registry, pins.version);
    if let Some(pod) = object.data.pointer_mut("/spec/template/spec") {
        change(&mut pod["containers"][0], &service, &image);
        mount(pod, &service);
    }
}

fn change(container: &mut Value, service: &str, image: &str) {
    container["image"] = json!(image);
    remove(container, &["args"]);
    // Each image has a numeric user of its own in its configuration, so that runAsNonRoot still holds.
    remove(&mut container["securityContext"], &["readOnlyRootFilesystem", "runAsUser", "runAsGroup"]);
    if let Some((_, memory)) = MEMORY.iter().find(|(of, _)| *of == service) {
        container["resources"]["requests"]["memory"] = json!(memory);
        remove(&mut container["resources"], &["limits"]);
    }
    if service == "reviews" {
        container["env"] = json!([{ "name": "LOG_DIR", "value": "/tmp/logs" }]);
    }
}

fn mount(pod: &mut Value, service: &str) {
    let writable: Vec<_> = WRITABLE.iter().filter(|(of, ..)| *of == service).collect();
    if writable.is_empty() {
        return;
    }
    let mounts: Vec<_> = writable.iter().map(|(_, name, path)| json!({ "name": name, "mountPath": path })).collect();
    pod["containers"][0]["volumeMounts"] = json!(mounts);
    pod["volumes"] = writable.iter().map(|(_, name, _)| json!({ "name": name, "emptyDir": {} })).collect();
}

fn remove(value: &mut Value, fields: &[&str]) {
    if let Some(object) = value.as_object_mut() {
        fields.iter().for_each(|field| drop(object.remove(*field)));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn manifest() -> Vec<DynamicObject> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/lab4/bookinfo.yaml");
        let mut objects = manifest::read(&path).unwrap();
        let pins = Bookinfo { registry: "docker.io/istio".to_owned(), version: "1.2.3".to_owned() };
        objects.iter_mut().for_each(|object| original(object, &pins));
        objects
    }

    fn pod<'a>(objects: &'a [DynamicObject], name: &str) -> &'a Value {
        let deployment = objects.iter().find(|object| manifest::title(object) == format!("deployment/{name}")).unwrap();
        &deployment.data["spec"]["template"]["spec"]
    }

    #[test]
    fn every_deployment_runs_the_originals_image_of_its_service_and_version() {
        let objects = manifest();
        let deployments = objects.iter().filter(|object| manifest::kind(object) == "Deployment");
        let images: Vec<_> = deployments
            .map(|object| object.data["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap())
            .collect();
        let of = |name: &str| format!("docker.io/istio/examples-bookinfo-{name}:1.2.3");
        let all = ["productpage-v1", "details-v1", "reviews-v1", "reviews-v2", "reviews-v3", "ratings-v1"];
        assert_eq!(images, all.map(of));
    }

    #[test]
    fn the_originals_arguments_user_and_files_are_its_own() {
        let objects = manifest();
        for name in ["productpage-v1", "details-v1", "reviews-v2", "ratings-v1"] {
            let container = &pod(&objects, name)["containers"][0];
            assert_eq!(container.get("args"), None, "{name}");
            let security = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                                  "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
            assert_eq!(container["securityContext"], security, "{name}");
            assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/health", "{name}");
        }
    }

    #[test]
    fn reviews_gets_the_folders_that_java_writes_to_and_room() {
        let objects = manifest();
        let reviews = pod(&objects, "reviews-v3");
        let mounts =
            json!([{"name": "tmp", "mountPath": "/tmp"}, {"name": "wlp-output", "mountPath": "/opt/ibm/wlp/output"}]);
        assert_eq!(reviews["containers"][0]["volumeMounts"], mounts);
        assert_eq!(
            reviews["volumes"],
            json!([{"name": "tmp", "emptyDir": {}}, {"name": "wlp-output", "emptyDir": {}}])
        );
        assert_eq!(reviews["containers"][0]["resources"]["requests"]["memory"], "256Mi");
        assert_eq!(reviews["containers"][0]["resources"].get("limits"), None);
        assert_eq!(reviews["containers"][0]["env"][0]["name"], "LOG_DIR");
        assert_eq!(pod(&objects, "ratings-v1").get("volumes"), None);
    }

    #[test]
    fn images_that_are_not_bookinfos_stay() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/lab5/bumblebee.yaml");
        let before = manifest::read(&path).unwrap();
        let mut after = before.clone();
        let pins = Bookinfo { registry: "docker.io/istio".to_owned(), version: "1.2.3".to_owned() };
        after.iter_mut().for_each(|object| original(object, &pins));
        assert_eq!(before[0].data, after[0].data);
    }
}
