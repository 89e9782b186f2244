//! How each component is started: its program, its arguments, its configuration files.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use lab_cli::kube_proxy::Mode;
use serde_json::{Value, json};

use super::{
    addresses::{Addresses, NODES},
    admission,
    folders::Folders,
    proxy,
};
use crate::cluster::SYNC_FREQUENCY;

/// One program that a node's init starts and starts again when it ends.
#[derive(Debug)]
pub struct Component {
    pub name: &'static str,
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(&'static str, String)>,
    /// A socket that must answer before the next component starts.
    pub ready: Option<PathBuf>,
}

/// A node's own folder; nothing is in it.
const VOLUME_PLUGINS: &str = "/var/lib/kubelet/volume-plugins";

/// What a node runs, in the order of starting.
pub fn of_node(folders: &Folders, addresses: Addresses, index: usize) -> Result<Vec<Component>> {
    let node = NODES[index];
    let component = |name: &'static str, arguments: Vec<String>| Component {
        name,
        program: folders.bin().join(name),
        arguments,
        environment: vec![],
        ready: None,
    };
    let mut components = vec![];
    if index == 0 {
        components.push(component("etcd", etcd(folders)));
        components.push(component("kube-apiserver", apiserver(folders, addresses)));
    }
    let containerd = vec![format!("--config={}", config_file(folders, node, "containerd.toml").display())];
    let socket = Some(PathBuf::from("/run/containerd/containerd.sock"));
    let environment = proxy::environment(folders, addresses)?;
    components.push(Component { ready: socket, environment, ..component("containerd", containerd) });
    components.push(component(
        "kube-proxy",
        vec![format!("--config={}", config_file(folders, node, "kube-proxy.json").display())],
    ));
    components.push(component("kubelet", kubelet(folders, addresses, index)));
    if index == 0 {
        components.push(component("kube-controller-manager", controller_manager(folders, addresses)));
        components.push(component("kube-scheduler", scheduler(folders)));
    }
    let routes = vec!["node".to_owned(), "routes".to_owned(), folders.number(), index.to_string()];
    components.push(component("lab", routes));
    Ok(components)
}

