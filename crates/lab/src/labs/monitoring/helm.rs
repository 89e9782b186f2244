//! Helm, as lab 3 of the upstream profile uses it: only what Helm 3 and 4 share. It installs; the waiting is ours.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams},
};
use lab_cli::pins::Pins;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::NAMESPACE;
use crate::{
    cmd::{Cmd, Failed},
    error::unfit,
    workshop::Workshop,
};

pub const RELEASE: &str = "prom";
pub const VALUES: &str = "manifests/lab3/values.yaml";
/// On the Secret in which Helm keeps a release: it is ours, and the digest of what it was installed from.
const LABEL: &str = "ebpf-lab";

/// Helm on one cluster.
pub struct Helm<'a> {
    workshop: &'a Workshop,
    pins: &'a Pins,
}

/// What Helm knows of release `prom`, by its latest revision.
#[derive(Debug)]
pub struct Release {
    /// Such as `deployed`, `failed` or `pending-upgrade`.
    pub status: String,
    /// Of what we installed; none if somebody else did.
    pub digest: Option<String>,
    secret: String,
}

impl Release {
    /// Whether a helm is at work on it, or was killed when it was.
    pub fn is_pending(&self) -> bool {
        self.status.starts_with("pending")
    }
}

impl<'a> Helm<'a> {
    pub fn new(workshop: &'a Workshop, pins: &'a Pins) -> Self {
        Self { workshop, pins }
    }

    /// Sees that helm is there and new enough, and that a chart given by path is the one that the labs are made for.
    pub fn look(&self) -> Result<()> {
        let least = &self.pins.tools.helm.least;
        let found = self.command(["version", "--short"]).read().map_err(|failed| missing(&failed, least))?;
        let number =
            numbers(&found).with_context(|| format!("invalid version `{found}` from `helm version --short`"))?;
        if Some(number) < numbers(least) {
            return Err(unfit(format!("helm {found} is too old: the labs need {least}"), INSTALL));
        }
        self.workshop.options.chart.as_deref().map_or(Ok(()), |chart| self.look_at(chart))
    }

    fn look_at(&self, chart: &Path) -> Result<()> {
        #[derive(Deserialize)]
        struct Chart {
            name: String,
            version: String,
        }
        let pinned = &self.pins.chart;
        let hint = format!(
            "fetch it with `helm pull {} --repo {} --version {}`",
            pinned.name, pinned.repository, pinned.version
        );
        let text = self.command(["show", "chart"]).arg(chart).read().map_err(|failed| {
            let said = failed.stderr.unwrap_or(failed.how);
            unfit(format!("{} is not a chart: {said}", chart.display()), &hint)
        })?;
        let found: Chart =
            serde_saphyr::from_str(&text).with_context(|| format!("failed to read the chart {}", chart.display()))?;
        if (&found.name, &found.version) != (&pinned.name, &pinned.version) {
            let (wanted, found) =
                (format!("{} {}", pinned.name, pinned.version), format!("{} {}", found.name, found.version));
            return Err(unfit(format!("the chart {} is {found}, the labs need {wanted}", chart.display()), hint));
        }
        Ok(())
    }

    /// Installs the release, or brings it up to date.
    pub fn upgrade(&self, digest: &str) -> Cmd {
        let timeout = format!("{}s", self.workshop.timeout().as_secs());
        let label = format!("{LABEL}={digest}");
        let upgrade = self.command(["upgrade", "--install", RELEASE]).args(self.chart());
        let upgrade = upgrade.args(["--namespace", NAMESPACE, "--values"]).arg(self.values());
        self.on_cluster(upgrade).args(["--timeout", &timeout, "--labels", &label])
    }

    pub fn uninstall(&self) -> Cmd {
        let timeout = format!("{}s", self.workshop.timeout().as_secs());
        let uninstall = self.command(["uninstall", RELEASE, "--namespace", NAMESPACE]);
        self.on_cluster(uninstall).args(["--timeout", &timeout])
    }

    /// A question about the release, such as `get values --all`.
    pub fn ask(&self, words: &[&str]) -> Cmd {
        self.on_cluster(self.command(words).args([RELEASE, "--namespace", NAMESPACE]))
    }

    /// What the release is made from, so that nothing is done when it is there already.
    pub fn digest(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let values = self.values();
        hash.update(fs::read(&values).with_context(|| format!("failed to read {}", values.display()))?);
        match &self.workshop.options.chart {
            Some(chart) => hash_files(&mut hash, chart)?,
            None => hash.update(&self.pins.chart.version),
        }
        Ok(hex::encode(&hash.finalize()[..8]))
    }

    fn chart(&self) -> Vec<PathBuf> {
        let pinned = &self.pins.chart;
        match &self.workshop.options.chart {
            Some(path) => vec![path.clone()],
            None => {
                [&pinned.name, "--repo", &pinned.repository, "--version", &pinned.version].map(PathBuf::from).to_vec()
            }
        }
    }

    fn values(&self) -> PathBuf {
        self.workshop.paths.checkout.join(VALUES)
    }

