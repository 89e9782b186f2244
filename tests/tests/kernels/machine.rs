//! A virtual machine: qemu with a kernel and an initramfs, no disk and no network, its console a file.

use std::{
    fs,
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

const REST: Duration = Duration::from_millis(50);

pub struct Machine<'a> {
    pub kernel: &'a Path,
    pub initramfs: &'a [u8],
    /// Where what the guest prints goes.
    pub console: &'a Path,
}

/// qemu, which does not outlive the test that started it.
struct Qemu(Child);

impl Machine<'_> {
    /// Runs it until it powers off; one that takes longer than `bound` is ended.
    pub fn run(&self, bound: Duration) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let initramfs = folder.path().join("initramfs");
        fs::write(&initramfs, self.initramfs).unwrap();
        let mut qemu = Command::new("qemu-system-x86_64");
        // Software only: that a /dev/kvm exists does not say that it works.
        qemu.args(["-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "512"]);
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        qemu.arg("-serial").arg(format!("file:{}", self.console.display()));
        qemu.arg("-kernel").arg(self.kernel).arg("-initrd").arg(&initramfs);
        // A kernel that panics reboots at once, which ends qemu.
        qemu.args(["-append", "console=ttyS0 quiet panic=-1"]);
        let mut qemu = Qemu(qemu.spawn().map_err(|error| format!("start qemu-system-x86_64: {error}"))?);
        let deadline = Instant::now() + bound;
        while Instant::now() < deadline {
            match qemu.0.try_wait().unwrap() {
                None => thread::sleep(REST),
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("qemu ended: {status}")),
            }
        }
        Err(format!("the machine did not end within {} s", bound.as_secs()))
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