/// Writes the configuration files of a node's components.
pub fn write_configs(
    folders: &Folders,
    addresses: Addresses,
    index: usize,
    kube_proxy: Mode,
    pause: &str,
) -> Result<()> {
    let node = NODES[index];
    let files = [
        ("containerd.toml", containerd_config(folders, node, pause)?),
        ("cni.template", CNI.to_owned()),
        ("kubelet.json", kubelet_config(folders, addresses, index).to_string()),
        ("kube-proxy.json", proxy_config(folders, addresses, index, kube_proxy).to_string()),
        ("admission.json", admission::config().to_string()),
    ];
    for (name, text) in files {
        let path = config_file(folders, node, name);
        fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}

fn config_file(folders: &Folders, node: &str, name: &str) -> PathBuf {
    folders.node(node).join(name)
}

fn etcd(folders: &Folders) -> Vec<String> {
    let pki = |file: &str| folders.pki().join(file).display().to_string();
    let mut arguments = flags(&[
        ("data-dir", folders.etcd().display().to_string()),
        ("listen-client-urls", "https://127.0.0.1:2379".to_owned()),
        ("advertise-client-urls", "https://127.0.0.1:2379".to_owned()),
        ("listen-peer-urls", "https://127.0.0.1:2380".to_owned()),
        ("initial-advertise-peer-urls", "https://127.0.0.1:2380".to_owned()),
        ("initial-cluster", "default=https://127.0.0.1:2380".to_owned()),
        ("log-level", "warn".to_owned()),
    ]);
    for kind in ["", "peer-"] {
        let files = [("cert-file", "etcd.crt"), ("key-file", "etcd.key"), ("trusted-ca-file", "etcd-ca.crt")];
        arguments.extend(files.map(|(flag, file)| format!("--{kind}{flag}={}", pki(file))));
        arguments.push(format!("--{kind}client-cert-auth"));
    }
    // The data outlives processes and orderly reboots, which write back the page cache; a workshop's cluster need not
    // outlive a power cut.
    arguments.push("--unsafe-no-fsync".to_owned());
    arguments
}

fn apiserver(folders: &Folders, addresses: Addresses) -> Vec<String> {
    let pki = |file: &str| folders.pki().join(file).display().to_string();
    let mut arguments = flags(&[
        ("advertise-address", addresses.node(0).to_string()),
        ("bind-address", addresses.node(0).to_string()),
        ("secure-port", "6443".to_owned()),
        ("service-cluster-ip-range", addresses.services().to_string()),
        ("authorization-mode", "Node,RBAC".to_owned()),
        ("enable-admission-plugins", "NodeRestriction".to_owned()),
        ("admission-control-config-file", config_file(folders, NODES[0], "admission.json").display().to_string()),
        ("anonymous-auth", "false".to_owned()),
        ("allow-privileged", "true".to_owned()),
        ("profiling", "false".to_owned()),
        ("etcd-servers", "https://127.0.0.1:2379".to_owned()),
        ("service-account-issuer", "https://kubernetes.default.svc.cluster.local".to_owned()),
        // Node names don't resolve: without this exec, logs and the service proxy fail.
        ("kubelet-preferred-address-types", "InternalIP".to_owned()),
    ]);
    let files = [
        ("tls-cert-file", "apiserver.crt"),
        ("tls-private-key-file", "apiserver.key"),
        ("client-ca-file", "ca.crt"),
        ("etcd-cafile", "etcd-ca.crt"),
        ("etcd-certfile", "apiserver-etcd-client.crt"),
        ("etcd-keyfile", "apiserver-etcd-client.key"),
        ("kubelet-certificate-authority", "ca.crt"),
        ("kubelet-client-certificate", "apiserver-kubelet-client.crt"),
        ("kubelet-client-key", "apiserver-kubelet-client.key"),
        ("service-account-key-file", "sa.pub"),
        ("service-account-signing-key-file", "sa.key"),
    ];
    arguments.extend(files.map(|(flag, file)| format!("--{flag}={}", pki(file))));
    arguments
}

fn controller_manager(folders: &Folders, addresses: Addresses) -> Vec<String> {
    let pki = |file: &str| folders.pki().join(file).display().to_string();
    flags(&[
        ("kubeconfig", pki("controller-manager.kubeconfig")),
        ("bind-address", "127.0.0.1".to_owned()),
        ("allocate-node-cidrs", "true".to_owned()),
        ("cluster-cidr", addresses.pods().to_string()),
        ("service-cluster-ip-range", addresses.services().to_string()),
        ("service-account-private-key-file", pki("sa.key")),
        ("root-ca-file", pki("ca.crt")),
        ("cluster-signing-cert-file", pki("ca.crt")),
        ("cluster-signing-key-file", pki("ca.key")),
        ("use-service-account-credentials", "true".to_owned()),
        ("flex-volume-plugin-dir", VOLUME_PLUGINS.to_owned()),
        ("leader-elect", "false".to_owned()),
        ("profiling", "false".to_owned()),
    ])
}

fn scheduler(folders: &Folders) -> Vec<String> {
    flags(&[
        ("kubeconfig", folders.pki().join("scheduler.kubeconfig").display().to_string()),
        ("bind-address", "127.0.0.1".to_owned()),
        ("leader-elect", "false".to_owned()),
        ("profiling", "false".to_owned()),
    ])
}

fn kubelet(folders: &Folders, addresses: Addresses, index: usize) -> Vec<String> {
    let node = NODES[index];
    flags(&[
        ("config", config_file(folders, node, "kubelet.json").display().to_string()),
        ("kubeconfig", folders.pki().join(format!("{node}.kubeconfig")).display().to_string()),
        ("hostname-override", node.to_owned()),
        ("node-ip", addresses.node(index).to_string()),
    ])
}

fn flags(pairs: &[(&str, String)]) -> Vec<String> {
    pairs.iter().map(|(flag, value)| format!("--{flag}={value}")).collect()
}

fn kubelet_config(folders: &Folders, addresses: Addresses, index: usize) -> Value {
    let pki = |file: String| folders.pki().join(file).display().to_string();
    let node = NODES[index];
    let mut config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": addresses.node(index).to_string(),
        "healthzBindAddress": "127.0.0.1",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": pki("ca.crt".to_owned()) },
        },
        "authorization": { "mode": "Webhook" },
        "tlsCertFile": pki(format!("kubelet-{node}.crt")),
        "tlsPrivateKeyFile": pki(format!("kubelet-{node}.key")),
        "cgroupDriver": "cgroupfs",
        // The default lies in /usr, which is this machine's.
        "volumePluginDir": VOLUME_PLUGINS,
        "failSwapOn": false,
        // The default until 1.34; from 1.35 on a kubelet refuses cgroup v1 unless told so.
        "failCgroupV1": false,
        "syncFrequency": SYNC_FREQUENCY,
        "clusterDNS": [addresses.dns().to_string()],
        "clusterDomain": "cluster.local",
        // Pods have no way out of the cluster: this machine's resolver would be out of their reach.
        "resolvConf": "/dev/null",
        "serializeImagePulls": false,
        // Images are anybody's here. From 1.35 on a kubelet that pulled one from a registry would ask that of every other name, too,
        // before a pod may have it: also of those that `images load` brings.
        "imagePullCredentialsVerificationPolicy": "NeverVerify",
        // The disk is this machine's, and so is the decision what to remove from it.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": { "memory.available": "100Mi" },
    });
    if index == 0 {
        let taint = json!({ "key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule" });
        config["registerWithTaints"] = json!([taint]);
    }
    config
}

