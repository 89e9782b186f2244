//! What each container of the labs may do and take, as the table of docs/pods.md: of manifests, and of what a cluster runs.

use serde_json::Value;

/// Whether a cell needs no reason.
type IsLeast = fn(&str) -> bool;

/// The head of the table, and what a container has there that needs no reason.
const COLUMNS: [(&str, IsLeast); 7] = [
    ("user", |cell| cell != "root"),
    ("capabilities", |cell| cell == "none"),
    ("seccomp", |cell| cell == "RuntimeDefault"),
    ("root file system", |cell| cell == "read-only"),
    ("token", |cell| cell == "none"),
    ("of the node", |cell| cell == "nothing"),
    ("memory", |cell| cell.contains(" to ")),
];

/// Who is otherwise, in which column, and why.
const REASONS: [(&str, &str, &str); 15] = [
    ("default/bumblebee", "user", "a container's capabilities reach root alone"),
    ("default/bumblebee", "capabilities", "it loads a probe (BPF) and attaches it (PERFMON)"),
    ("default/kebpf", "token", "it watches the objects whose names it draws"),
    ("kube-system/coredns", "token", "it watches the Services whose names it knows"),
    ("metallb-system/controller", "token", "it gives Services their addresses"),
    ("metallb-system/speaker", "user", "a container's capabilities reach root alone"),
    ("metallb-system/speaker", "capabilities", "it answers ARP requests"),
    ("metallb-system/speaker", "token", "it watches the Services that it announces"),
    ("metallb-system/speaker", "of the node", "it announces addresses on the node's own network"),
    ("prometheus/prom-kube-prometheus-stack-operator", "token", "it makes a Prometheus of objects"),
    ("prometheus/prom-kube-state-metrics", "token", "it watches the objects that it counts"),
    ("prometheus/prom-prometheus-node-exporter", "of the node", "it measures the node"),
    ("prometheus/prometheus-prom-kube-prometheus-stack-prometheus/prometheus", "token", "it looks for its targets"),
    (
        "prometheus/prometheus-prom-kube-prometheus-stack-prometheus/config-reloader",
        "token",
        "the operator gives it to all of Prometheus' pod",
    ),
    (
        "prometheus/prometheus-prom-kube-prometheus-stack-prometheus/init-config-reloader",
        "token",
        "the operator gives it to all of Prometheus' pod",
    ),
];

/// A container of a workload.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// `namespace/workload/container`
    pub name: String,
    cells: [String; 7],
}

/// The containers of all workloads among these objects, sorted.
pub fn rows(objects: &[Value]) -> Vec<Row> {
    let workloads = objects.iter().filter(|object| {
        ["Deployment", "DaemonSet", "StatefulSet"].contains(&object["kind"].as_str().unwrap_or_default())
    });
    let mut rows: Vec<_> = workloads.flat_map(|workload| of_workload(workload, objects)).collect();
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    rows
}

/// What is without a reason.
pub fn unreasoned(rows: &[Row]) -> Vec<String> {
    let mut found = Vec::new();
    for row in rows {
        for ((column, is_least), cell) in COLUMNS.iter().zip(&row.cells) {
            let has_reason = REASONS.iter().any(|(name, of, _)| of == column && row.is(name));
            if is_least(cell) == has_reason {
                found.push(format!("{}, {column}: {cell}, with a reason: {has_reason}", row.name));
            }
        }
    }
    found
}

/// The lines of the table.
pub fn table(rows: &[Row]) -> Vec<String> {
    let line = |cells: Vec<&str>| format!("| {} |", cells.join(" | "));
    let head = line([&["container"][..], &COLUMNS.map(|(column, _)| column)].concat());
    let rows = rows.iter().map(|row| {
        let cells = row.cells.iter().map(String::as_str);
        line(std::iter::once(row.name.as_str()).chain(cells).collect())
    });
    [head, "|---".repeat(COLUMNS.len() + 1) + "|"].into_iter().chain(rows).collect()
}

