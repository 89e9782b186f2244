//! MetalLB's own manifest, as the labs apply it.

use kube::{ResourceExt, api::DynamicObject};
use serde_json::{Value, json};

use crate::kubernetes::manifest;

/// The manifest's object without its admission webhook, whose certificate takes 15 s to be rotated and which would check the one pool
/// that we make; and with what its pods may not do, nor take.
pub fn adapt(mut object: DynamicObject) -> Option<DynamicObject> {
    let component = match manifest::kind(&object) {
        "ValidatingWebhookConfiguration" => return None,
        "Deployment" | "DaemonSet" => object.name_any(),
        _ => return Some(object),
    };
    let pods = object.data.pointer_mut("/spec/template/spec")?;
    pods["securityContext"]["seccompProfile"] = json!({ "type": "RuntimeDefault" });
    let container = &mut pods["containers"][0];
    if component == "controller"
        && let Value::Array(arguments) = &mut container["args"]
    {
        arguments.push(json!("--webhook-mode=disabled"));
    }
    container["resources"] = json!({ "requests": { "cpu": "10m", "memory": "24Mi" }, "limits": { "memory": "128Mi" } });
    // The manifest's 10 s are for clusters that nobody waits for.
    for probe in ["initialDelaySeconds", "periodSeconds"] {
        container["readinessProbe"][probe] = json!(1);
    }
    Some(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metallb_runs_without_its_webhook_and_within_bounds() {
        let text = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: controller}, spec: {template: {spec: \
                    {securityContext: {runAsNonRoot: true}, containers: [{image: 'quay.io/metallb/controller:v1.2.3', \
                    args: [--port=7472], readinessProbe: {periodSeconds: 10}}]}}}}";
        let object = adapt(manifest::parse(text).unwrap().remove(0)).unwrap();
        let pods = &object.data["spec"]["template"]["spec"];
        let security = json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } });
        assert_eq!(pods["securityContext"], security);
        assert_eq!(pods["containers"][0]["args"], json!(["--port=7472", "--webhook-mode=disabled"]));
        assert_eq!(pods["containers"][0]["readinessProbe"]["periodSeconds"], 1);
        assert!(pods["containers"][0]["resources"]["limits"]["memory"].is_string());
        let webhook =
            "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: x}}";
        assert!(adapt(manifest::parse(webhook).unwrap().remove(0)).is_none());
    }
}
