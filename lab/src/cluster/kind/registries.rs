//! How the nodes reach image registries: one file a registry, in a folder of ours that is mounted into every node.
//!
//! containerd reads them at each pull, so they may change while the nodes run. By the same mount a container of ours is
//! told from anybody else's.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use interface::pins;

use super::engine::{Engine, network_name};
use crate::{error::unfit, live::Live};

/// The registries that the upstream profile pulls from, and where they listen.
const REGISTRIES: [(&str, &str); 3] = [
    ("docker.io", "https://registry-1.docker.io"),
    ("quay.io", "https://quay.io"),
    ("registry.k8s.io", "https://registry.k8s.io"),
];
/// The limit is the hub's: it is what a mirror stands in for.
const HUB: (&str, &str) = REGISTRIES[0];
/// Caches and their volumes are called this and the registry's name.
const CACHE: &str = "ebpf-lab-cache-";

/// What stands between the nodes and the registries.
pub enum Between {
    Nothing,
    /// A mirror of docker.io at this URL.
    Mirror(String),
    /// Caches of our own on the nodes' network, shared by all clusters: three nodes pull each image once, and it outlives
    /// the cluster.
    Caches,
}

/// A mirror that the command line names.
pub fn mirror(url: &str) -> Result<Between> {
    let refused = || unfit(format!("--mirror {url} is no URL"), "give one such as http://10.0.0.5:5000");
    let parsed: http::Uri = url.parse().map_err(|_| refused())?;
    if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.host().is_none_or(str::is_empty) {
        return Err(refused());
    }
    Ok(Between::Mirror(url.trim_end_matches('/').to_owned()))
}

/// Writes the files; those of an earlier run go.
pub fn describe(folder: &Path, between: &Between) -> Result<()> {
    for registry in REGISTRIES {
        let first = match between {
            Between::Mirror(url) if registry == HUB => url.clone(),
            Between::Caches => format!("http://{CACHE}{}:5000", registry.0),
            _ => {
                // Nothing to remove if nothing was written.
                let _ = fs::remove_dir_all(folder.join(registry.0));
                continue;
            }
        };
        write(folder, registry, &first)?;
    }
    Ok(())
}

/// One registry's file: first what stands between, then the registry itself.
fn write(folder: &Path, (name, server): (&str, &str), first: &str) -> Result<()> {
    let folder = folder.join(name);
    fs::create_dir_all(&folder).with_context(|| format!("make the folder {}", folder.display()))?;
    let text = format!("server = \"{server}\"\n\n[host.\"{first}\"]\n  capabilities = [\"pull\", \"resolve\"]\n");
    fs::write(folder.join("hosts.toml"), text).with_context(|| format!("describe the registry {name}"))
}

/// Starts the caches that do not run. Without them the nodes pull from the registries themselves.
pub async fn start_caches(engine: &Engine, live: &Live) {
    for (name, server) in REGISTRIES {
        if let Err(error) = start_cache(engine, name, server, live).await {
            live.say(&format!("no cache of {name}, so each node pulls for itself: {}", crate::error::message(&error)));
            return;
        }
    }
}

async fn start_cache(engine: &Engine, name: &str, server: &str, live: &Live) -> Result<()> {
    let (container, network) = (format!("{CACHE}{name}"), network_name());
    let format = "{{.State.Running}} {{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
    let state = engine.command(&["container", "inspect", "--format", format, &container]).output()?;
    let state = String::from_utf8_lossy(&state.stdout).into_owned();
    let mut words = state.split_whitespace();
    if words.next() == Some("true") && words.any(|word| word == network) {
        return Ok(());
    }
    // What it keeps is in a volume, so a container that stopped or lost its network can go.
    let _ = engine.command(&["rm", "--force", &container]).output();
    let volume = format!("{container}:/var/lib/registry");
    let upstream = format!("REGISTRY_PROXY_REMOTEURL={server}");
    let image = pins::pins()?.kind.cache;
    let run = ["run", "--detach", "--name", &container, "--network", &network, "--restart", "unless-stopped"];
    let run = engine.command(&run).args(["--volume", &volume, "--env", &upstream, &image]);
    run.follow(|line| live.waiting(format!("a cache of {name}: {line}"))).await?;
    Ok(())
}

/// Ends the caches once nothing but they are on the network; what they keep stays.
pub fn stop_caches(engine: &Engine) -> Result<()> {
    let Some(network) = engine.network()? else { return Ok(()) };
    if network.containers.iter().all(|name| name.starts_with(CACHE)) {
        for name in &network.containers {
            engine.command(&["rm", "--force", name]).run()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(folder: &Path, registry: &str) -> String {
        fs::read_to_string(folder.join(registry).join("hosts.toml")).unwrap_or_default()
    }

    #[test]
    fn a_mirror_stands_before_the_hub_and_no_other_registry() {
        let folder = tempfile::tempdir().unwrap();
        describe(folder.path(), &Between::Caches).unwrap();
        assert!(text(folder.path(), "quay.io").contains("[host.\"http://ebpf-lab-cache-quay.io:5000\"]"));
        describe(folder.path(), &mirror("http://10.0.0.5:5000/").unwrap()).unwrap();
        let hub = text(folder.path(), "docker.io");
        assert!(hub.starts_with("server = \"https://registry-1.docker.io\""), "the hub is asked when the mirror fails");
        assert!(hub.contains("[host.\"http://10.0.0.5:5000\"]"), "{hub}");
        assert_eq!(text(folder.path(), "quay.io"), "", "the cache of an earlier run is forgotten");
        describe(folder.path(), &Between::Nothing).unwrap();
        assert_eq!(text(folder.path(), "docker.io"), "");
    }

    #[test]
    fn a_mirror_that_is_no_url_is_refused() {
        for wrong in ["10.0.0.5:5000", "ftp://here", "", "http://"] {
            assert!(mirror(wrong).is_err(), "{wrong}");
        }
    }
}
