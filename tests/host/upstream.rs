//! The upstream profile as far as it goes without the internet: helm installs a chart of ours by the code path of the real one, and a
//! node pulls an image from a real registry through the proxy.

use std::{
    fs,
    net::{TcpStream, ToSocketAddrs},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use lab_cli::patience::stretched;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use testkit::{
    Run, TestCluster, TestRegistry, chart, machine,
    registry::{OwnAddress, Wants},
    until,
};

use crate::Scene;

pub const SCENES: &[(&str, Scene)] = &[
    ("without_internet_lab_2_says_so_and_starts_nothing", no_internet),
    ("a_chart_that_is_another_is_refused_and_nothing_is_made", another_chart),
    ("helm_installs_a_local_chart_and_check_3_passes_with_grafana", install),
    ("check_3_fails_when_grafana_is_missing", without_grafana),
    ("kinds_that_are_there_are_used_whoever_made_them", foreign_kinds),
    ("lab_3_finishes_what_a_killed_helm_left_half_done", killed_helm),
    ("the_dashboards_queries_are_answered_by_prometheus", dashboard),
    ("a_release_that_is_not_ours_is_left_alone_on_a_context", foreign_release),
    ("reset_3_removes_the_release_the_dashboard_and_the_namespace", reset),
    ("a_node_pulls_an_image_from_a_registry_through_the_proxy", pull),
];

/// Those of `lab` with the profile.
fn lab(cluster: &TestCluster, args: &[&str]) -> Run {
    cluster.lab(&[args, &["--profile", "upstream"]].concat())
}

/// Lab 3 with the chart in a folder.
fn lab3(cluster: &TestCluster, chart: &Path) -> Run {
    lab(cluster, &["lab", "3", "--chart", chart.to_str().unwrap(), "--json"])
}

fn local_chart(cluster: &TestCluster) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    chart::write(cluster.paths(), folder.path());
    folder
}

fn no_internet(cluster: &TestCluster) {
    let registry = "quay.io:443".to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    if registry.is_some_and(|address| TcpStream::connect_timeout(&address, Duration::from_secs(5)).is_ok()) {
        eprintln!("this machine has internet: there is nothing to refuse");
        return;
    }
    cluster.lab(&["clean"]).succeeds();
    let before = machine::traces();
    let run = lab(cluster, &["lab", "2"]);
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(run.stderr.contains("which this machine does not reach"), "{}", run.stderr);
    assert!(run.stderr.contains("hint: use --profile offline"), "{}", run.stderr);
    // What is gone meanwhile is somebody else's.
    let difference = machine::difference(&before, &machine::traces());
    let made: Vec<_> = difference.iter().filter(|trace| trace.starts_with('+')).collect();
    assert!(made.is_empty(), "{made:#?}");
}

fn another_chart(cluster: &TestCluster) {
    // The offline profile's cluster has the images that the chart's pods run.
    cluster.lab(&["lab", "2"]).succeeds();
    let folder = local_chart(cluster);
    fs::write(folder.path().join("Chart.yaml"), "apiVersion: v2\nname: kube-prometheus-stack\nversion: 1.2.3\n")
        .unwrap();
    let run = lab3(cluster, folder.path());
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(run.stderr.contains("is kube-prometheus-stack 1.2.3, the labs need"), "{}", run.stderr);
    let run = lab3(cluster, Path::new("/nowhere"));
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(run.stderr.contains("/nowhere is not a chart"), "{}", run.stderr);
    let namespace = cluster.try_kubectl(&["get", "namespace", "prometheus"]);
    assert!(namespace.stderr.contains("not found"), "nothing is half-made: {}", namespace.stdout);
}

fn install(cluster: &TestCluster) {
    let folder = local_chart(cluster);
    let run = lab3(cluster, folder.path()).succeeds();
    assert!(run.stderr.contains("secret prom-grafana"), "it says how to get at Grafana: {}", run.stderr);
    let checks = run.records().into_iter().filter(|record| record["kind"] == "check").count();
    assert_eq!(checks, 5, "the seed's five workloads");
    let interval = [
        "get",
        "prometheus/prom-kube-prometheus-stack-prometheus",
        "-n",
        "prometheus",
        "-o",
        "jsonpath={.spec.scrapeInterval}",
    ];
    assert_eq!(cluster.kubectl(&interval), "10s", "our values reached the chart");
    let label = "jsonpath={.metadata.labels.grafana_dashboard}";
    assert_eq!(cluster.kubectl(&["get", "configmap/bumblebee-dashboard", "-n", "prometheus", "-o", label]), "1");
    let again = lab3(cluster, folder.path()).succeeds();
    let changed: Vec<_> = again.records().into_iter().filter(|record| record["outcome"] == "changed").collect();
    assert!(changed.is_empty(), "a second run changes nothing: {changed:#?}");
    assert_eq!(revisions(cluster).len(), 1, "and makes no second revision");
}

