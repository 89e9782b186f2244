//! The offline profile: images that we build from our own programs and from Go modules; no image registry is asked.

use std::time::Duration;

use kube::api::DynamicObject;

use super::Profile;
use crate::{images, kubernetes::manifest};

pub struct Offline;

impl Profile for Offline {
    fn images(&self) -> &'static [&'static str] {
        &[
            "metallb-controller",
            "metallb-speaker",
            "prometheus-operator",
            "prometheus-config-reloader",
            "kube-state-metrics",
            "prometheus",
            "node-exporter",
            "bookinfo",
            "kebpf",
            "bee",
        ]
    }

    /// Our manifests name our images already.
    fn adapt(&self, object: &mut DynamicObject) {
        manifest::rewrite(&mut object.data, &|text| {
            let name = text.strip_prefix("quay.io/metallb/")?.split(':').next()?;
            Some(images::reference(&format!("metallb-{name}")))
        });
    }

    fn requests(&self, url: &str, count: usize) -> Vec<String> {
        ["bookinfo", "get", url, "--repeat", &count.to_string()].map(str::to_owned).to_vec()
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(180)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metallb_runs_our_images() {
        let text = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: controller}, \
                    spec: {template: {spec: {containers: [{image: 'quay.io/metallb/controller:v1.2.3'}]}}}}";
        let mut object = manifest::parse(text).unwrap().remove(0);
        Offline.adapt(&mut object);
        let container = &object.data["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "localhost/ebpf-lab/metallb-controller:lab");
    }
}
