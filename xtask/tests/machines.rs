//! How xtask becomes root and installs packages: with the real sudo and the real apt on a bare Debian, for users as clouds and
//! distributions set them up; and as other distributions call their packages, by recorded shims of their managers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so by panicking")]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use testkit::root::Root;

/// As Debian's sudo comes.
const GROUP: &str = "%sudo ALL=(ALL:ALL) ALL\n";
/// As cloud-init adds to it, for a user without a password.
const CLOUD: &str = "student ALL=(ALL) NOPASSWD:ALL\n";
/// A command that must be root and needs no tool.
const STATUS: &str = "EBPF_LAB_ROOT=/srv/workshop xtask status --on host";
/// How it ends once it may be root: it goes on to build, and there is no cargo.
const GOES_ON: &str = "start cargo";

fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("roots")
}

/// A machine with a user `student` of group sudo, password `right`, and these lines in sudoers.
struct Machine(Root);

impl Machine {
    #[track_caller]
    fn new(packages: &[&str], sudoers: &str) -> Self {
        let root = Root::new(&cache(), "trixie", packages);
        root.clone(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), "srv/workshop");
        fs::copy(env!("CARGO_BIN_EXE_xtask"), root.path("/usr/local/bin/xtask")).unwrap();
        if !packages.is_empty() {
            fs::write(root.path("/etc/sudoers"), format!("root ALL=(ALL:ALL) ALL\n{sudoers}")).unwrap();
        }
        let made = "groupadd --force sudo; useradd --create-home --shell /bin/sh --groups sudo student; \
                    echo student:right | chpasswd; git config --system safe.directory '*'";
        assert!(root.command("sh").args(["-c", made]).status().unwrap().success());
        Self(root)
    }

    /// The same machine, called by another name and with another package manager, which notes in `/called` how it was called.
    fn turned_into(&self, os_release: &str, manager: &str) {
        fs::remove_file(self.0.path("/etc/os-release")).unwrap();
        fs::write(self.0.path("/etc/os-release"), os_release).unwrap();
        let _ = fs::remove_file(self.0.path("/called"));
        testkit::program(&self.0.path("/usr/local/bin").join(manager), "#!/bin/sh\necho $0 $@ >> /called\n");
    }

    /// `lab all --install` as root; no Go is fetched.
    fn lab_all(&self) -> Output {
        let mut xtask = self.0.command("xtask");
        xtask.args(["lab", "all", "--on", "host", "--install"]).env("EBPF_LAB_ROOT", "/srv/workshop");
        xtask.env("GOPROXY", "off").stdin(Stdio::null()).output().unwrap()
    }

    fn called(&self) -> String {
        fs::read_to_string(self.0.path("/called")).unwrap_or_default()
    }

    fn as_student(&self, script: &str) -> Command {
        let mut command = self.0.command("runuser");
        command.args(["-u", "student", "--", "sh", "-c", script]).env("HOME", "/home/student");
        command
    }

    fn without_terminal(&self, script: &str) -> String {
        said(self.as_student(script).stdin(Stdio::null()).output().unwrap())
    }

    /// On a terminal, where this is typed.
    fn on_terminal(&self, script: &str, typed: &str) -> String {
        let mut command = self.as_student(&format!("script --quiet --return --command '{script}' /dev/null"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(typed.as_bytes()).unwrap();
        said(child.wait_with_output().unwrap())
    }
}

fn said(output: Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[track_caller]
fn says(said: &str, words: &str) {
    assert!(said.contains(words), "it does not say {words:?}: {said}");
}

#[test]
#[ignore = "needs root and Debian's archive"]
fn a_cloud_machines_user_who_has_no_password_is_asked_for_none() {
    let machine = Machine::new(&["sudo"], &format!("{GROUP}{CLOUD}"));
    says(&machine.without_terminal(STATUS), GOES_ON);
    let on_terminal = machine.on_terminal(STATUS, "");
    says(&on_terminal, GOES_ON);
    assert!(!on_terminal.contains("password"), "{on_terminal}");
}

#[test]
#[ignore = "needs root and Debian's archive"]
fn a_user_with_a_password_types_it_on_a_terminal_and_is_refused_elsewhere() {
    let machine = Machine::new(&["sudo"], GROUP);
    says(
        &machine.without_terminal(STATUS),
        "a cluster on this machine needs root, and sudo wants a password with no terminal",
    );
    says(&machine.on_terminal(STATUS, "right\n"), GOES_ON);
    says(&machine.on_terminal(STATUS, "wrong\nwrong\nwrong\n"), "sudo did not grant it");
}

#[test]
#[ignore = "needs root and Debian's archive"]
fn who_can_not_be_root_is_refused_before_anything_is_installed_or_built() {
    let machine = Machine::new(&[], "");
    says(&machine.without_terminal(STATUS), "there is no sudo: run the same command as root, or install sudo");
    let installing = machine.without_terminal("EBPF_LAB_ROOT=/srv/workshop xtask lab all --on host --install");
    says(&installing, "REFUSED  root: no, and no sudo");
    assert!(!machine.0.path("/home/student/.cache").exists() && !machine.0.path("/usr/bin/clang").exists());
}

#[test]
#[ignore = "needs root and Debian's archive"]
fn a_user_of_sudo_gets_packages_by_it_and_go_as_the_user() {
    let machine = Machine::new(&["sudo"], &format!("{GROUP}{CLOUD}"));
    let said = machine.without_terminal("EBPF_LAB_ROOT=/srv/workshop xtask lab 1 --on host --install");
    says(&said, GOES_ON);
    assert!(machine.0.path("/usr/bin/clang").exists());
    let tools = machine.0.path("/home/student/.cache/ebpf-lab/tools");
    let go = fs::read_dir(&tools).unwrap().flatten().find(|entry| entry.path().join("bin/go").is_file());
    assert!(go.is_some(), "no Go in {}: {said}", tools.display());
}

#[test]
#[ignore = "needs root and Debian's archive"]
fn packages_are_installed_in_the_words_of_each_distribution_by_recorded_shims() {
    let machine = Machine::new(&[], "");
    for (os_release, manager, called) in [
        (
            "ID=fedora\n",
            "dnf",
            "/usr/local/bin/dnf install -y --setopt=install_weak_deps=False clang elfutils-libelf-devel zlib-devel \
             pkgconf-pkg-config libseccomp-devel iproute nftables iptables-nft\n",
        ),
        (
            "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
            "dnf",
            "/usr/local/bin/dnf install -y --setopt=install_weak_deps=False clang elfutils-libelf-devel zlib-devel \
             pkgconf-pkg-config libseccomp-devel iproute nftables iptables-nft\n",
        ),
        (
            "ID=arch\n",
            "pacman",
            "/usr/local/bin/pacman -S --needed --noconfirm clang libelf zlib pkgconf libseccomp iproute2 nftables \
             iptables\n",
        ),
    ] {
        machine.turned_into(os_release, manager);
        let said = said(machine.lab_all());
        assert_eq!(machine.called(), called, "{said}");
        says(&said, "GOPROXY=off forbids every download");
    }
}

#[test]
#[ignore = "needs root and Debian's archive"]
fn a_distribution_that_is_not_known_or_not_driven_is_refused_with_what_to_install() {
    let machine = Machine::new(&[], "");
    for (os_release, words) in [
        (
            "PRETTY_NAME=\"Gentoo Linux\"\nID=gentoo\n",
            "Gentoo Linux is not a distribution whose packages we know: install clang, elfutils' libelf with its headers",
        ),
        ("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", "sudo zypper install clang libelf-devel zlib-devel"),
        ("ID=alpine\n", "apk add clang elfutils-dev zlib-dev"),
        ("ID=nixos\n", "`nix develop`"),
    ] {
        machine.turned_into(os_release, "zypper");
        let output = machine.lab_all();
        assert_eq!(output.status.code(), Some(4), "{output:?}");
        says(&said(output), words);
        assert_eq!(machine.called(), "");
    }
    assert!(!machine.0.path("/root/.cache").exists(), "it began to build");
}

#[test]
#[ignore = "needs root and Debian's archive"]
fn every_package_that_the_labs_ask_apt_for_is_in_debian_11_12_and_13() {
    let machine = Machine::new(&[], "");
    let mut xtask = machine.0.command("xtask");
    xtask.args(["lab", "all", "--on", "host"]).env("EBPF_LAB_ROOT", "/srv/workshop");
    let said = said(xtask.output().unwrap());
    let line = said.lines().find_map(|line| line.split("sudo apt-get install ").nth(1)).expect(&said);
    let names = line.split(';').next().unwrap();
    assert!(names.split_whitespace().count() > 5, "{said}");
    for suite in ["bullseye", "bookworm", "trixie"] {
        let root = Root::new(&cache(), suite, &[]);
        let script = format!("apt-get update -qq && apt-get install --dry-run {names}");
        let output = root.command("sh").args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{suite}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
