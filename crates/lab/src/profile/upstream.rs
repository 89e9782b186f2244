//! The upstream profile: Istio's own Bookinfo images, and a chart with Grafana. It needs the internet's registries.

use std::time::Duration;

use kube::api::DynamicObject;
use lab_cli::pins::Bookinfo;

use super::{Profile, bookinfo};

pub struct Upstream {
    pin: Bookinfo,
}

/// One connection for each request, and an end with an error at the first that is not answered with 200.
const REQUESTS: &str = "\
import requests
for _ in range(COUNT):
    r = requests.get('URL', timeout=30)
    print(r.status_code)
    r.raise_for_status()";

impl Upstream {
    pub fn new(pin: Bookinfo) -> Self {
        Self { pin }
    }
}

impl Profile for Upstream {
    fn images(&self) -> &'static [&'static str] {
        &["kebpf", "bee"]
    }

    fn registries(&self) -> &'static [&'static str] {
        &["registry-1.docker.io:443", "quay.io:443", "registry.k8s.io:443"]
    }

    fn adapt(&self, object: &mut DynamicObject) {
        bookinfo::original(object, &self.pin);
    }

    fn bookinfo_in_words(&self) -> Option<String> {
        let pin = &self.pin;
        Some(format!("with {}/examples-bookinfo-SERVICE-VERSION:{} in place of our image", pin.registry, pin.version))
    }

    fn requests(&self, url: &str, count: usize) -> Vec<String> {
        let script = REQUESTS.replace("COUNT", &count.to_string()).replace("URL", url);
        ["python", "-c", &script].map(str::to_owned).to_vec()
    }

    /// Images of some hundred MB come from the internet.
    fn patience(&self) -> Duration {
        Duration::from_secs(600)
    }
}
