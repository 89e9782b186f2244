//! What `--on kind` needs: an engine that runs as root and passes CAP_BPF on, a kind, an image of nodes that both can handle,
//! addresses, file watches, and room.

use std::{fs, path::Path};

use interface::{
    Number, Options, Profile, Version,
    engine::{Engine, Obstacle, Program},
    pins,
    range::routes,
};
use serde_json::Value;

use super::{Finding, Verdict, machine};
use crate::kind::Machine;

/// Three nodes with all labs, as measured; the upstream profile has Grafana and more beside them.
const MEMORY_GB: [(Profile, f64); 2] = [(Profile::Offline, 3.0), (Profile::Upstream, 4.0)];
/// The nodes' image, and what three nodes keep of the labs' images.
const DISK_GB: f64 = 8.0;
/// Each node's systemd, containerd and kubelet watch files: about 60 instances a cluster, and most of what the known issues of
/// kind blame on too few watches comes with several clusters.
const WATCHES: u32 = 65_536;

pub fn findings(machine: &Machine, options: &Options) -> Vec<Finding> {
    let engine = match machine.engine() {
        Ok(engine) => engine,
        Err(obstacle) => return vec![refusal("container engine", obstacle), kind(machine, None, options)],
    };
    let mut findings = vec![match engine.obstacle() {
        Some(obstacle) => refusal("container engine", obstacle),
        None => Finding::ok("container engine", format!("{engine}, as root, cgroups version {}", engine.cgroup)),
    }];
    findings.push(match engine.withholds_bpf() {
        // Some distributions' builds may know more capabilities than the version says: lab 2 tries it out.
        Some(Obstacle { what, mending }) => Finding::bad("capabilities", Verdict::Warning, what, &mending),
        None => Finding::ok("capabilities", "privileged containers get CAP_BPF and CAP_PERFMON"),
    });
    findings.push(kind(machine, Some(&engine), options));
    findings.push(match machine.reach(&engine) {
        Ok(how) => Finding::ok("load balancer", how),
        Err(obstacle) => refusal("load balancer", obstacle),
    });
    findings.push(addresses(machine, &engine, options.number));
    findings.extend(settings_of_docker(&engine));
    findings.push(watches());
    findings.push(memory(options.profile()));
    findings.extend(disk(&engine));
    findings
}

fn refusal(what: &str, obstacle: Obstacle) -> Finding {
    Finding::bad(what, Verdict::Refusal, obstacle.what, &obstacle.mending)
}

/// kind, the image of its nodes, and this machine's cgroups must fit together.
fn kind(machine: &Machine, engine: Option<&Engine>, options: &Options) -> Finding {
    let version = match machine.kind() {
        Ok(version) => version,
        Err(Obstacle { what, mending }) if options.install => {
            return Finding::bad("kind", Verdict::Warning, what, &mending);
        }
        Err(obstacle) => return refusal("kind", obstacle),
    };
    let Some(engine) = engine else { return Finding::ok("kind", version.to_string()) };
    if let Some(image) = &options.kind.node_image {
        return named_image(version, engine.cgroup, image);
    }
    let pins = pins::pins().ok();
    match pins.as_ref().and_then(|pins| pins.kind.node_image(version, engine.cgroup)) {
        Some(node) => Finding::ok("kind", format!("{version}, nodes of Kubernetes {}", node.kubernetes)),
        None => Finding::bad(
            "kind",
            Verdict::Refusal,
            format!("no image of nodes is pinned for kind {version}"),
            "install a newer kind: https://kind.sigs.k8s.io",
        ),
    }
}

/// An image that the user chose; what its tag says is all that is known of it.
fn named_image(kind: Version, cgroup: u8, image: &str) -> Finding {
    let tag = image.split('@').next().and_then(|name| name.rsplit_once(":v"));
    let kubernetes = tag.and_then(|(_, tag)| tag.parse::<Version>().ok());
    match kubernetes {
        Some(version) if cgroup == 1 && version >= pins::WITHOUT_CGROUP_1 => Finding::bad(
            "kind",
            Verdict::Refusal,
            format!("{image}: Kubernetes from 1.35 on refuses this machine's cgroups of version 1"),
            "leave --node-image out: an image that fits is chosen; or boot with systemd.unified_cgroup_hierarchy=1",
        ),
        _ => Finding::ok("kind", format!("{kind}, nodes of {image}")),
    }
}

fn addresses(machine: &Machine, engine: &Engine, number: Number) -> Finding {
    let Some(network) = machine.network(engine) else {
        return Finding::ok("addresses", "kind makes its network with the first cluster");
    };
    let Number::Of(number) = number else {
        return Finding::ok("addresses", format!("network {}", network.range));
    };
    match network.obstacle(number, &routes()).filter(|_| engine.local) {
        Some(obstacle) => refusal("addresses", obstacle),
        None => Finding::ok("addresses", format!("network {}", network.range)),
    }
}

/// Settings under which nodes are known not to start: https://kind.sigs.k8s.io/docs/user/known-issues
fn settings_of_docker(engine: &Engine) -> Vec<Finding> {
    let mut findings = vec![];
    let settings = fs::read_to_string("/etc/docker/daemon.json").unwrap_or_default();
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

fn watches() -> Finding {
    let text = fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").unwrap_or_default();
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

fn memory(profile: Profile) -> Finding {
    let needed = MEMORY_GB.into_iter().find(|(of, _)| *of == profile).map_or(0.0, |(_, gigabytes)| gigabytes);
    machine::memory(needed)
}

/// The engine may keep its containers on another disk than ours, or in a virtual machine, whose disk nobody sees from here.
fn disk(engine: &Engine) -> Option<Finding> {
    let there = engine.local && engine.data.is_absolute() && engine.data.ancestors().any(Path::exists);
    there.then(|| {
        machine::room(
            "disk of the engine",
            &engine.data,
            DISK_GB,
            "`docker system df` says what takes it, `docker system prune` frees what nobody uses",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_refuses_this_machines_cgroups_is_refused_before_it_is_pulled() {
        let verdict = |cgroup, image: &str| named_image("0.99.1".parse().unwrap(), cgroup, image).verdict;
        assert_eq!(verdict(1, "kindest/node:v1.35.0@sha256:45"), Verdict::Refusal);
        assert_eq!(verdict(2, "kindest/node:v1.35.0@sha256:45"), Verdict::Ok);
        assert_eq!(verdict(1, "localhost:5000/node:v1.34.4"), Verdict::Ok);
        assert_eq!(verdict(1, "node"), Verdict::Ok, "an image without a version is the user's business");
    }
}
