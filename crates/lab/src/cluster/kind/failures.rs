//! What kind and the engines say when they fail, and what fixes it: the texts that users meet, each once.

/// A failure that is known by what is said.
struct Known {
    /// Any of these is in it.
    words: &'static [&'static str],
    what: &'static str,
    fix: &'static str,
}

/// These are said in the nodes, by programs that kind only waits for.
const IN_THE_NODES: [Known; 2] = [
    Known {
        words: &["too many open files", "inotify_add_watch", "inotify_init"],
        what: "the kernel gives no more file watches, of which every node takes many",
        fix: "sudo sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288",
    },
    Known {
        words: &["not run on a host using cgroup v1"],
        what: "Kubernetes from 1.35 on refuses this machine's cgroups of version 1",
        fix: "leave --node-image out: an image that fits is chosen; or boot with systemd.unified_cgroup_hierarchy=1",
    },
];

/// These by kind and the engine.
const COMMANDS: [Known; 7] = [
    Known {
        words: &["unknown containerd config version"],
        what: "this kind is older than the image of its nodes and can't load images into them",
        fix: "install kind 0.32 or newer (https://kind.sigs.k8s.io), or leave --node-image out: an image that fits is chosen",
    },
    // https://github.com/kubernetes-sigs/kind/issues/3795
    Known {
        words: &["content digest sha256:"],
        what: "the image archive holds only part of an image: Docker's containerd image store saves them so",
        fix: "save it for one platform: `docker save --platform linux/amd64 IMAGE --output FILE` (Docker 28 or newer), or \
                  turn the containerd image store off in Docker's settings",
    },
    Known {
        words: &["Pool overlaps with other one on this address space", "networks have overlapping"],
        what: "the addresses of kind's network are taken by another container network",
        fix: "`docker network ls` lists them, `docker network prune` removes those that nobody uses; or choose the addresses: \
                  `docker network create kind --subnet 172.30.0.0/16`",
    },
    Known {
        words: &["non-overlapping IPv4 address pool", "all predefined address pools have been fully subnetted"],
        what: "no range of addresses is left for kind's network: a VPN or other container networks have them all",
        fix: "end the VPN while the network is made, or choose the addresses: `docker network create kind --subnet 172.30.0.0/16`",
    },
    Known {
        words: &["could not find a log line that matches"],
        what: "a node's systemd did not start",
        fix: "`cargo xtask doctor --on kind` looks for the usual causes: too few inotify instances, memory, a rootless engine",
    },
    Known {
        words: &["no space left on device"],
        what: "the disk on which the engine keeps images and nodes is full",
        fix: "`docker system df` says what takes it, `docker system prune` frees what nobody uses",
    },
    Known {
        words: &["toomanyrequests", "pull rate limit"],
        what: "docker.io limits how much this machine, or the room behind its address, may pull",
        fix: "--mirror URL names a mirror of docker.io",
    },
];

/// What is wrong and what fixes it, if what kind or the engine said is known.
pub fn explain(said: &str) -> Option<(&'static str, &'static str)> {
    find(said, IN_THE_NODES.iter().chain(&COMMANDS))
}

/// The same of the nodes' own logs, where much is said that is no failure.
pub fn explain_logs(logs: &str) -> Option<(&'static str, &'static str)> {
    find(logs, IN_THE_NODES.iter())
}

fn find(text: &str, mut known: impl Iterator<Item = &'static Known>) -> Option<(&'static str, &'static str)> {
    let known = known.find(|known| known.words.iter().any(|words| text.contains(words)))?;
    Some((known.what, known.fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_full_watches() {
        let what = |text| explain(text).unwrap().0;
        assert!(what("mkdir /var/lib/docker/x: no space left on device").contains("disk"));
        assert!(what("failed to create fsnotify watcher: too many open files").contains("watches"));
        assert_eq!(explain("exit status 1"), None);
    }

    #[test]
    fn in_logs_only_what_is_a_failure_wherever_it_stands_counts() {
        assert!(explain_logs("kubelet is configured to not run on a host using cgroup v1").is_some());
        assert_eq!(explain_logs("content digest sha256:00: not found, pulling"), None);
    }
}
