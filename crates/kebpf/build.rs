//! Builds the page, so that the binary carries it and nobody needs a second download at run time.
//!
//! What package-lock.json names comes straight from npm's registry, each package verified by the lock's hash. The bundler and the
//! type checker are programs of their own in there, so that nobody needs Node.js.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;
use sha2::{Digest, Sha512};

fn main() -> anyhow::Result<()> {
    for source in ["src", "package-lock.json", "tsconfig.json"] {
        println!("cargo::rerun-if-changed=web/{source}");
    }
    let web = Path::new("web");
    let page = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?).join("page");
    fs::create_dir_all(&page)?;
    install(web)?;
    // Four files, no address of anywhere else in them.
    let system = system();
    let esbuild = format!("@esbuild/{system}/bin/esbuild");
    run(program(web, &format!("@typescript/typescript-{system}/lib/tsc"))?.args(["--project", "."]))?;
    let mut script = program(web, &esbuild)?;
    script.args(["--bundle", "--format=iife", "--target=es2022", "--legal-comments=inline", "src/page.ts"]);
    run(script.args(["--minify", "--log-level=warning"]).arg(format!("--outfile={}", page.join("page.js").display())))?;
    let mut style = program(web, &esbuild)?;
    style.args(["--minify", "--log-level=warning", "src/page.css"]);
    run(style.arg(format!("--outfile={}", page.join("page.css").display())))?;
    for file in ["index.html", "icon.svg"] {
        fs::copy(web.join("src").join(file), page.join(file)).with_context(|| format!("copy {file}"))?;
    }
    Ok(())
}

/// The copy of the lock beside the packages says which were installed.
fn install(web: &Path) -> anyhow::Result<()> {
    let lock = fs::read_to_string(web.join("package-lock.json")).context("read web/package-lock.json")?;
    let (modules, marker) = (web.join("node_modules"), ".installed-lock.json");
    let is_installed = || fs::read_to_string(modules.join(marker)).is_ok_and(|installed| installed == lock);
    if is_installed() {
        return Ok(());
    }
    let partial = web.join(format!("node_modules-{}", std::process::id()));
    let fetched = fetch_all(web, &lock, &partial);
    if fetched.is_ok() {
        fs::write(partial.join(marker), &lock)?;
        let _ = fs::remove_dir_all(&modules);
        // It fails if another build was faster.
        let _ = fs::rename(&partial, &modules);
    }
    let _ = fs::remove_dir_all(&partial);
    fetched?;
    ensure!(is_installed(), "failed to put the page's packages in {}", modules.display());
    Ok(())
}

fn fetch_all(web: &Path, lock: &str, folder: &Path) -> anyhow::Result<()> {
    let lock: Value = serde_json::from_str(lock).context("read web/package-lock.json")?;
    let registry = registry(web);
    for (place, package) in lock["packages"].as_object().context("package-lock.json lists no packages")? {
        // The one without a place is the page itself.
        let Some(name) = place.strip_prefix("node_modules/").filter(|_| is_for_this_machine(package)) else { continue };
        let fetched = fetch(&registry, name, package, &folder.join(name));
        fetched.with_context(|| format!("failed to fetch {name} from {registry}"))?;
    }
    Ok(())
}

fn is_for_this_machine(package: &Value) -> bool {
    let (os, cpu) = machine();
    let fits = |key: &str, ours: &str| package[key].as_array().is_none_or(|list| list.iter().any(|one| one == ours));
    fits("os", os) && fits("cpu", cpu)
}

/// The system and the processor, as npm calls them.
fn machine() -> (&'static str, &'static str) {
    let os = if env::consts::OS == "macos" { "darwin" } else { env::consts::OS };
    let cpu = match env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    (os, cpu)
}

fn system() -> String {
    let (os, cpu) = machine();
    format!("{os}-{cpu}")
}

/// Where the user's npm would look: its setting, or a `registry=` line of the page's or the user's .npmrc.
fn registry(web: &Path) -> String {
    let variables = ["npm_config_registry", "NPM_CONFIG_REGISTRY"].into_iter().find_map(|name| env::var(name).ok());
    let home = env::home_dir().unwrap_or_default();
    let line = |folder: &Path| {
        let text = fs::read_to_string(folder.join(".npmrc")).ok()?;
        text.lines()
            .find_map(|line| Some(line.trim().strip_prefix("registry")?.trim().strip_prefix('=')?.trim().to_owned()))
    };
    let said = variables.or_else(|| line(web)).or_else(|| line(&home)).filter(|registry| !registry.is_empty());
    said.unwrap_or_else(|| "https://registry.npmjs.org".to_owned()).trim_end_matches('/').to_owned()
}

/// Downloads a package, and unpacks it if it is what the lock says.
fn fetch(registry: &str, name: &str, package: &Value, folder: &Path) -> anyhow::Result<()> {
    let version = package["version"].as_str().context("the lock says no version")?;
    let integrity = package["integrity"].as_str().context("the lock says no hash")?;
    let file = name.rsplit('/').next().unwrap_or(name);
    let url = format!("{registry}/{name}/-/{file}-{version}.tgz");
    fs::create_dir_all(folder)?;
    let archive = folder.join(".tgz");
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--location", "--silent", "--show-error", "--retry", "3", "--netrc-optional", "--output"]);
    run(curl.arg(&archive).args(["--", &url]))?;
    let hash = format!("sha512-{}", BASE64_STANDARD.encode(Sha512::digest(fs::read(&archive)?)));
    ensure!(hash == integrity, "{url} is not what package-lock.json says: expected {integrity}, got {hash}");
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--gzip", "--strip-components=1", "--no-same-owner", "--file"]).arg(&archive);
    run(tar.arg("--directory").arg(folder))?;
    fs::remove_file(archive).context("remove the archive")
}

/// A program of one of the packages, started in the page's folder.
fn program(web: &Path, name: &str) -> anyhow::Result<Command> {
    let file = web.join("node_modules").join(name).canonicalize();
    let mut command = Command::new(file.with_context(|| format!("find web/node_modules/{name}"))?);
    command.current_dir(web);
    Ok(command)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("failed to start {program}, which builds kebpf's page"))?;
    if output.status.success() {
        return Ok(());
    }
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    bail!("{command:?} failed in crates/kebpf ({}):\n{stdout}{stderr}", output.status)
}