fn proxy_config(folders: &Folders, addresses: Addresses, index: usize, mode: Mode) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": mode.to_string(),
        "bindAddress": addresses.node(index).to_string(),
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "hostnameOverride": NODES[index],
        "clientConnection": { "kubeconfig": folders.pki().join("proxy.kubeconfig").display().to_string() },
        "clusterCIDR": addresses.pods().to_string(),
        // Connection tracking is this machine's to size.
        "conntrack": { "maxPerCore": 0, "min": 0, "tcpCloseWaitTimeout": "0s", "tcpEstablishedTimeout": "0s" },
    })
}

/// Its folder of registries has one for each registry that is not spoken to in the ordinary way; containerd looks there at each pull.
fn containerd_config(folders: &Folders, node: &str, pause: &str) -> Result<String> {
    let cri = json!({
        "sandbox_image": pause,
        "restrict_oom_score_adj": !has_resource_capability(),
        "disable_apparmor": true,
        "cni": { "bin_dir": folders.bin(), "conf_template": config_file(folders, node, "cni.template") },
        "registry": { "config_path": folders.registries(node) },
    });
    let config = json!({ "version": 2, "plugins": { "io.containerd.grpc.v1.cri": cri } });
    toml::to_string(&config).context("failed to write containerd's configuration")
}

/// containerd fills in the pod range that the controller manager gave the node, and writes the result to /etc/cni/net.d.
const CNI: &str = r#"{"cniVersion": "1.0.0", "name": "pods", "plugins": [
 {"type": "ptp", "mtu": 1500, "ipam": {"type": "host-local", "routes": [{"dst": "0.0.0.0/0"}], "ranges": [[{"subnet": "{{.PodCIDR}}"}]]}},
 {"type": "portmap", "capabilities": {"portMappings": true}}]}
"#;

/// Root in a container or VM may lack CAP_SYS_RESOURCE (bit 24), and then can't lower an OOM score.
fn has_resource_capability() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).is_none_or(|set| set & (1 << 24) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_any_name_is_a_name_in_containerds_configuration() {
        for name in
            ["/home/me", "/home/o\"brien", "/home/a\\b", "/home/new\nline", "/home/\u{7f}\u{1b}", "/home/grüße 'x'"]
        {
            let folders = Folders { run: name.into(), data: name.into() };
            let text = containerd_config(&folders, NODES[0], "pause:\"lab").unwrap();
            let read: toml::Value = toml::from_str(&text).unwrap();
            let cri = &read["plugins"]["io.containerd.grpc.v1.cri"];
            assert_eq!(cri["registry"]["config_path"].as_str(), folders.registries(NODES[0]).to_str());
            assert_eq!(cri["cni"]["bin_dir"].as_str(), folders.bin().to_str());
            assert_eq!((cri["sandbox_image"].as_str(), read["version"].as_integer()), (Some("pause:\"lab"), Some(2)));
        }
    }
}
