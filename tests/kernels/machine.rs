//! A virtual machine: qemu with a kernel and an initramfs, no disk and no network, its console a file.

use std::{
    fs,
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use lab_cli::Patience;

const REST: Duration = Duration::from_millis(200);

pub struct Machine<'a> {
    pub kernel: &'a Path,
    pub initramfs: &'a [u8],
    /// Where what the guest prints goes.
    pub console: &'a Path,
}

/// qemu, which does not outlive the test that started it.
struct Qemu(Child);

impl Machine<'_> {
    /// Runs it until it powers off, however long it takes. It hangs if `how_far` it is, by its console, does not change within this
    /// time of a quick machine, and is ended then.
    pub fn run(&self, silence: Duration, how_far: impl Fn(&str) -> usize) -> Result<(), String> {
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
        let (mut far, mut patience, mut since) = (0, Patience::of(silence), Instant::now());
        while !patience.is_over() {
            match qemu.0.try_wait().unwrap() {
                None => thread::sleep(REST),
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("qemu ended: {status}")),
            }
            let now = how_far(&String::from_utf8_lossy(&fs::read(self.console).unwrap_or_default()));
            if now != far {
                (far, patience, since) = (now, Patience::of(silence), Instant::now());
            }
        }
        Err(format!("the machine hangs: it has found nothing for {} s", since.elapsed().as_secs()))
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
