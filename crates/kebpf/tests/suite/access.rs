//! A Prometheus that does not answer everybody: a login, a token, an authority of its own. What kebpf proves itself with is in no
//! output.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::authority::Authority;
use crate::bookinfo::Cluster;
use crate::fakes::{FakeKubernetes, FakePrometheus};
use crate::running::Kebpf;

const SECRET: &str = "s3cret";
/// `user:s3cret` in Base64.
const BASIC: &str = "Basic dXNlcjpzM2NyZXQ=";

/// The address with a login in it.
fn with_login(url: &str) -> String {
    url.replacen("://", &format!("://user:{SECRET}@"), 1)
}

async fn started(prometheus: &str, more: impl for<'a> FnOnce(&'a mut Command) -> &'a mut Command) -> Kebpf {
    let kubernetes = FakeKubernetes::start(Cluster::new()).await;
    Kebpf::start_with(prometheus, &kubernetes.url, more)
}

fn is_drawn(graph: &Value) -> bool {
    !graph["edges"].as_array().unwrap().is_empty() && graph["source"]["stale"].is_null()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_of_the_address_leads_to_prometheus() {
    let prometheus = FakePrometheus::start().await;
    prometheus.answer_only(BASIC);
    let kebpf = started(&with_login(&prometheus.url), |command| command).await;
    kebpf.graph_when(is_drawn).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_leads_to_prometheus_over_https_and_is_read_anew_when_it_changes() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let prometheus = FakePrometheus::start_encrypted(&authority).await;
    let token = folder.path().join("token");
    std::fs::write(&token, "first\n").unwrap();
    prometheus.answer_only("Bearer first");
    let kebpf = started(&prometheus.url, |command| {
        command.env("PROMETHEUS_CA_FILE", authority.file()).env("PROMETHEUS_TOKEN_FILE", &token)
    });
    let kebpf = kebpf.await;
    kebpf.graph_when(is_drawn).await;
    prometheus.answer_only("Bearer second");
    let stale = |graph: &Value| graph["source"]["stale"].as_str().is_some_and(|why| why.contains("401 Unauthorized"));
    kebpf.graph_when(stale).await;
    std::fs::write(&token, "second\n").unwrap();
    kebpf.graph_when(is_drawn).await;
    std::fs::remove_file(&token).unwrap();
    let stale =
        |graph: &Value| graph["source"]["stale"].as_str().is_some_and(|why| why.contains("failed to read the token"));
    kebpf.graph_when(stale).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_authority_is_not_trusted() {
    let prometheus = FakePrometheus::start_encrypted(&Authority::new()).await;
    let other = Authority::new();
    let kebpf = started(&prometheus.url, |command| command.env("PROMETHEUS_CA_FILE", other.file())).await;
    let refused = |graph: &Value| graph["source"]["stale"].as_str().is_some_and(|why| why.contains("certificate"));
    kebpf.graph_when(refused).await;
}

/// Whatever is wrong with Prometheus: it is told, and the password is not.
#[tokio::test(flavor = "multi_thread")]
async fn no_output_holds_the_password() {
    let (plain, encrypted) = (FakePrometheus::start().await, FakePrometheus::start_encrypted(&Authority::new()).await);
    let (confused, strict) = (FakePrometheus::start().await, FakePrometheus::start().await);
    confused.answer_instead(200, "<html>a login page</html>");
    strict.answer_only("Bearer other");
    let other = Authority::new();
    for (url, told) in [
        ("http://127.0.0.1:1", "can't be reached"),
        (&encrypted.url, "can't be reached"),
        (&confused.url, "is not Prometheus"),
        (&strict.url, "401 Unauthorized"),
        (&plain.url, ""),
    ] {
        let mut kebpf = started(&with_login(url), |command| command.env("PROMETHEUS_CA_FILE", other.file())).await;
        let is_told = |graph: &Value| match graph["source"]["stale"].as_str() {
            Some(why) => !told.is_empty() && why.contains(told),
            None => told.is_empty(),
        };
        let mut outputs = vec![kebpf.graph_when(is_told).await.to_string()];
        outputs.push(kebpf.events("/api/events").await.next().await.unwrap().to_string());
        for path in ["/", "/readyz", "/healthz", "/nowhere"] {
            outputs.push(kebpf.get(path).await.1);
        }
        outputs.push(kebpf.terminate().await.1);
        assert!(outputs.iter().all(|output| !has_secret(output)), "{url}: {outputs:#?}");
    }
}

#[test]
fn nor_does_what_it_says_of_wrong_settings() {
    for address in
        ["ftp://user:s3cret@prom", "http://user:s3cret@", "http://user:1/s3cret@prom", "http://user:s3cret@prom"]
    {
        for arguments in [&["--help"][..], &["-h"], &["--prometheus-token-file", "/nowhere"], &["--interval", "0"]] {
            let (_, said) = Kebpf::ends(|command| command.env("PROMETHEUS_ENDPOINT", address).args(arguments));
            assert!(!said.is_empty() && !has_secret(&said), "{address} {arguments:?}: {said}");
            let (_, said) = Kebpf::ends(|command| command.args(["--prometheus", address]).args(arguments));
            assert!(!said.is_empty() && !has_secret(&said), "{address} {arguments:?}: {said}");
        }
    }
}

fn has_secret(output: &str) -> bool {
    output.contains(SECRET) || output.contains(&BASIC["Basic ".len()..])
}
