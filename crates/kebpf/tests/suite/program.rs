//! The program itself, between a fake Prometheus and a fake Kubernetes API: both speak the real protocols over HTTP,
//! the first answers from recorded series, the second lists and watches recorded objects.

use kebpf::api::{STREAMS, STREAMS_OF_AN_ADDRESS};
use serde_json::{Value, json};

use crate::bookinfo::{self, Cluster};
use crate::fakes::{FakeKubernetes, FakePrometheus};
use crate::running::{Kebpf, until};

async fn started() -> (FakePrometheus, FakeKubernetes, Kebpf) {
    let prometheus = FakePrometheus::start().await;
    let kubernetes = FakeKubernetes::start(Cluster::new()).await;
    let kebpf = Kebpf::start(&prometheus.url, &kubernetes.url);
    (prometheus, kubernetes, kebpf)
}

fn has_edge(graph: &Value, source: &str, target: &str, connections: u64) -> bool {
    let edges = graph["edges"].as_array().unwrap();
    edges.iter().any(|edge| edge["source"] == source && edge["target"] == target && edge["connections"] == connections)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_fake_prometheus_of_three_nodes_each_connection_is_counted_once() {
    let (_prometheus, _kubernetes, kebpf) = started().await;
    let graph = kebpf.graph_when(|graph| !graph["edges"].as_array().unwrap().is_empty()).await;
    assert!(has_edge(&graph, "service/default/productpage", "service/default/details", 20), "{graph:#}");
    assert!(has_edge(&graph, "service/default/productpage", "service/default/reviews", 20), "{graph:#}");
    assert!(has_edge(&graph, "service/default/reviews", "service/default/ratings", 13), "{graph:#}");
    let details = graph["edges"].as_array().unwrap().iter().find(|e| e["target"] == "service/default/details").unwrap();
    assert!(details["per_second"].as_f64().unwrap() > 0.0);
    assert_eq!(graph["source"]["stale"], Value::Null);
    assert_eq!(kebpf.get("/readyz").await, (200, "ok\n".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_fake_prometheus_that_fails_the_last_graph_stays_and_says_that_it_is_stale() {
    let (prometheus, _kubernetes, kebpf) = started().await;
    let before = kebpf.graph_when(|graph| !graph["edges"].as_array().unwrap().is_empty()).await;
    for (status, body, told) in [
        (200, "<html>a login page</html>", "is not Prometheus: <html>a login page</html>"),
        (
            422,
            r#"{"status":"error","errorType":"execution","error":"too many samples"}"#,
            "422 Unprocessable Entity: too many samples",
        ),
        (503, "Service Unavailable", "503 Service Unavailable"),
    ] {
        prometheus.answer_instead(status, body);
        let stale = kebpf.graph_when(|g| g["source"]["stale"].as_str().is_some_and(|why| why.contains(told))).await;
        assert_eq!(stale["edges"], before["edges"], "{told}");
    }
    prometheus.answer_truly();
    kebpf.graph_when(|graph| graph["source"]["stale"].is_null()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_fake_prometheus_whose_answer_never_ends_it_is_refused() {
    let (prometheus, _kubernetes, kebpf) = started().await;
    prometheus.answer_instead(200, &" ".repeat(17 << 20));
    let longer =
        |graph: &Value| graph["source"]["stale"].as_str().is_some_and(|why| why.contains("longer than 16 MiB"));
    kebpf.graph_when(longer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_prometheus_it_is_ready_and_says_what_can_not_be_reached() {
    let kubernetes = FakeKubernetes::start(Cluster::new()).await;
    let kebpf = Kebpf::start("http://127.0.0.1:1", &kubernetes.url);
    let graph =
        kebpf.graph_when(|graph| graph["source"]["stale"].as_str().is_some_and(|why| why.contains("refused"))).await;
    assert_eq!(graph["nodes"], json!([]));
    assert_eq!(kebpf.get("/readyz").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_fake_kubernetes_that_forbids_a_list_it_is_not_ready_and_draws_nothing() {
    let prometheus = FakePrometheus::start().await;
    let mut cluster = Cluster::new();
    cluster.0.retain(|(path, _)| *path != "/api/v1/pods");
    let kubernetes = FakeKubernetes::start(cluster).await;
    let kebpf = Kebpf::start(&prometheus.url, &kubernetes.url);
    let forbidden =
        |graph: &Value| graph["source"]["stale"].as_str().is_some_and(|why| why.contains("pods is forbidden"));
    let graph = kebpf.graph_when(forbidden).await;
    assert_eq!(graph["nodes"], json!([]), "without pods every pod would look external");
    assert_eq!(kebpf.get("/readyz").await.0, 503);
    assert_eq!(kebpf.get("/healthz").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_has_just_been_deleted_is_still_known_and_never_external() {
    let (prometheus, kubernetes, kebpf) = started().await;
    let curl = bookinfo::pod("curl", "default", "10.101.1.99", "curl", None);
    kubernetes.event("/api/v1/pods", "ADDED", &curl);
    prometheus.count("10.101.1.99", "10.1.10.1", 1);
    let is_drawn = |graph: &Value| has_edge(graph, "pod/default/curl", "service/default/productpage", 1);
    kebpf.graph_when(is_drawn).await;

    kubernetes.event("/api/v1/pods", "DELETED", &curl);
    prometheus.count("10.101.1.99", "10.1.10.2", 1);
    kebpf.graph_when(|graph| has_edge(graph, "pod/default/curl", "service/default/details", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_an_event_and_the_stream_ends_with_the_program() {
    let (prometheus, _kubernetes, mut kebpf) = started().await;
    kebpf.graph_when(|graph| !graph["edges"].as_array().unwrap().is_empty()).await;
    let mut events = kebpf.events("/api/events?namespace=default").await;
    assert!(has_edge(&events.next().await.unwrap(), "service/default/productpage", "service/default/details", 20));

    prometheus.count(bookinfo::PRODUCTPAGE_POD, "10.1.10.2", 21);
    while !has_edge(&events.next().await.unwrap(), "service/default/productpage", "service/default/details", 21) {}

    let (status, said) = kebpf.terminate().await;
    assert!(status.success(), "{status}");
    assert!(!said.contains("closing connections that were still open"), "the stream ended by itself: {said}");
    while events.next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn more_streams_than_allowed_are_turned_away_and_no_address_gets_all() {
    let (_prometheus, _kubernetes, kebpf) = started().await;
    let stream = async |client| kebpf.ask_from(client, "/api/events").await;
    let mut open = Vec::new();
    for client in [[127, 0, 0, 1], [127, 0, 0, 2]] {
        for _ in 0..STREAMS_OF_AN_ADDRESS {
            open.push(stream(client).await);
        }
        assert_eq!(stream(client).await.status(), 429);
    }
    assert_eq!(open.len(), STREAMS);
    assert!(open.iter().all(|stream| stream.status() == 200));
    let full = stream([127, 0, 0, 3]).await;
    assert_eq!((full.status().as_u16(), full.headers()["retry-after"].to_str().unwrap()), (503, "10"));
    drop(open.pop());
    // The server notices a closed connection when it next has something to say.
    until("a stream is free", async || stream([127, 0, 0, 3]).await.status() == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_requests_for_its_own_names_are_answered() {
    let prometheus = FakePrometheus::start().await;
    let mut cluster = Cluster::new();
    let services = cluster.0.iter_mut().find(|(path, _)| *path == "/api/v1/services").unwrap();
    services.1.last_mut().unwrap()["status"]["loadBalancer"] = json!({"ingress": [{"hostname": "lb-7.cloud.example"}]});
    let kubernetes = FakeKubernetes::start(cluster).await;
    let kebpf = Kebpf::start_with(&prometheus.url, &kubernetes.url, |command| {
        command.env("KEBPF_ALLOWED_HOSTS", "kebpf,kebpf.default.svc")
    });
    kebpf.graph_when(|graph| !graph["edges"].as_array().unwrap().is_empty()).await;
    let ours = ["127.0.0.1", "localhost:8080", "kebpf", "kebpf.default.svc:80", "lb-7.cloud.example"];
    for path in ["/", "/page.js", "/api/graph", "/api/events", "/readyz", "/healthz"] {
        for host in ours {
            assert_eq!(kebpf.ask(path, |request| request.header("host", host)).await.status(), 200, "{path} of {host}");
        }
        let strange = kebpf.ask(path, |request| request.header("host", "evil.example")).await;
        assert_eq!(strange.status(), 421, "{path}");
        let told = strange.text().await.unwrap();
        assert!(told.contains("unknown host evil.example") && told.contains("--allowed-host"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_guarded_also_those_that_refuse() {
    let (_prometheus, _kubernetes, kebpf) = started().await;
    for path in ["/", "/page.css", "/api/graph", "/api/events", "/readyz", "/healthz", "/nowhere"] {
        for host in ["localhost", "evil.example"] {
            let answer = kebpf.ask(path, |request| request.header("host", host)).await;
            let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!(header("x-content-type-options"), Some("nosniff"), "{path}");
            assert_eq!(header("cache-control"), Some("no-store"), "{path}");
            assert!(header("content-security-policy").unwrap().contains("frame-ancestors 'none'"), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_the_environment_is_asked_for_nothing() {
    let prometheus = FakePrometheus::start().await;
    let kubernetes = FakeKubernetes::start(Cluster::new()).await;
    let proxies = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    let kebpf = Kebpf::start_with(&prometheus.url, &kubernetes.url, |command| {
        command.envs(proxies.map(|name| (name, "http://127.0.0.1:1")))
    });
    let graph = kebpf.graph_when(|graph| !graph["edges"].as_array().unwrap().is_empty()).await;
    assert_eq!(graph["source"]["stale"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_loads_everything_from_here() {
    let (_prometheus, _kubernetes, kebpf) = started().await;
    let (status, page) = kebpf.get("/").await;
    assert_eq!(status, 200);
    for part in ["/page.js", "/page.css", "/icon.svg"] {
        assert!(page.contains(&format!("\"{part}\"")), "{part} is not part of the page");
        assert_eq!(kebpf.get(part).await.0, 200, "{part}");
    }
    assert!(!page.contains("://"), "the page names another server");
}

#[test]
fn wrong_settings_end_at_once_with_what_is_wrong() {
    for (arguments, told) in [
        (&["--prometheus", "prom:9090"][..], "invalid Prometheus address `prom:9090`"),
        (&["--kubeconfig", "/nowhere/config"], "failed to read /nowhere/config"),
        (&["--cluster-range", "10.1"], "invalid value '10.1'"),
        (&["--interval", "0"], "0 is not in 1..=3600"),
        (&["--allowed-host", "graph.example:80"], "expected the name of a host, without a port"),
        (&["--prometheus-token-file", "/nowhere"], "failed to read the token of Prometheus from /nowhere"),
        (&["--prometheus-ca-file", "/nowhere"], "failed to read the authorities of Prometheus from /nowhere"),
        (&["--prometheus-ca-file", "/dev/null"], "it holds no certificate"),
        (&["--prometheus", "http://u:p@prom", "--prometheus-token-file", "/dev/null"], "expected one of them"),
    ] {
        let (status, said) = Kebpf::ends(|command| command.args(arguments));
        assert!(!status.success() && said.contains(told), "{arguments:?}: {said}");
    }
}

#[test]
fn without_any_authority_https_is_refused_at_once() {
    let (status, said) = Kebpf::ends(|command| {
        command
            .args(["--prometheus", "https://prom"])
            .envs([("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/dev/null")])
    });
    assert!(!status.success() && said.contains("--prometheus-ca-file names the authorities"), "{said}");
}
