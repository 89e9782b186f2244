//! Numbers that stand for something else: ports, Ethernet addresses, errors, signals, system calls, places in the kernel, times.
//! A typedef of `solo_types.h` says which; here they get the names that people know them by.

use nix::errno::Errno;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::decode::host::{function, system_call, time_of_day};

/// What a number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    Mac,
    Port,
    Time,
    KernelAddress,
    UserAddress,
    /// The number of a stack in a map.
    StackId,
    Error,
    Signal,
    SystemCall,
}

impl Meaning {
    /// What a typedef of this name and size says.
    pub fn from_typedef(typedef: &str, bytes: u32) -> Option<Self> {
        Some(match (typedef, bytes) {
            ("mac_address", 6) => Self::Mac,
            ("net_port", 2) => Self::Port,
            ("ktime_ns", 8) => Self::Time,
            ("kernel_address", 8) => Self::KernelAddress,
            ("user_address", 8) => Self::UserAddress,
            ("kernel_stack_id" | "user_stack_id", 4 | 8) => Self::StackId,
            ("error_number", 4) => Self::Error,
            ("signal_number", 4) => Self::Signal,
            ("syscall_number", 4) => Self::SystemCall,
            _ => return None,
        })
    }

    /// The name, or the number if it has none. `raw` is its bits in the order of this machine.
    pub fn show(self, raw: u64) -> Value {
        let name = match self {
            Self::Mac => Some(mac(raw)),
            Self::Port => return u16::from_be(raw as u16).into(),
            Self::Time => time_of_day(raw).map(|time| time.to_string()),
            Self::KernelAddress => Some(function(raw).unwrap_or_else(|| format!("{raw:#x}"))),
            Self::UserAddress => Some(format!("{raw:#x}")),
            Self::StackId if (raw as i32) < 0 => return error(raw as i32),
            Self::StackId => None,
            Self::Error => return error(raw as u32 as i32),
            Self::Signal => Signal::try_from(raw as i32).ok().map(|signal| signal.as_str().to_owned()),
            Self::SystemCall => system_call(raw as usize).map(str::to_owned),
        };
        name.map_or_else(|| raw.into(), Value::String)
    }
}

fn mac(raw: u64) -> String {
    raw.to_le_bytes()[..6].iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

fn error(number: i32) -> Value {
    match Errno::from_raw(number.saturating_abs()) {
        Errno::UnknownErrno => number.into(),
        known => format!("{known:?}").into(),
    }
}

/// The number of an error, as in `ENOENT`.
pub fn error_number(name: &str) -> Option<i32> {
    // Linux' last one is 133, EHWPOISON.
    (1..256).find(|number| format!("{:?}", Errno::from_raw(*number)) == name)
}

/// The number that stands for all that are shown as an error is: the kernel returns -EACCES, and programs have EACCES.
pub fn without_sign(number: i32) -> i32 {
    match Errno::from_raw(number.saturating_abs()) {
        Errno::UnknownErrno => number,
        _ => number.saturating_abs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_shown_by_the_names_that_people_know() {
        let show = |typedef, bytes, raw| Meaning::from_typedef(typedef, bytes).unwrap().show(raw);
        assert_eq!(show("mac_address", 6, 0x5634_1200_5452), json!("52:54:00:12:34:56"));
        assert_eq!(show("net_port", 2, u64::from(443u16.to_be())), json!(443));
        assert_eq!(show("error_number", 4, 2), json!("ENOENT"));
        assert_eq!(show("error_number", 4, u64::from((-13i32) as u32)), json!("EACCES"));
        assert_eq!(show("signal_number", 4, 9), json!("SIGKILL"));
        assert_eq!(show("syscall_number", 4, libc::SYS_openat as u64), json!("openat"));
    }

    #[test]
    fn a_number_without_a_name_is_shown_as_it_is() {
        let show = |typedef, raw| Meaning::from_typedef(typedef, 4).unwrap().show(raw);
        assert_eq!(show("error_number", 0), json!(0));
        assert_eq!(show("error_number", u64::from(i32::MIN as u32)), json!(i32::MIN));
        assert_eq!(show("signal_number", 900), json!(900));
        assert_eq!(show("syscall_number", 100_000), json!(100_000));
    }

    #[test]
    fn a_typedef_of_another_size_means_nothing() {
        assert_eq!(Meaning::from_typedef("net_port", 4), None);
        assert_eq!(Meaning::from_typedef("ktime", 8), None);
    }
}