fn without_grafana(cluster: &TestCluster) {
    cluster.kubectl(&["delete", "deployment/prom-grafana", "-n", "prometheus"]);
    let run = lab(cluster, &["check", "3", "--wait", "0"]);
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(run.stderr.contains("deployment/prom-grafana in namespace prometheus: does not exist"), "{}", run.stderr);
    assert_eq!(cluster.lab(&["check", "3", "--wait", "0"]).code, 0, "the offline profile has no Grafana");
    lab3(cluster, local_chart(cluster).path()).succeeds();
}

/// The offline profile's kinds are another version than the chart's.
fn foreign_kinds(cluster: &TestCluster) {
    lab(cluster, &["reset", "3"]).succeeds();
    let crds = cluster.paths().programs.join("manifests/prometheus-operator-crds");
    cluster.kubectl(&["apply", "--server-side", "--field-manager", "somebody", "-f", crds.to_str().unwrap()]);
    lab3(cluster, local_chart(cluster).path()).succeeds();
    let managers = [
        "get",
        "crd/podmonitors.monitoring.coreos.com",
        "--show-managed-fields",
        "-o",
        "jsonpath={.metadata.managedFields[*].manager}",
    ];
    let managers = cluster.kubectl(&managers);
    assert!(managers.contains("somebody") && !managers.contains("helm"), "{managers}");
}

fn killed_helm(cluster: &TestCluster) {
    let folder = local_chart(cluster);
    let hook = folder.path().join("templates/endless.yaml");
    fs::write(&hook, chart::ENDLESS).unwrap();
    let arguments = ["lab", "3", "--profile", "upstream", "--chart", folder.path().to_str().unwrap()];
    let mut lab = cluster.command(&arguments).stderr(Stdio::null()).spawn().unwrap();
    let pending =
        until(Duration::from_secs(30), || revisions(cluster).iter().any(|status| status == "pending-upgrade"));
    let helm = children(lab.id());
    lab.kill().unwrap();
    lab.wait().unwrap();
    helm.iter().for_each(|&pid| kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap());
    assert!(pending && !helm.is_empty(), "helm was at work: {:?}", revisions(cluster));
    fs::remove_file(hook).unwrap();
    lab3(cluster, folder.path()).succeeds();
    cluster.kubectl(&["delete", "job/endless", "-n", "prometheus", "--ignore-not-found"]);
    assert!(revisions(cluster).contains(&"deployed".to_owned()), "{:?}", revisions(cluster));
}

/// The status of each revision of release `prom`.
fn revisions(cluster: &TestCluster) -> Vec<String> {
    let status = "jsonpath={range .items[*]}{.metadata.labels.status}{'\\n'}{end}";
    let text = cluster.kubectl(&["get", "secrets", "-n", "prometheus", "-l", "owner=helm,name=prom", "-o", status]);
    text.lines().map(str::to_owned).collect()
}

fn children(parent: u32) -> Vec<i32> {
    let all = procfs::process::all_processes().unwrap().flatten();
    let of_parent = all.filter(|process| process.stat().is_ok_and(|stat| stat.ppid == parent as i32));
    of_parent.map(|process| process.pid()).collect()
}

