//! What to do on a machine on which the labs can't run: a Linux in a virtual machine, by the lines to type.

use std::env::consts::{ARCH, OS};

/// Memory and disk as doctor asks for them, with room for a compiler: https://lima-vm.io/docs, https://learn.microsoft.com/windows/wsl
const MACOS: &str = "\
error: the labs need Linux, this is macOS
hint: a virtual machine by Lima will do; in a terminal:
  brew install lima
  limactl start --name=ebpf --cpus=4 --memory=8 --disk=40 template:ubuntu-24.04
  limactl shell --workdir=. ebpf
then clone the workshop in its home folder (`cd`; macOS' own is mounted read-only) and go on there as README says";

const WINDOWS: &str = "\
error: the labs need Linux, this is Windows
hint: WSL2 will do; in PowerShell, and then a restart if it asks for one:
  wsl --install -d Ubuntu-24.04
  Add-Content $env:UserProfile\\.wslconfig \"[wsl2]`nmemory=8GB\"
  wsl --shutdown
  wsl -d Ubuntu-24.04 --cd ~
then clone the workshop there, not below /mnt/c, and go on as README says";

/// The processors that libbpf's argument macros, the syscall names of bee and the labs' Go programs are tried on.
const PROCESSORS: [&str; 2] = ["x86_64", "aarch64"];

/// What to say here instead of anything else; nothing where the labs run.
pub fn message() -> Option<String> {
    message_of(OS, ARCH)
}

fn message_of(system: &str, processor: &str) -> Option<String> {
    match system {
        "linux" if PROCESSORS.contains(&processor) => None,
        "linux" => Some(format!(
            "error: the labs run on {}, this is {processor}\nhint: use a machine or a virtual machine of one of these",
            PROCESSORS.join(" and ")
        )),
        "macos" => Some(MACOS.to_owned()),
        "windows" => Some(WINDOWS.to_owned()),
        other => Some(format!(
            "error: the labs need Linux, this is {other}\nhint: use a virtual machine of Ubuntu 24.04 with 4 processors, 8 GB of \
             memory and 40 GB of disk"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_on_which_the_labs_run_hear_nothing() {
        assert_eq!((message_of("linux", "x86_64"), message_of("linux", "aarch64"), message()), (None, None, None));
    }

    #[test]
    fn every_other_is_named_with_the_lines_to_type() {
        let systems = [("macos", "aarch64"), ("windows", "x86_64"), ("freebsd", "x86_64"), ("linux", "riscv64")];
        let said: Vec<_> = systems.iter().filter_map(|(system, processor)| message_of(system, processor)).collect();
        insta::assert_snapshot!(said.join("\n\n"));
    }
}