    /// A helm that knows none of the user's settings: repositories, plugins, another cluster in `HELM_KUBEAPISERVER`.
    fn command<'w>(&self, words: impl AsRef<[&'w str]>) -> Cmd {
        let folder = self.workshop.paths.cache.join("helm");
        let ours = [("CACHE", "cache"), ("CONFIG", "config"), ("DATA", "data")];
        let theirs =
            std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("HELM_"));
        // It keeps files in the user's cache.
        let helm = Cmd::new("helm").as_caller().args(words.as_ref()).with(|command| {
            for name in theirs {
                command.env_remove(name);
            }
        });
        let helm =
            ours.iter().fold(helm, |helm, (name, part)| helm.env(&format!("HELM_{name}_HOME"), folder.join(part)));
        helm.env("HELM_DRIVER", "secret")
    }

    fn on_cluster(&self, command: Cmd) -> Cmd {
        let cluster = &self.workshop.cluster;
        let command = command.arg("--kubeconfig").arg(cluster.kubeconfig()).args(["--kube-context", cluster.context()]);
        // The chart may well come through the proxy.
        command.directly_to(&cluster.addresses())
    }
}

/// The release as its notes in the cluster say it; only their labels are read, the notes hold a password.
pub async fn release(client: &Client) -> Result<Option<Release>> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let notes = ListParams::default().labels(&format!("owner=helm,name={RELEASE}"));
    let notes = secrets.list_metadata(&notes).await.context("failed to look for release prom")?;
    let revision = |label: Option<&String>| label.and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    let latest = notes.iter().max_by_key(|note| revision(note.labels().get("version")));
    Ok(latest.map(|note| Release {
        status: note.labels().get("status").cloned().unwrap_or_default(),
        digest: note.labels().get(LABEL).cloned(),
        secret: note.name_any(),
    }))
}

/// Forgets the latest revision, which a killed helm left half-done: the next one takes up what it made.
pub async fn forget(client: &Client, release: &Release) -> Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    secrets
        .delete(&release.secret, &DeleteParams::default())
        .await
        .context("failed to forget what a killed helm left half-done")?;
    Ok(())
}

/// Runs helm to its end; a failure comes with what usually fixes it.
pub async fn run(command: Cmd) -> Result<()> {
    let ended = tokio::task::spawn_blocking(move || command.run()).await.context("failed to wait for helm")?;
    Ok(ended.map_err(explain)?)
}

const INSTALL: &str = "run the same command with --install, or get it from https://helm.sh/docs/intro/install";

fn missing(failed: &Failed, least: &str) -> anyhow::Error {
    unfit(format!("the upstream profile needs helm {least} or newer: {failed}"), INSTALL)
}

/// What helm says when it fails, the more particular first, and what to do then.
const REMEDIES: [(&str, &str); 9] = [
    (
        "another operation (install/upgrade/rollback) is in progress",
        "another helm works on release prom, or was killed: wait, or `helm rollback prom --namespace prometheus`, or \
         `cargo xtask reset 3` and this lab again",
    ),
    (
        "invalid ownership metadata",
        "objects of these names were made without helm, perhaps by the offline profile: \
         `cargo xtask reset 3 --profile offline` removes those",
    ),
    (
        "ensure CRDs are installed first",
        "the operator's kinds are missing, and Helm installs a chart's kinds only with its first revision: \
         `cargo xtask reset 3`, then this lab again",
    ),
    (
        "not found in http",
        "manifests/pins.toml names a version that the repository does not have (any more): compare its list with \
         `helm search repo --versions`, or give a chart that you have with --chart PATH",
    ),
    ("cluster unreachable", "is the cluster up? `cargo xtask status` tells, `cargo xtask lab 2` starts it"),
    ("is not a valid chart repository or cannot be reached", NO_REPOSITORY),
    ("dial tcp", NO_REPOSITORY),
    ("unknown flag", "this helm does not know what Helm 3.14 to 4 know: compare `helm version`"),
    ("conflict", "somebody changed these objects by other means than helm: `cargo xtask reset 3`, then this lab again"),
];

const NO_REPOSITORY: &str = "this machine can't reach the chart's repository: fetch the chart where there is internet \
    (`helm pull`) and give it with --chart PATH, or use --profile offline, which needs no internet";

fn explain(failed: Failed) -> Failed {
    let said = failed.stderr.as_deref().unwrap_or_default();
    let remedy = REMEDIES.iter().find(|(words, _)| said.contains(words)).map(|(_, remedy)| (*remedy).to_owned());
    Failed { hint: failed.hint.or(remedy), ..failed }
}

/// The first three numbers of a version, as in `v4.3.1+g1234567` or, by a build without its version, `v4.3`.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let version = version.trim().trim_start_matches('v');
    let mut parts = version.split(['.', '+', '-']).map(|part| part.parse().ok());
    Some([parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)])
}

fn hash_files(hash: &mut Sha256, chart: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(chart).sort_by_file_name() {
        let entry = entry.with_context(|| format!("failed to look through the chart {}", chart.display()))?;
        if entry.file_type().is_file() {
            hash.update(entry.path().as_os_str().as_encoded_bytes());
            hash.update(fs::read(entry.path()).with_context(|| format!("failed to read {}", entry.path().display()))?);
        }
    }
    if !chart.exists() {
        bail!("there is no chart {}", chart.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert_eq!(numbers("v4.3.1+g1234567"), Some([4, 3, 1]));
        assert_eq!(numbers("v3.22"), Some([3, 22, 0]));
        assert_eq!(numbers("v4.0.0-rc.1"), Some([4, 0, 0]));
        assert!(numbers("v3.9.4").unwrap() < numbers("3.14.0").unwrap());
        assert_eq!(numbers("unknown"), None);
    }
}
