//! The kernels that the probes are proven on: fetched from Debian's archive into the cache, once.
//!
//! apt fetches and verifies them with this machine's mirror, proxy and archive keys, but with lists of its own: no source of this
//! machine is added and no package installed. A kernel that can't be had is reported with its reason.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use lab_cli::{
    Paths,
    pins::{Kernel, pins},
};
use xshell::{Shell, cmd};

use crate::{
    detect,
    progress::Line,
    requirements::{self, Need},
};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A kernel that the probes can't be proven on here, and why.
pub struct Lacking {
    pub name: String,
    pub why: String,
}

/// What is pinned, and what of it can't be had. Only with `install` is anything fetched.
pub fn ensure(paths: &Paths, install: bool) -> Result<(usize, Vec<Lacking>)> {
    let kernels = pins()?.kernels;
    let machine = machine(paths, install).map_err(|error| format!("{error:#}"));
    let lacking = kernels.iter().filter_map(|kernel| {
        let have = machine.clone().and_then(|()| have(paths, kernel, install).map_err(|error| format!("{error:#}")));
        Some(Lacking { name: kernel.name.clone(), why: have.err()? })
    });
    let lacking = lacking.collect();
    Ok((kernels.len(), lacking))
}

/// Sees that virtual machines can run.
fn machine(paths: &Paths, install: bool) -> Result<()> {
    ensure!(std::env::consts::ARCH == "x86_64", "the virtual machines run this machine's programs, and are x86-64");
    if install {
        requirements::ensure(paths, &[Need::Machines], install)?;
    }
    let lacks =
        requirements::report(paths, &[Need::Machines]).into_iter().find_map(|(tool, found)| Some((tool, found.err()?)));
    lacks.map_or(Ok(()), |(tool, why)| bail!("{tool} {why}; --install brings it"))
}

fn have(paths: &Paths, kernel: &Kernel, install: bool) -> Result<()> {
    let file = paths.kernel(&kernel.name);
    if file.is_file() {
        return Ok(());
    }
    ensure!(install, "it is not in the cache; --install fetches it from Debian's archive");
    let _line = Line::new(&format!("fetching kernel {} from Debian {}", kernel.name, kernel.suite));
    let folder = file.parent().context("a kernel lies in a folder of its own")?;
    let partial = folder.with_file_name(format!("partial-{}", std::process::id()));
    let fetched = fetch(kernel, &partial, folder);
    // What is left of it is of no use to the next attempt.
    let _ = fs::remove_dir_all(&partial);
    fetched.with_context(|| format!("failed to fetch it from Debian {}", kernel.suite))
}

/// Fetches and unpacks the newest of the kernel's packages in `partial`, and puts the kernel into `folder`.
fn fetch(kernel: &Kernel, partial: &Path, folder: &Path) -> Result<()> {
    let apt = Apt::new(partial, &kernel.suite)?;
    apt.update()?;
    let package = apt.newest(&kernel.packages)?;
    let unpacked = apt.unpack(&package)?;
    let result = partial.join("result");
    fs::create_dir_all(&result)?;
    let image = image(&unpacked).with_context(|| format!("package {package} has no vmlinuz"))?;
    fs::rename(image, result.join("vmlinuz"))?;
    fs::write(result.join("package"), package)?;
    fs::rename(&result, folder).with_context(|| format!("failed to move the kernel to {}", folder.display()))
}

/// Signed packages have it in /boot, those from Linux 7 on beside the modules.
fn image(unpacked: &Path) -> Option<PathBuf> {
    let modules = fs::read_dir(unpacked.join("usr/lib/modules")).into_iter().flatten().flatten();
    let folders = modules.map(|version| version.path()).chain([unpacked.join("boot")]);
    let files = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let mut files = files.map(|file| file.path());
    files.find(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz")))
}

/// apt on one suite of Debian's archive, with its lists and downloads in a folder of its own.
struct Apt {
    shell: Shell,
    folder: PathBuf,
    options: Vec<String>,
}

impl Apt {
    fn new(folder: &Path, suite: &str) -> Result<Self> {
        let shell = Shell::new()?;
        ensure!(detect::find("apt-get").is_some(), "this machine has no apt");
        for state in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(state))
                .with_context(|| format!("failed to make the folder {}", folder.display()))?;
        }
        let sources = folder.join("sources.list");
        // The index of packages is all that is needed of a suite.
        let line = format!("deb [signed-by={KEYRING} target=Packages] {} {suite} main\n", mirror(&shell)?);
        fs::write(&sources, line).with_context(|| format!("failed to write {}", sources.display()))?;
        let options = [
            format!("Dir::State::lists={}", folder.join("lists").display()),
            format!("Dir::Cache={}", folder.join("cache").display()),
            format!("Dir::Etc::sourcelist={}", sources.display()),
            "Dir::Etc::sourceparts=-".to_owned(),
            // Without it a list that can't be verified is a warning.
            "APT::Update::Error-Mode=any".to_owned(),
        ];
        let options = options.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect();
        shell.change_dir(folder);
        Ok(Self { shell, folder: folder.to_owned(), options })
    }

    fn update(&self) -> Result<()> {
        self.run("apt-get", &["update", "-qq"]).map(drop)
    }

    /// The newest of the packages whose names match.
    fn newest(&self, pattern: &str) -> Result<String> {
        let found = self.run("apt-cache", &["search", "--names-only", pattern])?;
        newest(&found).with_context(|| format!("no package of it matches {pattern}"))
    }

    fn unpack(&self, package: &str) -> Result<PathBuf> {
        self.run("apt-get", &["download", "-qq", package])?;
        let files = fs::read_dir(&self.folder)?.flatten().map(|entry| entry.path());
        let mut archives = files.filter(|file| file.extension().is_some_and(|extension| extension == "deb"));
        let (archive, into) = (archives.next().context("apt-get download left no file")?, self.folder.join("unpacked"));
        cmd!(self.shell, "dpkg-deb --extract {archive} {into}").quiet().run()?;
        Ok(into)
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

    #[test]
    fn the_kernel_is_found_wherever_a_package_has_it() {
        for place in ["boot/vmlinuz-6.1.0-50-cloud-amd64", "usr/lib/modules/7.2.13+deb14-cloud-amd64/vmlinuz"] {
            let folder = std::env::temp_dir().join(format!("kernels-{}", std::process::id()));
            let file = folder.join(place);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file.with_file_name("config"), "").unwrap();
            fs::write(&file, "").unwrap();
            assert_eq!(image(&folder), Some(file));
            fs::remove_dir_all(folder).unwrap();
        }
    }
}
