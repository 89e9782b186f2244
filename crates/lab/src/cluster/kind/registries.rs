//! How the nodes reach image registries: one file a registry, in a folder of ours that is mounted into every node.
//!
//! containerd reads them at each pull, so they may change while the nodes run. By the same mount a container of ours is
//! told from anybody else's.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use lab_cli::{pins, proxies};
use serde::Serialize;
use serde_json::json;

use super::engine::{Engine, network_name};
use crate::{
    caller::{self, OPEN},
    error::unfit,
    live::Live,
};

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
    let refused = || unfit(format!("invalid --mirror {url}: expected a URL"), "give one such as http://10.0.0.5:5000");
    let parsed: http::Uri = url.parse().map_err(|_| refused())?;
    if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.host().is_none_or(str::is_empty) {
        return Err(refused());
    }
    Ok(Between::Mirror(url.trim_end_matches('/').to_owned()))
}

/// Writes the files anew: what stands between, and the user's own (`HOST:PORT/hosts.toml` in `theirs`), which come first.
pub fn describe(folder: &Path, between: &Between, theirs: &Path) -> Result<()> {
    // Not the folder itself: that is what the nodes have mounted.
    for old in fs::read_dir(folder).with_context(|| format!("failed to look into {}", folder.display()))? {
        fs::remove_dir_all(old?.path()).context("failed to forget a registry")?;
    }
    for registry in REGISTRIES {
        match between {
            Between::Mirror(url) if registry == HUB => write(folder, registry, url)?,
            Between::Caches => write(folder, registry, &format!("http://{CACHE}{}:5000", registry.0))?,
            _ => {}
        }
    }
    for registry in fs::read_dir(theirs).into_iter().flatten().flatten() {
        copy(&registry.path(), &folder.join(registry.file_name()))?;
    }
    Ok(())
}

/// Copies what the user wrote of one registry, and the files that it names by path: the nodes have no others.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let file = from.join("hosts.toml");
    let Ok(text) = fs::read_to_string(&file) else { return Ok(()) };
    let mut hosts: toml::Value = toml::from_str(&text).with_context(|| format!("failed to read {}", file.display()))?;
    caller::folder(to)?;
    copy_files(&mut hosts, from, to)?;
    write_hosts(to, &hosts)
}

/// Whatever text in it is the path of a file becomes that of its copy.
fn copy_files(value: &mut toml::Value, from: &Path, to: &Path) -> Result<()> {
    match value {
        toml::Value::Array(values) => values.iter_mut().try_for_each(|value| copy_files(value, from, to)),
        toml::Value::Table(table) => table.iter_mut().try_for_each(|(_, value)| copy_files(value, from, to)),
        toml::Value::String(path) => {
            let file = from.join(&*path);
            if let Some(name) = file.file_name().filter(|_| file.is_file()) {
                let bytes = fs::read(&file).with_context(|| format!("failed to read {}", file.display()))?;
                caller::write(&to.join(name), bytes, OPEN)?;
                *path = name.to_string_lossy().into_owned();
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// One registry's file: first what stands between, then the registry itself.
fn write(folder: &Path, (name, server): (&str, &str), first: &str) -> Result<()> {
    let folder = folder.join(name);
    caller::folder(&folder)?;
    let hosts = json!({ "server": server, "host": { first: { "capabilities": ["pull", "resolve"] } } });
    write_hosts(&folder, &hosts)
}

fn write_hosts(folder: &Path, hosts: &impl Serialize) -> Result<()> {
    let text =
        toml::to_string(hosts).with_context(|| format!("failed to describe the registry {}", folder.display()))?;
    caller::write(&folder.join("hosts.toml"), text, OPEN)
}

/// The caches' names, to which no proxy leads.
pub fn caches() -> Vec<String> {
    REGISTRIES.map(|(name, _)| format!("{CACHE}{name}")).to_vec()
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
    let run = engine.command(&run).args(["--volume", &volume, "--env", &upstream]);
    // By name alone: a login is nobody's to read in a command line. kind gives them to the nodes by itself.
    let run = run.args(proxies::inherited().into_iter().flat_map(|(name, _)| ["--env", name])).arg(&image);
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
        let (folder, nothing) = (tempfile::tempdir().unwrap(), Path::new("/nowhere"));
        describe(folder.path(), &Between::Caches, nothing).unwrap();
        assert!(text(folder.path(), "quay.io").contains("[host.\"http://ebpf-lab-cache-quay.io:5000\"]"));
        describe(folder.path(), &mirror("http://10.0.0.5:5000/").unwrap(), nothing).unwrap();
        let hub = text(folder.path(), "docker.io");
        assert!(hub.starts_with("server = \"https://registry-1.docker.io\""), "the hub is asked when the mirror fails");
        assert!(hub.contains("[host.\"http://10.0.0.5:5000\"]"), "{hub}");
        assert_eq!(text(folder.path(), "quay.io"), "", "the cache of an earlier run is forgotten");
        describe(folder.path(), &Between::Nothing, nothing).unwrap();
        assert_eq!(text(folder.path(), "docker.io"), "");
    }

    #[test]
    fn what_the_user_says_of_a_registry_reaches_the_nodes_with_its_authority() {
        let (folder, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (authority, registry) = (theirs.path().join("authority.pem"), theirs.path().join("10.0.0.5:5000"));
        fs::write(&authority, "PEM").unwrap();
        fs::create_dir(&registry).unwrap();
        let hosts =
            format!("server = \"https://10.0.0.5:5000\"\n[host.\"https://10.0.0.5:5000\"]\nca = {authority:?}\n");
        fs::write(registry.join("hosts.toml"), hosts).unwrap();
        describe(folder.path(), &Between::Nothing, theirs.path()).unwrap();
        assert!(text(folder.path(), "10.0.0.5:5000").ends_with("ca = \"authority.pem\"\n"));
        assert_eq!(fs::read_to_string(folder.path().join("10.0.0.5:5000/authority.pem")).unwrap(), "PEM");
    }

    #[test]
    fn a_mirror_that_is_no_url_is_refused() {
        for wrong in ["10.0.0.5:5000", "ftp://here", "", "http://"] {
            assert!(mirror(wrong).is_err(), "{wrong}");
        }
    }
}
