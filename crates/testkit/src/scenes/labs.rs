//! The six labs, one after the other, and what they must show.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lab_cli::patience::stretched;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::{Run, Scene, TestCluster, until};

/// On a cluster that is not there yet.
pub const FIRST: &[(&str, Scene)] = &[("lab_all_runs_every_step_and_passes_every_check", all_labs)];

/// Once the six labs are done.
pub const SCENES: &[(&str, Scene)] = &[
    ("a_second_run_changes_nothing_and_is_quick", second_run),
    ("the_cluster_and_the_labs_fit_in_the_memory_that_is_promised", memory),
    ("every_node_sees_the_same_bookinfo_edges_and_no_other", edges_by_promql),
    ("the_graph_holds_the_edges_of_bookinfo_and_no_other", graph),
    ("bee_runs_with_two_capabilities_and_kebpf_may_only_read", least_privilege),
    ("bookinfo_and_kebpf_start_where_pod_security_is_restricted", restricted),
    ("objects_applied_by_hand_pass_and_are_adopted", by_hand),
    ("a_second_lab_names_the_holder_of_the_lock", lock),
];

/// What Bookinfo's services call, as lab 5 and lab 6 must find it.
const EDGES: [(&str, &str); 3] = [("productpage", "details"), ("productpage", "reviews"), ("reviews", "ratings")];

fn all_labs(cluster: &TestCluster) {
    cluster.lab(&["clean"]).succeeds();
    std::thread::scope(|scope| {
        let labs = scope.spawn(|| every_lab(cluster));
        // 47 s on two quiet cores, where the aim is 60.
        assert!(until(Duration::from_secs(90), || labs.is_finished()), "lab all takes longer than it did");
        labs.join().unwrap();
    });
}

/// Runs the six labs; each must report its steps and its checks.
pub fn every_lab(cluster: &TestCluster) -> Run {
    let run = cluster.lab(&["lab", "all", "--json"]).succeeds();
    eprintln!("lab all, everything built: {:.1} s", run.took.as_secs_f64());
    let records = run.records();
    for lab in 1..=6 {
        let of_lab =
            |kind: &str| records.iter().filter(|record| record["lab"] == lab && record["kind"] == kind).count();
        assert!(of_lab("step") > 0, "lab {lab} reports no step");
        assert!(of_lab("check") > 0, "lab {lab} reports no check");
    }
    assert!(records.iter().all(|record| record["version"] == 2), "every record says its version");
    run
}

fn second_run(cluster: &TestCluster) {
    let run = cluster.lab(&["lab", "2-6", "--json"]).succeeds();
    eprintln!("labs 2-6 a second time: {:.1} s", run.took.as_secs_f64());
    let changed: Vec<_> = run.records().into_iter().filter(|record| record["outcome"] == "changed").collect();
    // Lab 5's requests are made anew each time.
    let unexpected: Vec<_> =
        changed.iter().filter(|record| !record["title"].as_str().unwrap_or_default().contains("requests")).collect();
    assert!(unexpected.is_empty(), "these steps changed something: {unexpected:#?}");
}

fn memory(cluster: &TestCluster) {
    let total = cluster.memory();
    eprintln!("memory of the cluster and its labs: {} MB", total / 1_000_000);
    assert!(total > 200_000_000, "a real cluster takes more than {total} bytes");
    assert!(total < cluster.most_memory, "{total} bytes, {} at most", cluster.most_memory);
}

/// `ebpf_solo_io_events_hash` before and after 20 requests: the difference is the same on every node.
fn edges_by_promql(cluster: &TestCluster) {
    let by_node = "sum by (instance, pod_ip, cluster_ip) (ebpf_solo_io_events_hash)";
    let names = bookinfo_addresses(cluster);
    let before = scraped(cluster, by_node);
    cluster.lab(&["traffic"]).succeeds();
    let after = scraped(cluster, by_node);
    let mut nodes: BTreeMap<String, BTreeMap<(String, String), u64>> = BTreeMap::new();
    for (labels, value) in &after {
        let grown = (value - before.get(labels).copied().unwrap_or_default()) as u64;
        let label =
            |name: &str| labels.split(',').find_map(|pair| pair.strip_prefix(name)).unwrap_or_default().to_owned();
        let ends = (names.get(&label("pod_ip=")), names.get(&label("cluster_ip=")));
        if let ((Some(source), Some(target)), true) = (ends, grown > 0) {
            let edges = nodes.entry(label("instance=")).or_default();
            *edges.entry((source.clone(), target.clone())).or_default() += grown;
        }
    }
    assert_eq!(nodes.len(), 3, "one target a node: {nodes:#?}");
    let first = nodes.values().next().unwrap();
    assert!(nodes.values().all(|edges| edges == first), "the nodes disagree: {nodes:#?}");
    let pairs: Vec<_> = first.keys().map(|(source, target)| (source.as_str(), target.as_str())).collect();
    assert_eq!(pairs, EDGES, "{first:#?}");
    let count = |source: &str, target: &str| first[&(source.to_owned(), target.to_owned())];
    assert_eq!(count("productpage", "details"), 20);
    assert_eq!(count("productpage", "reviews"), 20);
}

