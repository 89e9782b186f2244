//! What `--on kind` needs: an engine that runs as root and passes CAP_BPF on, a kind, an image of nodes that both can handle,
//! addresses, file watches, and room.

use std::net::IpAddr;

use lab_cli::{
    Machine, Number, Obstacle, Options, Profile, Version,
    engine::{self, Engine, Program},
    network,
    pins::{self, Pins},
    taken::taken,
};
use serde_json::Value;

use super::machine::{memory, room};
use crate::{
    finding::{Finding, Verdict},
    kind, versions,
};

/// Three nodes with all labs, as measured; the upstream profile has Grafana and more beside them.
const MEMORY_GB: [(Profile, f64); 2] = [(Profile::Offline, 3.0), (Profile::Upstream, 4.0)];
/// The nodes' image, and what three nodes keep of the labs' images.
const DISK_GB: f64 = 8.0;
/// Each node's systemd, containerd and kubelet watch files: about 60 instances a cluster, and most of what the known issues of
/// kind blame on too few watches comes with several clusters.
const WATCHES: u32 = 65_536;

pub fn findings(machine: &dyn Machine, options: &Options) -> Vec<Finding> {
    let engine = match Engine::find(machine) {
        Ok(engine) => engine,
        Err(obstacle) => {
            return vec![Finding::refusal("container engine", obstacle), kind_and_image(machine, options)];
        }
    };
    let mut findings = vec![match engine.obstacle() {
        Some(obstacle) => Finding::refusal("container engine", obstacle),
        None => Finding::ok("container engine", format!("{engine}, as root, cgroups version {}", engine.cgroup)),
    }];
    findings.push(match engine.withholds_bpf() {
        // Some distributions' builds may know more capabilities than the version says: lab 2 tries it out.
        Some(Obstacle { what, fix }) => Finding::bad("capabilities", Verdict::Warning, what, &fix),
        None => Finding::ok("capabilities", "privileged containers get CAP_BPF and CAP_PERFMON"),
    });
    findings.push(kind_and_image(machine, options));
    findings.push(match kind::reach(machine, &engine) {
        Ok(how) => Finding::ok("load balancer", how),
        Err(obstacle) => Finding::refusal("load balancer", obstacle),
    });
    findings.extend(settings_of_docker(machine, &engine));
    findings.push(watches(machine));
    let needed = MEMORY_GB.into_iter().find(|(of, _)| *of == options.profile()).map_or(0.0, |(_, gigabytes)| gigabytes);
    if engine.local {
        findings.extend(addresses(machine, &engine, options.number));
        findings.push(memory(machine, needed));
        findings.extend(disk(machine, &engine));
    } else {
        findings.push(virtual_machine(machine, &engine, needed));
    }
    findings
}

/// kind and the image of its nodes must fit together.
fn kind_and_image(machine: &dyn Machine, options: &Options) -> Finding {
    let version = match engine::kind(machine) {
        Ok(version) => version,
        Err(Obstacle { what, fix }) if options.install => {
            return Finding::bad("kind", Verdict::Warning, what, &fix);
        }
        Err(obstacle) => return Finding::refusal("kind", obstacle),
    };
    if let Some(image) = &options.kind.node_image {
        return Finding::ok("kind", format!("{version}, nodes of {image}"));
    }
    let pins = pins::pins().ok();
    match pins.as_ref().and_then(|pins| pins.kind.node_image(version)) {
        Some(node) => nodes(version, node.kubernetes, pins.as_ref()),
        None => Finding::bad(
            "kind",
            Verdict::Refusal,
            format!("no image of nodes is pinned for kind {version}"),
            "install a newer kind: https://kind.sigs.k8s.io",
        ),
    }
}

/// What the nodes run, as kind's age has it.
fn nodes(kind: Version, kubernetes: Version, pins: Option<&Pins>) -> Finding {
    let measured = format!("{kind}, nodes of Kubernetes {kubernetes}");
    let end = pins.and_then(|pins| pins.end("Kubernetes", &kubernetes.to_string()).ok().flatten());
    match end {
        Some(end) if versions::is_past(end) => Finding::bad(
            "kind",
            Verdict::Warning,
            format!("{measured}, which has had no fixes since {end}"),
            "a newer kind has newer ones: https://kind.sigs.k8s.io",
        ),
        _ => Finding::ok("kind", measured),
    }
}

/// The addresses of the nodes' network, of pods and of Services must not be in the way of anything that the nodes need.
fn addresses(machine: &dyn Machine, engine: &Engine, number: Number) -> Vec<Finding> {
    let network = kind::network(machine, engine);
    let range = network.as_ref().map(|network| format!("network {}", network.range));
    let fit =
        Finding::ok("addresses", range.unwrap_or_else(|| "kind makes its network with the first cluster".to_owned()));
    let servers = machine.name_servers();
    let mut findings: Vec<Finding> = names(&servers).into_iter().collect();
    let Number::Of(number) = number else {
        findings.push(fit);
        return findings;
    };
    let taken = taken(machine).unwrap_or_default();
    findings.push(match network::obstacle(network.as_ref(), number, &taken, &servers) {
        Some(obstacle) => Finding::refusal("addresses", obstacle),
        None => fit,
    });
    if let Some(hidden) = network::hidden(number, &taken) {
        let (pods, services) = (network::pods(number), network::services(number));
        let measured =
            format!("{hidden}; pods reach nothing of it that is in {pods} or {services}, which are their own");
        let fix = match (1..=99).find(|&number| network::hidden(number, &taken).is_none()) {
            Some(free) => format!("if they must, choose another cluster: --number {free}"),
            None => "if they must, end the VPN; else it does no harm".to_owned(),
        };
        findings.push(Finding::bad("pods' way out", Verdict::Warning, measured, &fix));
    }
    findings
}

