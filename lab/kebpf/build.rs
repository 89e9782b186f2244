//! Builds the page with npm, so that the binary carries it and nobody needs a second download at run time.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    for source in ["src", "build.js", "package.json", "package-lock.json", "tsconfig.json"] {
        println!("cargo::rerun-if-changed=web/{source}");
    }
    let web = Path::new("web");
    let out = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    install(web)?;
    let mut build = npm(web, &["run", "build"]);
    build.env("PAGE_DIR", out.join("page"));
    run(build)
}

/// npm notes in `node_modules` what it has installed: the lock file is compared with its copy from that moment.
fn install(web: &Path) -> anyhow::Result<()> {
    let lock = fs::read(web.join("package-lock.json")).context("could not read web/package-lock.json")?;
    let installed = web.join("node_modules/.installed-lock.json");
    if fs::read(&installed).is_ok_and(|before| before == lock) {
        return Ok(());
    }
    // esbuild works without its install script; no package needs to run anything here.
    run(npm(web, &["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))?;
    fs::write(&installed, lock).with_context(|| format!("could not write {}", installed.display()))
}

fn npm(web: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.args(arguments).current_dir(web);
    command
}

fn run(mut command: Command) -> anyhow::Result<()> {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!(
                "npm is missing, it builds kebpf's page: install Node.js 20 or later (on Debian: apt install nodejs npm)"
            )
        }
        Err(error) => return Err(error).context("could not start npm"),
    };
    if output.status.success() {
        return Ok(());
    }
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    bail!("{command:?} failed in lab/kebpf/web ({}):\n{stdout}{stderr}", output.status)
}