/// The lines that give the reasons.
pub fn reasons() -> Vec<String> {
    REASONS.map(|(name, column, why)| format!("* {name}, {column}: {why}")).to_vec()
}

impl Row {
    /// Whether it is this container, or one of this workload.
    fn is(&self, name: &str) -> bool {
        self.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn of_workload(workload: &Value, objects: &[Value]) -> Vec<Row> {
    let pods = &workload["spec"]["template"]["spec"];
    let namespace = workload["metadata"]["namespace"].as_str().unwrap_or("default");
    let (token, node) = (token(pods, namespace, objects), of_the_node(pods));
    let containers = ["initContainers", "containers"].into_iter().filter_map(|key| pods[key].as_array()).flatten();
    let row = |container: &Value| Row {
        name: format!("{namespace}/{}/{}", text(&workload["metadata"]["name"]), text(&container["name"])),
        cells: [
            user(pods, container),
            capabilities(&container["securityContext"]),
            security(pods, container, "seccompProfile")["type"].as_str().unwrap_or("none").to_owned(),
            read_only(&container["securityContext"]).to_owned(),
            token.to_owned(),
            node.clone(),
            memory(&container["resources"]),
        ],
    };
    containers.map(row).collect()
}

/// A container's own word counts more than its pod's.
fn security<'a>(pods: &'a Value, container: &'a Value, key: &str) -> &'a Value {
    let own = &container["securityContext"][key];
    if own.is_null() { &pods["securityContext"][key] } else { own }
}

fn user(pods: &Value, container: &Value) -> String {
    match (security(pods, container, "runAsNonRoot").as_bool(), security(pods, container, "runAsUser").as_u64()) {
        (Some(true), Some(user)) if user > 0 => user.to_string(),
        _ => "root".to_owned(),
    }
}

fn capabilities(security: &Value) -> String {
    let all = |key: &str| security["capabilities"][key].as_array().cloned().unwrap_or_default();
    let drops_all = all("drop").iter().any(|name| text(name).eq_ignore_ascii_case("all"));
    let mut names: Vec<_> = all("add").iter().map(text).collect();
    if !drops_all {
        names.insert(0, "the runtime's".to_owned());
    }
    if security["allowPrivilegeEscalation"] != false || security["privileged"] == true {
        names.push("escalation".to_owned());
    }
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn read_only(security: &Value) -> &'static str {
    if security["readOnlyRootFilesystem"] == true { "read-only" } else { "writable" }
}

/// The pod says whether it has one, or else its account does.
fn token(pods: &Value, namespace: &str, objects: &[Value]) -> &'static str {
    let account = pods["serviceAccountName"].as_str().unwrap_or("default");
    let is_account = |object: &&Value| {
        object["kind"] == "ServiceAccount"
            && object["metadata"]["name"] == account
            && object["metadata"]["namespace"].as_str().unwrap_or("default") == namespace
    };
    let of_account = || objects.iter().find(is_account)?["automountServiceAccountToken"].as_bool();
    let mounted = pods["automountServiceAccountToken"].as_bool().or_else(of_account).unwrap_or(true);
    if mounted { "mounted" } else { "none" }
}

fn of_the_node(pods: &Value) -> String {
    let shared = [("hostNetwork", "network"), ("hostPID", "processes"), ("hostIPC", "IPC")];
    let shared = shared.into_iter().filter(|(key, _)| pods[key] == true).map(|(_, what)| what.to_owned());
    let volumes = pods["volumes"].as_array().cloned().unwrap_or_default();
    let folders = volumes.iter().filter_map(|volume| volume["hostPath"]["path"].as_str()).map(str::to_owned);
    let all: Vec<_> = shared.chain(folders).collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
}

fn memory(resources: &Value) -> String {
    let of = |key: &str| resources[key]["memory"].as_str().map(str::to_owned);
    match (of("requests"), of("limits")) {
        (Some(request), Some(limit)) => format!("{request} to {limit}"),
        _ => "without bounds".to_owned(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
