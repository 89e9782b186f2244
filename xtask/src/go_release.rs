//! The Go that builds `kubernetes`, brought without a Go at hand: distributions' are often older than the Kubernetes of the day.
//!
//! Go publishes its own releases as versions of a module (<https://go.dev/doc/toolchain>), so that whoever can fetch Kubernetes'
//! modules can fetch Go from the same proxy. From 1.21 on `go` does so by itself; this is for machines with none, or an older one.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use lab_cli::{Paths, Version, pins::pins};

use crate::{
    detect,
    fetch::{Failure, fetch},
    go_module,
    progress::Line,
};

/// Where `go` itself looks unless it is told otherwise.
const DEFAULT_PROXY: &str = "https://proxy.golang.org";
/// As an archive; 70 as of Go 1.26.
const MOST_MEGABYTES: u64 = 300;

/// Whether there is a Go that will do: one that is new enough, or that fetches the one that is.
///
/// # Errors
/// What is wrong with the one that is there.
pub fn found(paths: &Paths) -> Result<(), String> {
    let pin = pins().map_err(|error| error.to_string())?.tools.go;
    let wanted = pin.version;
    if program_of(paths, &wanted).is_file() {
        return Ok(());
    }
    let go = detect::find("go").ok_or("not found")?;
    // Whatever Go this is, it must speak of itself.
    let said = Command::new(go).args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local").current_dir("/").output();
    let said = String::from_utf8_lossy(&said.map_err(|error| error.to_string())?.stdout).into_owned();
    let version: Version = said.trim().trim_start_matches("go").parse().map_err(|_| "does not say its version")?;
    let least: Version = pin.least.parse()?;
    let fetches = !matches!(env::var("GOTOOLCHAIN").as_deref(), Ok("local" | "path"));
    match version {
        version if number(&wanted).is_some_and(|wanted| version >= wanted) => Ok(()),
        version if version < least => Err(format!("version {version} is too old, {least} is needed")),
        _ if !fetches => {
            Err(format!("version {version} is not go{wanted}, and GOTOOLCHAIN keeps it from fetching that"))
        }
        _ => Ok(()),
    }
}

/// Downloads, verifies and unpacks it into the cache.
///
/// # Errors
/// No proxy of the user's has it, or what came is not what is pinned.
pub fn bring(paths: &Paths) -> Result<()> {
    let wanted = pins()?.tools.go.version;
    let release = Release::of(&wanted)?;
    let folder = folder(paths, &wanted);
    let partial = folder.with_file_name(format!("partial-{}", std::process::id()));
    fs::create_dir_all(&partial).with_context(|| format!("failed to make the folder {}", partial.display()))?;
    let brought = release.unpack_into(&partial, &folder);
    // What is left of it is of no use to the next attempt.
    let _ = fs::remove_dir_all(&partial);
    brought.with_context(|| format!("failed to bring Go {wanted}"))
}

/// The folder of the programs of the Go that was brought.
///
/// # Errors
/// The pins can't be read.
pub fn bin(paths: &Paths) -> Result<PathBuf> {
    Ok(folder(paths, &pins()?.tools.go.version).join("bin"))
}

fn program_of(paths: &Paths, wanted: &str) -> PathBuf {
    folder(paths, wanted).join("bin/go")
}

fn folder(paths: &Paths, wanted: &str) -> PathBuf {
    paths.cache.join("tools").join(format!("go-{wanted}"))
}

fn number(version: &str) -> Option<Version> {
    version.parse().ok()
}

/// One release for this machine, as a version of the module that Go publishes itself as.
struct Release {
    module_version: String,
    /// What the module hashes to.
    sum: String,
}

impl Release {
    fn of(version: &str) -> Result<Self> {
        let system = format!("linux-{}", architecture()?);
        let sum = pins()?.tools.go.sums.get(&system).cloned();
        let sum = sum.with_context(|| format!("manifests/pins.toml has no sum of Go for {system}"))?;
        Ok(Self { module_version: format!("v0.0.1-go{version}.{system}"), sum })
    }

    fn unpack_into(&self, partial: &Path, folder: &Path) -> Result<()> {
        let line = Line::new(&format!("fetching Go ({})", self.module_version));
        let archive = partial.join("module.zip");
        self.download(&proxies(), &archive, &line)?;
        line.show("unpacking".to_owned());
        let unpacked = partial.join("go");
        let prefix = format!("golang.org/toolchain@{}/", self.module_version);
        let sum = go_module::unpack(&archive, &prefix, &unpacked)?;
        ensure!(sum == self.sum, "invalid module {prefix}: expected {}, got {sum}", self.sum);
        fs::rename(&unpacked, folder).with_context(|| format!("failed to move Go to {}", folder.display()))
    }