/// The samples once every node was scraped after this moment: the probe counts a connection while it is made.
fn scraped(cluster: &TestCluster, promql: &str) -> BTreeMap<String, f64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let since = || cluster.query("min(timestamp(up{job=\"default/bumblebee\"}))").into_values().next();
    let are_new = until(Duration::from_secs(60), || since().is_some_and(|since| since > now));
    assert!(are_new, "bee is not scraped: the last time is {:?}, and it was {now}", since());
    cluster.query(promql)
}

/// Bookinfo's pod addresses and ClusterIPs by service.
fn bookinfo_addresses(cluster: &TestCluster) -> BTreeMap<String, String> {
    let pods = cluster.kubectl(&[
        "get",
        "pods",
        "-l",
        "app in (productpage,details,reviews,ratings)",
        "-o",
        "jsonpath={range .items[*]}{.status.podIP} {.metadata.labels.app}{\"\\n\"}{end}",
    ]);
    let services = cluster.kubectl(&[
        "get",
        "services",
        "productpage",
        "details",
        "reviews",
        "ratings",
        "-o",
        "jsonpath={range .items[*]}{.spec.clusterIP} {.metadata.name}{\"\\n\"}{end}",
    ]);
    let pairs = pods.lines().chain(services.lines()).filter_map(|line| line.split_once(' '));
    pairs.map(|(ip, name)| (ip.to_owned(), name.to_owned())).collect()
}

fn graph(cluster: &TestCluster) {
    let address = cluster.lab(&["open"]).succeeds().stdout.trim().to_owned();
    assert_eq!(address, format!("http://{}", cluster.first_address), "the first address of the pool");
    let page = http_get(&address);
    assert!(page.contains("<html"), "the page answers on the host: {page}");
    let graph: Value = serde_json::from_str(&http_get(&format!("{address}/api/graph"))).expect("the graph is JSON");
    let nodes = graph["nodes"].as_array().unwrap();
    let edges = bookinfo_edges(&graph);
    let edges: Vec<_> = edges.iter().map(|(source, target)| (source.as_str(), target.as_str())).collect();
    assert_eq!(edges, EDGES);
    let reviews = nodes.iter().find(|node| node["id"] == "service/default/reviews").expect("reviews is a node");
    let workloads = reviews["workloads"].as_array().unwrap();
    assert_eq!(workloads.len(), 3, "a service and its workloads are one node: {reviews}");
    assert!(!nodes.iter().any(|node| node["id"] == "deployment/default/reviews-v1"), "no second node for a workload");
    // This machine itself is outside: checks ask the page through its LoadBalancer address.
    let host = format!("external/{}", cluster.machine);
    let external: Vec<_> =
        nodes.iter().filter(|node| node["kind"] == "external" && node["id"] != host.as_str()).collect();
    assert!(external.is_empty(), "nothing else is outside: {external:#?}");
}

fn least_privilege(cluster: &TestCluster) {
    let context = "{.spec.template.spec.containers[0].securityContext}";
    let text = cluster.kubectl(&["get", "daemonset", "bumblebee", "-o", &format!("jsonpath={context}")]);
    let context: Value = serde_json::from_str(&text).unwrap();
    assert_ne!(context["privileged"], true);
    assert_eq!(context["capabilities"], serde_json::json!({"add": ["BPF", "PERFMON"], "drop": ["ALL"]}));

    let user = "--as=system:serviceaccount:default:kebpf";
    let may = |verb: &str, what: &str| cluster.try_kubectl(&["auth", "can-i", verb, what, user]).stdout.trim() == "yes";
    assert!(may("list", "pods") && may("watch", "services"), "kebpf reads what it draws");
    for (verb, what) in [("list", "secrets"), ("create", "pods"), ("delete", "services"), ("get", "configmaps")] {
        assert!(!may(verb, what), "kebpf may {verb} {what}");
    }
}

fn restricted(cluster: &TestCluster) {
    let namespace = "restricted-labs";
    cluster.apply(&format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {namespace}\n  labels:\n    pod-security.kubernetes.io/enforce: restricted\n"
    ));
    let manifests = cluster.paths().checkout.join("manifests");
    // What of kebpf carries its label; its role is the cluster's and is there already.
    for (file, more) in [("lab4/bookinfo.yaml", &[][..]), ("lab6/kebpf.yaml", &["--selector", "app"][..])] {
        let file = manifests.join(file);
        cluster.kubectl(&[&["apply", "-n", namespace, "-f", file.to_str().unwrap()], more].concat());
    }
    for deployment in ["deployment/productpage-v1", "deployment/details-v1", "deployment/reviews-v1"] {
        cluster.kubectl_waits(&["rollout", "status", "-n", namespace, deployment]);
    }
    let running = "--for=jsonpath={.status.phase}=Running";
    cluster.kubectl_waits(&["wait", "pods", "-n", namespace, "-l", "app=kebpf", running]);
    let user = cluster.kubectl(&["get", "pods", "-n", namespace, "-o", "jsonpath={..runAsUser}"]);
    assert!(user.split_whitespace().all(|uid| uid == "65534"), "{user}");
    // Names resolve as that user: the page comes from details and reviews by their Service names.
    let get = [
        "exec",
        "-n",
        namespace,
        "deploy/productpage-v1",
        "--",
        "/bin/bookinfo",
        "get",
        "http://productpage:9080/productpage",
    ];
    // A Service that is new is known to every node a moment later.
    let answered = until(Duration::from_secs(10), || cluster.try_kubectl(&get).stdout.contains("200"));
    assert!(answered, "{}", cluster.try_kubectl(&get).stderr);
    cluster.kubectl(&["delete", "namespace", namespace, "--wait=false"]);
}