/// Docker's networks have IPv6 only where the machine's own does and Docker is new enough.
fn names(servers: &[IpAddr]) -> Option<Finding> {
    let (what, verdict) = ("name servers", Verdict::Warning);
    let fix = "name one that has IPv4 in /etc/docker/daemon.json: { \"dns\": [\"192.0.2.53\"] }, if pulling fails";
    if servers.is_empty() {
        return Some(Finding::bad(what, verdict, "none in /etc/resolv.conf: nodes would pull no image", fix));
    }
    servers.iter().all(IpAddr::is_ipv6).then(|| {
        let listed: Vec<_> = servers.iter().map(ToString::to_string).collect();
        Finding::bad(what, verdict, format!("all of IPv6 ({}): nodes may not reach them", listed.join(", ")), fix)
    })
}

/// The nodes' kernel is not this one: what was seen of this one's says nothing about labs 5 and 6.
fn virtual_machine(machine: &dyn Machine, engine: &Engine, needed: f64) -> Finding {
    let gigabytes = engine.memory as f64 / 1e9;
    let measured =
        format!("{engine} runs nodes in a machine of its own: {gigabytes:.1} GB, {needed} needed for each cluster");
    if gigabytes < needed {
        let more = "give it more: Docker Desktop's Settings, Resources; on WSL2 memory= in .wslconfig";
        return Finding::bad("nodes' machine", Verdict::Refusal, measured, more);
    }
    // On WSL2 all distributions, Docker Desktop's among them, share one kernel.
    if engine.kernel == machine.kernel() {
        return Finding::ok("nodes' machine", format!("{measured}; it shares this kernel"));
    }
    let measured = format!(
        "{measured}; its kernel is {}: labs 5 and 6 see that one and not this, if it has BTF (/sys/kernel/btf/vmlinux)",
        engine.kernel
    );
    Finding::bad("nodes' machine", Verdict::Warning, measured, "use --on host, whose nodes run on this kernel")
}

/// Settings under which nodes are known not to start: https://kind.sigs.k8s.io/docs/user/known-issues
fn settings_of_docker(machine: &dyn Machine, engine: &Engine) -> Vec<Finding> {
    let mut findings = vec![];
    let settings = machine.read("/etc/docker/daemon.json").unwrap_or_default();
    let settings: Value = serde_json::from_str(&settings).unwrap_or_default();
    if engine.program == Program::Docker && settings["init"] == true {
        findings.push(Finding::bad(
            "Docker's settings",
            Verdict::Warning,
            "`\"init\": true` in /etc/docker/daemon.json puts a process before the nodes' systemd",
            "remove that line, then `sudo systemctl restart docker`",
        ));
    }
    if engine.data.starts_with("/var/snap") {
        findings.push(Finding::bad(
            "Docker's package",
            Verdict::Warning,
            "Docker from a snap can't read hidden folders, in which the cluster's files lie",
            "install Docker from https://docs.docker.com/engine/install instead, or use --on host",
        ));
    }
    findings
}

fn watches(machine: &dyn Machine) -> Finding {
    let text = machine.read("/proc/sys/fs/inotify/max_user_watches").unwrap_or_default();
    let watches: u32 = text.trim().parse().unwrap_or(0);
    let measured = format!("{watches} watches a user");
    match watches {
        WATCHES.. => Finding::ok("inotify watches", measured),
        _ => Finding::bad(
            "inotify watches",
            Verdict::Warning,
            measured,
            "sudo sysctl fs.inotify.max_user_watches=524288",
        ),
    }
}

/// The engine may keep its containers on another disk than ours.
fn disk(machine: &dyn Machine, engine: &Engine) -> Option<Finding> {
    let fix = "`docker system df` says what takes it, `docker system prune` frees what nobody uses";
    engine.data.is_absolute().then(|| room(machine, "disk of the engine", &engine.data, DISK_GB, fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_are_no_longer_looked_after_are_warned_of() {
        let mut pins = pins::pins().unwrap();
        let lines = [("1.90", "2020-01-31"), ("1.91", "9999-12-31")];
        pins.support.insert("Kubernetes".to_owned(), lines.map(|(line, end)| (line.to_owned(), end.to_owned())).into());
        let finding = |kubernetes: &str| nodes("0.99.1".parse().unwrap(), kubernetes.parse().unwrap(), Some(&pins));
        assert_eq!(finding("1.91.2").verdict, Verdict::Ok);
        let old = finding("1.90.2");
        assert_eq!(old.verdict, Verdict::Warning);
        assert!(old.measured.ends_with("no fixes since 2020-01-31"), "{old:?}");
    }
}