    /// From the first of the proxies that has it, by the rules of <https://go.dev/ref/mod#goproxy-protocol>.
    fn download(&self, proxies: &str, archive: &Path, line: &Line) -> Result<()> {
        let mut failures = Vec::new();
        for (proxy, whatever_fails) in listed(proxies) {
            match proxy {
                "off" => failures.push("GOPROXY=off forbids every download".to_owned()),
                "direct" => failures.push("Go itself is not at hand to fetch it directly".to_owned()),
                proxy => {
                    let url =
                        format!("{}/golang.org/toolchain/@v/{}.zip", proxy.trim_end_matches('/'), self.module_version);
                    let Err(failure) = fetch(&url, archive, MOST_MEGABYTES, line)? else { return Ok(()) };
                    let Failure { why, .. } = &failure;
                    failures.push(format!("{}: {why}", without_login(&url)));
                    if !whatever_fails && !failure.absent() {
                        break;
                    }
                }
            }
            if proxy == "off" {
                break;
            }
        }
        bail!(
            "no proxy of GOPROXY={} has it (another can be named there):\n{}",
            without_login(proxies),
            failures.join("\n")
        )
    }
}

fn architecture() -> Result<&'static str> {
    match env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("no Go is pinned for {other}; get it from https://go.dev/dl"),
    }
}

/// What the user's environment says, or what `go env -w` wrote for it.
fn proxies() -> String {
    let named = |value: String| Some(value).filter(|value| !value.is_empty());
    let proxies = env::var("GOPROXY").ok().and_then(named).or_else(|| written("GOPROXY").and_then(named));
    proxies.unwrap_or_else(|| DEFAULT_PROXY.to_owned())
}

fn written(name: &str) -> Option<String> {
    let file = match env::var_os("GOENV") {
        Some(file) => PathBuf::from(file),
        None => {
            etcetera::choose_base_strategy().ok().map(|base| etcetera::BaseStrategy::config_dir(&base))?.join("go/env")
        }
    };
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(|value| value.trim().to_owned()))
}

/// Each proxy, and whether the next is asked whatever fails (`|`) or only if this one does not have it (`,`).
fn listed(proxies: &str) -> impl Iterator<Item = (&str, bool)> {
    let items = proxies.split_inclusive([',', '|']);
    let items = items.map(|item| (item.trim_end_matches([',', '|']).trim(), item.ends_with('|')));
    items.filter(|(proxy, _)| !proxy.is_empty())
}

/// A proxy's address may hold a password, which is nobody's to read on a terminal.
fn without_login(text: &str) -> String {
    let mut shown = String::new();
    for part in text.split_inclusive("//") {
        let end = part.find(['/', ',', '|']).unwrap_or(part.len());
        let after = part[..end].rfind('@').map_or(0, |at| at + 1);
        shown.push_str(&part[after..]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_is_pinned_for_both_processors() {
        let sums = pins().unwrap().tools.go.sums;
        assert_eq!(sums.keys().collect::<Vec<_>>(), ["linux-amd64", "linux-arm64"]);
        assert!(sums.values().all(|sum| sum.starts_with("h1:") && sum.len() == 47), "{sums:?}");
    }

    #[test]
    fn the_go_that_is_pinned_is_not_older_than_a_module_asks_for() {
        let kubernetes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kubernetes");
        let pinned: Version = pins().unwrap().tools.go.version.parse().unwrap();
        for file in ["go.mod", "previous.mod", "metallb/go.mod", "runtime/go.mod"] {
            let text = fs::read_to_string(kubernetes.join(file)).unwrap();
            let asked = text.lines().find_map(|line| line.strip_prefix("go ")).unwrap();
            assert!(asked.parse::<Version>().unwrap() <= pinned, "{file} asks for {asked}");
            assert!(!text.contains("\ntoolchain "), "{file} names a toolchain, which stands in the pins");
        }
    }

    #[test]
    fn proxies_are_listed_as_go_lists_them() {
        let all: Vec<_> = listed("https://a.example,https://b.example|direct").collect();
        assert_eq!(all, [("https://a.example", false), ("https://b.example", true), ("direct", false)]);
    }

    #[test]
    fn no_login_is_shown() {
        assert_eq!(
            without_login("https://me:secret@a.example/x@v1,http://b.example"),
            "https://a.example/x@v1,http://b.example"
        );
    }

    #[test]
    fn without_a_proxy_the_error_says_why() {
        let release = Release { module_version: "v0.0.1-go1.0.0.linux-amd64".to_owned(), sum: String::new() };
        let nowhere = tempfile::tempdir().unwrap();
        let failure = |proxies| {
            let error = release.download(proxies, &nowhere.path().join("zip"), &Line::new("")).unwrap_err();
            error.to_string()
        };
        assert!(failure("off,https://never.asked.invalid").ends_with("GOPROXY=off forbids every download"));
        assert!(failure("direct").contains("Go itself is not at hand"));
        let refused = failure("http://me:secret@127.0.0.1:1,https://never.asked.invalid");
        assert!(refused.contains("http://127.0.0.1:1/golang.org") && !refused.contains("secret"), "{refused}");
        assert!(!refused.contains("never.asked.invalid/"), "a proxy that fails is not one that lacks it: {refused}");
    }
}