/// What the workshop's text tells a person to type, with our image in place of the original's.
fn by_hand(cluster: &TestCluster) {
    cluster.lab(&["reset", "5"]).succeeds();
    cluster.apply(BY_HAND);
    // Without a readiness probe nothing tells when the probes are attached; requests made before are not seen. The
    // check then asks for them again, and so does a person.
    let passes = until(Duration::from_secs(120), || {
        cluster.lab(&["traffic"]).succeeds();
        let run = cluster.lab(&["check", "5", "--wait", "30s"]);
        assert!(run.code == 0 || run.stderr.contains("cargo xtask traffic"), "{}", run.stderr);
        run.code == 0
    });
    assert!(passes, "what was applied by hand does not pass");
    cluster.lab(&["lab", "5"]).succeeds();
    let label = "jsonpath={.metadata.labels.app\\.kubernetes\\.io/managed-by}";
    assert_eq!(cluster.kubectl(&["get", "daemonset", "bumblebee", "-o", label]), "ebpf-lab", "lab 5 adopts it");
}

const BY_HAND: &str = r#"
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: bumblebee}
spec:
  selector: {matchLabels: {app: bumblebee}}
  template:
    metadata: {labels: {app: bumblebee}}
    spec:
      tolerations: [{operator: Exists}]
      containers:
      - name: bumblebee
        image: localhost/ebpf-lab/bee:lab
        command: [bee]
        args: [run, /probes/tcpconnect.o, --no-tty]
        ports: [{name: http-monitoring, containerPort: 9091}]
        securityContext: {capabilities: {drop: [ALL], add: [BPF, PERFMON]}}
---
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: bumblebee, labels: {monitoring: bumblebee, release: prom}}
spec:
  selector: {matchLabels: {app: bumblebee}}
  jobLabel: bumblebee-stats
  podMetricsEndpoints:
  - port: http-monitoring
    path: /metrics
    interval: 15s
    metricRelabelings:
    - {action: replace, sourceLabels: [saddr], targetLabel: pod_ip}
    - {action: replace, sourceLabels: [daddr], targetLabel: cluster_ip}
"#;

/// The holder stands still meanwhile: whoever waited for it would wait for ever.
fn lock(cluster: &TestCluster) {
    let kubeconfig = cluster.lab(&["kubeconfig"]).succeeds().stdout;
    let note = Path::new(kubeconfig.trim()).with_file_name("lock");
    let mut first = cluster.command(&["lab", "2-6"]).stderr(Stdio::null()).spawn().unwrap();
    let holder = format!("process {},", first.id());
    let holds = || fs::read_to_string(&note).is_ok_and(|text| text.contains(&holder));
    let held = until(Duration::from_secs(20), holds);
    let signal = |signal| kill(Pid::from_raw(first.id().try_into().unwrap()), signal).unwrap();
    signal(Signal::SIGSTOP);
    let mut status = cluster.command(&["status"]).stdout(Stdio::null()).spawn().unwrap();
    let status_ends = until(Duration::from_secs(20), || status.try_wait().unwrap().is_some());
    let busy = held.then(|| cluster.lab(&["lab", "2"]));
    signal(Signal::SIGCONT);
    first.wait().unwrap();
    status.wait().unwrap();
    let busy = busy.expect("the first lab takes the lock");
    assert_eq!(busy.code, 5, "the second lab is refused while the first runs: {}", busy.stderr);
    assert!(busy.stderr.contains(&holder), "it names the holder: {}", busy.stderr);
    assert!(status_ends, "status never waits");
}

/// The edges of a graph between Bookinfo's services, sorted.
pub fn bookinfo_edges(graph: &Value) -> Vec<(String, String)> {
    let bookinfo = |id: &Value| {
        let name = id.as_str().and_then(|id| id.strip_prefix("service/default/")).unwrap_or_default().to_owned();
        ["productpage", "details", "reviews", "ratings"].contains(&name.as_str()).then_some(name)
    };
    let edges = graph["edges"].as_array().unwrap().iter();
    let mut edges: Vec<_> =
        edges.filter_map(|edge| Some((bookinfo(&edge["source"])?, bookinfo(&edge["target"])?))).collect();
    edges.sort();
    edges
}

pub fn http_get(url: &str) -> String {
    let longest = stretched(Duration::from_secs(5)).as_secs().to_string();
    let output =
        std::process::Command::new("curl").args(["-sS", "--max-time", &longest, url]).output().expect("start curl");
    assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