fn dashboard(cluster: &TestCluster) {
    cluster.lab(&["lab", "4-5"]).succeeds();
    let text = fs::read_to_string(cluster.paths().checkout.join("manifests/lab3/dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let queries =
        panels.flat_map(|panel| panel["targets"].as_array().unwrap()).map(|target| target["expr"].as_str().unwrap());
    for query in queries {
        // A rate needs two scrapes.
        let answered = until(Duration::from_secs(20), || !cluster.query(query).is_empty());
        assert!(answered, "`{query}` has no results");
    }
    assert_eq!(cluster.query("sum(up{job=\"default/bumblebee\"})").into_values().collect::<Vec<_>>(), [3.0]);
}

fn foreign_release(cluster: &TestCluster) {
    let notes = ["label", "secrets", "-n", "prometheus", "-l", "owner=helm,name=prom"];
    cluster.kubectl(&[&notes[..], &["ebpf-lab-", "--overwrite"]].concat());
    let kubeconfig = crate::context::ordinary_kubeconfig(cluster);
    let folder = local_chart(cluster);
    let stranger = |args: &[&str]| {
        let args = [args, &["--profile", "upstream", "--chart", folder.path().to_str().unwrap()]].concat();
        crate::context::on(cluster, &kubeconfig, "context:classroom", &args)
    };
    let before = revisions(cluster);
    let run = stranger(&["lab", "3"]);
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(
        run.stderr.contains("release prom is in namespace prometheus already, deployed, and not ours"),
        "{}",
        run.stderr
    );
    stranger(&["reset", "3"]).succeeds();
    assert_eq!(revisions(cluster), before, "reset leaves it alone");
    // On a cluster of ours, what a person installed by hand is adopted.
    lab3(cluster, folder.path()).succeeds();
    assert!(revisions(cluster).len() > before.len());
}

fn reset(cluster: &TestCluster) {
    lab(cluster, &["reset", "3"]).succeeds();
    let namespace = cluster.try_kubectl(&["get", "namespace", "prometheus"]);
    assert!(namespace.stderr.contains("not found"), "{}", namespace.stdout);
    let left = cluster.kubectl(&["get", "clusterroles,clusterrolebindings", "-o", "name"]);
    let left: Vec<_> = left.lines().filter(|name| name.contains("/prom-")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The proxy as `lab 2 --profile upstream` starts it, which needs the internet; what a user names with --registry is this registry.
fn pull(cluster: &TestCluster) {
    let own = OwnAddress::add();
    let registry = TestRegistry::start(own.socket(), Wants { tls: true, ..Wants::default() });
    let host = registry.host();
    let image = format!("{host}/ebpf-lab/bee:lab");
    lab(cluster, &["images", "push", &host, "--registry-ca", registry.authority().to_str().unwrap()]).succeeds();
    let state = tempfile::tempdir().unwrap();
    let cluster = &TestCluster::of(cluster.number).with_state(state.path());
    cluster.lab(&["clean"]).succeeds();
    cluster.lab(&["lab", "2"]).succeeds();
    registry.trusted_by(cluster);
    let data = Path::new("/var/lib/ebpf-lab").join(cluster.number.to_string());
    let worker = format!("ebpf-lab-{}-worker", cluster.number);
    let from_node = |options: &[&str], url: &str| {
        let longest = stretched(Duration::from_secs(5)).as_secs().to_string();
        let curl = ["netns", "exec", &worker, "curl", "-sS", "--max-time", &longest, "--noproxy", "none"];
        let output = Command::new("ip").args(curl).args(options).arg(url).output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let ca = registry.authority();
    let (url, ca) = (format!("https://{host}/v2/"), ["--cacert", ca.to_str().unwrap()]);
    let direct = from_node(&ca, &url);
    assert!(direct.contains("connect"), "a node has no way out of its own: {direct}");

    let mut proxy =
        Command::new(data.join("bin/lab")).args(["proxy", &cluster.number.to_string(), &host]).spawn().unwrap();
    let address = format!("{}:3128", machine::among_nodes(cluster.number));
    let proxy_url = format!("http://{address}");
    let password = fs::read_to_string(data.join("proxy-password")).unwrap();
    let login = format!("node:{password}");
    let through = |url: &str| from_node(&[&ca[..], &["--proxy", &proxy_url, "--proxy-user", &login]].concat(), url);
    assert!(until(Duration::from_secs(5), || TcpStream::connect(&address).is_ok()), "it listens");
    let stranger = from_node(&[&ca[..], &["--proxy", &proxy_url]].concat(), &url);
    assert!(stranger.contains("407"), "and nobody but containerd: {stranger}");
    let user = fs::read_to_string(format!("/proc/{}/status", proxy.id())).unwrap();
    assert!(user.contains("Uid:\t65534"), "it runs as nobody: {user}");
    assert_eq!(through(&url), "{}", "a node reaches the registry");
    let refused = through("https://192.0.2.1:22/");
    assert!(refused.contains("403"), "and nothing but registries: {refused}");

    cluster.kubectl(&["run", "pulled", "--image", &image, "--restart=Never", "--", "version"]);
    cluster.kubectl_waits(&["wait", "pod/pulled", "--for=jsonpath={.status.phase}=Succeeded"]);
    let events = cluster.kubectl(&[
        "get",
        "events",
        "--field-selector",
        "involvedObject.name=pulled",
        "-o",
        "jsonpath={.items[*].message}",
    ]);
    assert!(events.contains(&format!("Successfully pulled image \"{image}\"")), "{events}");
    cluster.kubectl(&["delete", "pod/pulled", "--grace-period=1"]);

    cluster.lab(&["clean"]).succeeds();
    assert!(until(Duration::from_secs(5), || proxy.try_wait().unwrap().is_some()), "clean ends the proxy");
}
