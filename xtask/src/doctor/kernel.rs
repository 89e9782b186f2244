//! What the nodes of a cluster straight on this machine need of its kernel, once: `crates/lab/src/cluster/host` uses these and no others.

use lab_cli::Machine;

use crate::finding::{Finding, Verdict};

/// Something that a kernel is built with, can load as a module, or lacks.
struct Feature {
    name: &'static str,
    /// Of the kernel's configuration, without `CONFIG_`.
    option: &'static str,
    /// What is there if the kernel has it.
    sign: &'static str,
    /// The file of the module, without `.ko`; none for what is no module.
    module: Option<&'static str>,
}

const FEATURES: [Feature; 8] = [
    feature("network namespaces", "NET_NS", "/proc/self/ns/net"),
    feature("process id namespaces", "PID_NS", "/proc/self/ns/pid"),
    feature("host name namespaces", "UTS_NS", "/proc/self/ns/uts"),
    feature("cgroup namespaces", "CGROUPS", "/proc/self/ns/cgroup"),
    feature("pairs of network links", "VETH", "/sys/module/veth").module("veth"),
    feature("network bridges", "BRIDGE", "/sys/module/bridge").module("bridge"),
    feature("overlay file systems", "OVERLAY_FS", "/sys/module/overlay").module("overlay"),
    // What `nft` and `iptables` need beyond it, kube_proxy.rs of crate lab-cli knows.
    feature("connection tracking", "NF_CONNTRACK", "/sys/module/nf_conntrack").module("nf_conntrack"),
];

const fn feature(name: &'static str, option: &'static str, sign: &'static str) -> Feature {
    Feature { name, option, sign, module: None }
}

impl Feature {
    const fn module(self, module: &'static str) -> Self {
        Self { module: Some(module), ..self }
    }

    /// Whether the kernel has it, or would load it; unknown where nothing tells.
    fn is_there(&self, machine: &dyn Machine, modules: &Modules) -> Option<bool> {
        if machine.exists(self.sign) {
            return Some(true);
        }
        let Some(module) = self.module else { return Some(false) };
        let line = format!("CONFIG_{}=", self.option);
        let set = |options: &String| {
            options.lines().find_map(|option| Some(option.strip_prefix(&line)?.to_owned())).unwrap_or_default()
        };
        match modules.options.as_ref().map(set).as_deref() {
            Some("y") => Some(true),
            Some("m") => Some(modules.installed.is_none() || modules.has(module)),
            Some(_) => Some(false),
            None => modules.has(module).then_some(true),
        }
    }
}

/// Where modules lie; the second is NixOS'.
const FOLDERS: [&str; 2] = ["/lib/modules", "/run/booted-system/kernel-modules/lib/modules"];

/// What is known of the kernel's modules.
struct Modules {
    options: Option<String>,
    /// Those that are installed for the kernel that runs.
    installed: Option<String>,
}

impl Modules {
    fn of(machine: &dyn Machine) -> Self {
        let folders = FOLDERS.map(|folder| format!("{folder}/{}", machine.kernel()));
        let Some(folder) = folders.iter().find(|folder| machine.exists(folder)) else {
            // The configuration says `m` of what lies in a folder that is gone.
            let gone = machine.exists("/proc/modules").then(String::new);
            return Self { options: machine.kernel_options(), installed: gone };
        };
        let lists = ["modules.builtin", "modules.dep"].map(|list| machine.read(&format!("{folder}/{list}")));
        Self {
            options: machine.kernel_options(),
            installed: lists.into_iter().flatten().reduce(|all, list| all + &list),
        }
    }

    fn has(&self, module: &str) -> bool {
        let file = format!("/{module}.ko");
        self.installed.as_ref().is_some_and(|list| list.contains(&file))
    }
}

/// One finding: everything that is missing, or that nothing is.
pub fn features(machine: &dyn Machine) -> Finding {
    let modules = Modules::of(machine);
    let missing = FEATURES.iter().filter(|feature| feature.is_there(machine, &modules) == Some(false));
    let missing: Vec<_> = missing.map(|feature| format!("{} (CONFIG_{})", feature.name, feature.option)).collect();
    if missing.is_empty() {
        return Finding::ok("kernel features", "namespaces, links, bridges, overlay file systems, connection tracking");
    }
    let fix = match modules.installed.as_deref() {
        // A package manager puts the new kernel's modules in the place of those of the one that runs.
        Some("") => "the modules of the kernel that runs are gone, as after an upgrade: reboot",
        _ => {
            "install all of your distribution's kernel modules (linux-modules-extra, kernel-modules), or another kernel"
        }
    };
    Finding::bad("kernel features", Verdict::Refusal, format!("it lacks {}", missing.join(", ")), fix)
}
