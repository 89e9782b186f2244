//! What an ordinary machine has mounted and set up by the time a user logs in, and its end.

use std::fs;

use nix::{
    mount::{MsFlags, mount},
    sys::{
        reboot::{RebootMode, reboot},
        termios::tcdrain,
        utsname::uname,
    },
};

/// Mounts what bee and the kernel's hooks need, and brings up loopback.
pub fn prepare() {
    let kernels_own = [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tracefs", "/sys/kernel/tracing"),
        ("securityfs", "/sys/kernel/security"),
        ("cgroup2", "/sys/fs/cgroup"),
        ("tmpfs", "/tmp"),
    ];
    for (kind, point) in kernels_own {
        fs::create_dir_all(point).unwrap();
        mount(Some(kind), point, Some(kind), MsFlags::empty(), None::<&str>).expect(point);
    }
    // IFF_UP; the kernel gives loopback its addresses then.
    fs::write("/sys/class/net/lo/flags", "0x1").expect("bring up loopback");
}

pub fn sysctl(name: &str, value: &str) {
    fs::write(format!("/proc/sys/{name}"), value).expect(name);
}

pub fn release() -> String {
    uname().unwrap().release().to_string_lossy().into_owned()
}

/// Ends the machine once everything that was printed has left the serial port.
pub fn power_off() -> ! {
    tcdrain(std::io::stdout()).expect("drain the console");
    match reboot(RebootMode::RB_POWER_OFF) {
        Err(error) => panic!("can't power off: {error}"),
    }
}
