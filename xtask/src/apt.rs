//! Packages of Debian's archive, unpacked without being installed.
//!
//! apt fetches and verifies them with this machine's mirror, proxy and archive keys, but with lists of its own: no source of this
//! machine is added and no package installed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::{detect, progress::Line};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What was in a package.
pub struct Unpacked {
    pub folder: PathBuf,
    pub version: String,
}

/// apt on one suite of Debian's archive, with its lists and downloads in a directory of its own.
pub struct Apt {
    shell: Shell,
    folder: PathBuf,
    options: Vec<String>,
    /// Whoever waits sees what for.
    _line: Line,
}

impl Apt {
    /// With the suite's list of packages for an architecture, which need not be this machine's.
    pub fn new(folder: &Path, suite: &str, architecture: &str) -> Result<Self> {
        let shell = Shell::new()?;
        let progress = Line::new(&format!("fetching a kernel for {architecture} from Debian {suite}"));
        ensure!(detect::find("apt-get").is_some(), "this machine has no apt");
        for state in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(state))
                .with_context(|| format!("failed to make the folder {}", folder.display()))?;
        }
        let sources = folder.join("sources.list");
        // The index of packages is all that is needed of a suite.
        let line =
            format!("deb [signed-by={KEYRING} arch={architecture} target=Packages] {} {suite} main\n", mirror(&shell)?);
        fs::write(&sources, line).with_context(|| format!("failed to write {}", sources.display()))?;
        let options = [
            format!("Dir::State::lists={}", folder.join("lists").display()),
            format!("Dir::Cache={}", folder.join("cache").display()),
            format!("Dir::Etc::sourcelist={}", sources.display()),
            "Dir::Etc::sourceparts=-".to_owned(),
            "Dir::State::status=/dev/null".to_owned(),
            format!("APT::Architecture={architecture}"),
            format!("APT::Architectures={architecture}"),
            // Without it a list that can't be verified is a warning.
            "APT::Update::Error-Mode=any".to_owned(),
        ];
        let options = options.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect();
        shell.change_dir(folder);
        let apt = Self { shell, folder: folder.to_owned(), options, _line: progress };
        apt.run("apt-get", &["update", "-qq"])?;
        Ok(apt)
    }

    /// The newest of the packages whose names match.
    pub fn newest(&self, pattern: &str) -> Result<String> {
        let found = self.run("apt-cache", &["search", "--names-only", pattern])?;
        newest(&found).with_context(|| format!("no package of it matches {pattern}"))
    }

    pub fn unpack(&self, package: &str) -> Result<Unpacked> {
        self.run("apt-get", &["download", "-qq", package])?;
        let files = fs::read_dir(&self.folder)?.flatten().map(|entry| entry.path());
        let mut archives = files.filter(|file| file.extension().is_some_and(|extension| extension == "deb"));
        let (archive, into) = (archives.next().context("apt-get download left no file")?, self.folder.join("unpacked"));
        cmd!(self.shell, "dpkg-deb --extract {archive} {into}").quiet().run()?;
        let version = cmd!(self.shell, "dpkg-deb --field {archive} Version").quiet().read()?;
        Ok(Unpacked { folder: into, version })
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let options = &self.options;
        let command = cmd!(self.shell, "{program} {options...} {arguments...}");
        let output = command.quiet().ignore_status().output().with_context(|| format!("failed to start {program}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`{program} {}` failed ({}): {}", arguments.join(" "), output.status, said.trim_end());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The mirror from which this machine has its own packages.
fn mirror(shell: &Shell) -> Result<String> {
    let format = "$(REPO_URI) $(LABEL)";
    let targets = cmd!(shell, "apt-get indextargets --format {format}")
        .quiet()
        .read()
        .context("failed to ask apt for mirrors")?;
    let debian = targets.lines().find_map(|line| line.strip_suffix(" Debian"));
    Ok(debian.context("apt knows no mirror of Debian here (if this is Debian: sudo apt-get update)")?.to_owned())
}

/// The last of the names that `apt-cache search` lists (`NAME - DESCRIPTION`), compared number by number.
fn newest(found: &str) -> Option<String> {
    let names = found.lines().filter_map(|line| line.split(" - ").next());
    let numbers = |name: &&str| -> Vec<u64> {
        name.split(|letter: char| !letter.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
    };
    names.max_by_key(numbers).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_package_is_the_one_with_the_highest_numbers() {
        let found = "linux-image-6.12.99+deb13-cloud-amd64 - Linux 6.12 for x86-64 cloud (signed)\n\
                     linux-image-6.12.107+deb13-cloud-amd64 - Linux 6.12 for x86-64 cloud (signed)\n\
                     linux-image-6.12.9+deb13-cloud-amd64 - Linux 6.12 for x86-64 cloud (signed)\n";
        assert_eq!(newest(found).unwrap(), "linux-image-6.12.107+deb13-cloud-amd64");
        assert_eq!(newest(""), None);
    }
}
