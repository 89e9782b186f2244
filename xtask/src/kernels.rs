//! The kernels that the probes are proven on: fetched from Debian's archive into the cache, once.
//! One that can't be had is reported with its reason.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use lab_cli::{
    Paths,
    pins::{Kernel, pins},
};

use crate::{
    apt::Apt,
    requirements::{self, Need},
};

/// Debian's word for what the virtual machines are.
const ARCHITECTURE: &str = "amd64";

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
    let folder = file.parent().context("a kernel lies in a folder of its own")?;
    let partial = folder.with_file_name(format!("partial-{}", std::process::id()));
    let fetched = fetch(kernel, &partial, folder);
    // What is left of it is of no use to the next attempt.
    let _ = fs::remove_dir_all(&partial);
    fetched.with_context(|| format!("failed to fetch it from Debian {}", kernel.suite))
}

/// Fetches and unpacks the newest of the kernel's packages in `partial`, and puts the kernel into `folder`.
fn fetch(kernel: &Kernel, partial: &Path, folder: &Path) -> Result<()> {
    let apt = Apt::new(partial, &kernel.suite, ARCHITECTURE)?;
    let package = apt.newest(&kernel.packages)?;
    let unpacked = apt.unpack(&package)?.folder;
    let result = partial.join("result");
    fs::create_dir_all(&result)?;
    let image = image(&unpacked).with_context(|| format!("package {package} has no vmlinuz"))?;
    fs::rename(image, result.join("vmlinuz"))?;
    fs::write(result.join("package"), package)?;
    fs::rename(&result, folder).with_context(|| format!("failed to move the kernel to {}", folder.display()))
}

/// Signed packages have it in /boot, those from Linux 7 on beside the modules.
pub fn image(unpacked: &Path) -> Option<PathBuf> {
    let modules = fs::read_dir(unpacked.join("usr/lib/modules")).into_iter().flatten().flatten();
    let folders = modules.map(|version| version.path()).chain([unpacked.join("boot")]);
    let files = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let mut files = files.map(|file| file.path());
    files.find(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz")))
}

#[cfg(test)]
mod tests {
    use super::*;

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
