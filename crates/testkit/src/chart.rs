//! A chart of ours in the place of kube-prometheus-stack, whose images only the internet's registries have.
//!
//! It has the real chart's name, the pinned version and the same objects under the same names, made of the offline profile's manifests;
//! so `lab` and helm go the same way with it as with the real one.

use std::{fs, path::Path};

use lab_cli::{Paths, pins::pins};
use serde_json::Value;

/// In Grafana's place: something of ours that listens on a port.
const GRAFANA: &str = "
apiVersion: v1
kind: Secret
metadata: {name: prom-grafana, namespace: prometheus}
stringData: {admin-user: admin, admin-password: {{ randAlphaNum 40 | quote }}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: prom-grafana, namespace: prometheus}
spec:
  replicas: 1
  selector: {matchLabels: {app.kubernetes.io/name: grafana}}
  template:
    metadata: {labels: {app.kubernetes.io/name: grafana}}
    spec:
      containers:
      - name: grafana
        image: localhost/ebpf-lab/bookinfo:lab
        imagePullPolicy: IfNotPresent
        args: [details]
        ports: [{name: http, containerPort: 9080}]
        readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 1}
        securityContext: {runAsNonRoot: true, runAsUser: 65534, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
";

/// A hook that never ends: a helm that meets it stays at work until it is killed.
pub const ENDLESS: &str = "
apiVersion: batch/v1
kind: Job
metadata:
  name: endless
  namespace: prometheus
  annotations: {helm.sh/hook: pre-upgrade, helm.sh/hook-delete-policy: before-hook-creation}
spec:
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers: [{name: pause, image: 'localhost/ebpf-lab/pause:lab', imagePullPolicy: IfNotPresent}]
";

/// Writes the chart into an empty folder.
pub fn write(paths: &Paths, folder: &Path) {
    let pin = pins().unwrap().chart;
    let about = format!("apiVersion: v2\nname: {}\nversion: {}\n", pin.name, pin.version);
    fs::write(folder.join("Chart.yaml"), about).unwrap();
    fs::write(folder.join("values.yaml"), "{}\n").unwrap();
    let (templates, kinds) = (folder.join("templates"), folder.join("crds"));
    fs::create_dir(&templates).unwrap();
    fs::create_dir(&kinds).unwrap();
    for entry in fs::read_dir(paths.programs.join("manifests/prometheus-operator-crds")).unwrap() {
        let entry = entry.unwrap();
        let mut kind: Value = serde_saphyr::from_str(&fs::read_to_string(entry.path()).unwrap()).unwrap();
        // helm keeps the whole chart in one Secret, which takes 1 MiB at the most.
        forget_descriptions(&mut kind);
        fs::write(kinds.join(entry.file_name()), kind.to_string()).unwrap();
    }
    for file in ["operator", "prometheus", "kube-state-metrics", "node-exporter"] {
        let manifest = paths.checkout.join(format!("manifests/lab3/{file}.yaml"));
        let text = fs::read_to_string(manifest).unwrap();
        // helm itself makes the namespace.
        let documents = text.split("\n---\n").filter(|document| !document.contains("kind: Namespace"));
        let text = documents.collect::<Vec<_>>().join("\n---\n");
        // What the values file sets must arrive in the objects.
        let interval = "scrapeInterval: {{ .Values.prometheus.prometheusSpec.scrapeInterval }}";
        fs::write(templates.join(format!("{file}.yaml")), text.replace("scrapeInterval: 10s", interval)).unwrap();
    }
    fs::write(templates.join("grafana.yaml"), GRAFANA).unwrap();
}

fn forget_descriptions(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(forget_descriptions),
        Value::Object(fields) => {
            fields.retain(|name, field| name != "description" || !field.is_string());
            fields.values_mut().for_each(forget_descriptions);
        }
        _ => {}
    }
}
