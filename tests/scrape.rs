//! What a real Prometheus makes of bee's metrics: in the text format and in OpenMetrics they have the same names, labels and values.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::{Child, Command, Stdio},
};

use lab_cli::Paths;
use serde_json::{Value, json};
use testkit::{
    connections::Pair,
    probe::{Run, free_port, until},
    scenes::labs::http_get,
};

const FORMATS: [(&str, &str); 2] = [("text", "PrometheusText0.0.4"), ("openmetrics", "OpenMetricsText1.0.0")];
/// `{__name__=~"ebpf_solo_io_.+|bee_.+"}`.
const ALL: &str = "%7B__name__%3D~%22ebpf_solo_io_.%2B%7Cbee_.%2B%22%7D";

/// A name and its labels.
type Series = BTreeMap<String, String>;

#[test]
#[ignore = "needs root (loads probes) and every program built"]
fn metrics_have_the_same_names_in_both_formats() {
    let paths = Paths::from_environment().expect("run this with `cargo xtask test`");
    let folder = tempfile::tempdir().unwrap();
    let bee = paths.bin.join("bee");
    let object = folder.path().join("probe.o");
    let source = paths.checkout.join("probes/tcpconnect.bpf.c");
    let built = Command::new(&bee).arg("build").arg(source).arg("--output-file").arg(&object).status().unwrap();
    assert!(built.success());
    let run = Run::start(Command::new(&bee), &object, &[]);
    let pair = Pair::of(80);
    pair.connect(1, 25);

    let prometheus = Prometheus::start(&paths, folder.path(), run.port());
    let ours = format!("{{daddr=\"{}\",saddr=\"{}\"}}", pair.target, pair.source);
    let both = || FORMATS.map(|(job, _)| prometheus.series(job));
    let has_pair = |series: &Series| {
        ["hash", "ring"]
            .iter()
            .all(|map| series.get(&format!("ebpf_solo_io_events_{map}{ours}")).is_some_and(|value| value == "25"))
    };
    assert!(until(|| both().iter().all(has_pair)), "{:?}", both());
    let [text, open] = both().map(|series| series.into_keys().collect::<BTreeSet<_>>());
    assert_eq!(text, open);
    assert!(text.iter().any(|name| name.starts_with("bee_events_lost_total{map=")), "{text:?}");
    let types = FORMATS.map(|(job, _)| prometheus.type_of(job, "ebpf_solo_io_events_hash"));
    assert_eq!(types, ["counter", "unknown"]);
}

/// A Prometheus that scrapes one target twice, once in each format; it ends when dropped.
struct Prometheus {
    child: Child,
    port: u16,
}

impl Prometheus {
    fn start(paths: &Paths, folder: &std::path::Path, target: u16) -> Self {
        let job = |(name, protocol): (&str, &str)| {
            json!({ "job_name": name, "scrape_interval": "1s", "scrape_protocols": [protocol],
                "static_configs": [{ "targets": [format!("localhost:{target}")] }] })
        };
        // YAML is JSON's superset.
        let configuration = folder.join("prometheus.yml");
        fs::write(&configuration, json!({ "scrape_configs": FORMATS.map(job) }).to_string()).unwrap();
        let port = free_port();
        let child = Command::new(paths.programs.join("bin/prometheus"))
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let prometheus = Self { child, port };
        let answers = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        assert!(until(answers), "Prometheus does not answer");
        prometheus
    }

    fn ask(&self, path: &str) -> Value {
        serde_json::from_str(&http_get(&format!("http://127.0.0.1:{}/api/v1/{path}", self.port))).unwrap_or_default()
    }

    /// What it scraped last of a job, by name and labels, without those that Prometheus adds.
    fn series(&self, job: &str) -> Series {
        let answer = self.ask(&format!("query?query={ALL}"));
        let results = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let of_job = results.iter().filter(|result| result["metric"]["job"] == job);
        of_job.map(|result| (name(&result["metric"]), result["value"][1].as_str().unwrap().to_owned())).collect()
    }

    fn type_of(&self, job: &str, metric: &str) -> String {
        let answer = self.ask(&format!("targets/metadata?metric={metric}"));
        let entries = answer["data"].as_array().cloned().unwrap_or_default();
        let entry = entries.iter().find(|entry| entry["target"]["job"] == job).unwrap();
        entry["type"].as_str().unwrap().to_owned()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn name(metric: &Value) -> String {
    let labels = metric.as_object().unwrap().iter();
    let own = labels.filter(|(name, _)| !["__name__", "job", "instance"].contains(&name.as_str()));
    let own: Vec<_> = own.map(|(name, value)| format!("{name}=\"{}\"", value.as_str().unwrap())).collect();
    format!("{}{{{}}}", metric["__name__"].as_str().unwrap(), own.join(","))
}
