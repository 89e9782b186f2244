//! The machine whose kernel the numbers come from: this one, or that of the recording which is shown. Times, functions and system calls
//! mean something else on each.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use syscalls::{aarch64, x86_64};

use crate::decode::architecture::Architecture;
use crate::decode::kallsyms::Symbols;

/// What a recording says about its machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// When the kernel's clock began, which counts without the time that the machine slept.
    boot: Option<Timestamp>,
    architecture: Option<Architecture>,
}

/// This machine; it is read once, so that labels of the same moment stay the same.
static HERE: LazyLock<Origin> = LazyLock::new(|| Origin { boot: boot_time(), architecture: Architecture::host() });

/// The machine of the recording that is shown, and its functions as far as the recording names them.
static ELSEWHERE: OnceLock<(Origin, RwLock<HashMap<u64, String>>)> = OnceLock::new();

/// The kernel's own functions; 200,000 names, which only a probe that asks for one has to pay for.
static KERNEL: LazyLock<Symbols> = LazyLock::new(Symbols::of_kernel);

pub fn origin() -> Origin {
    ELSEWHERE.get().map_or(*HERE, |(origin, _)| *origin)
}

/// From now on the numbers are those of a recording. A process shows one.
pub fn recorded_on(origin: Origin) {
    let _ = ELSEWHERE.set((origin, RwLock::default()));
}

/// Whether the numbers are those of a recording.
pub fn is_recorded() -> bool {
    ELSEWHERE.get().is_some()
}

/// The recording names functions of its machine; so many are kept at the most.
pub fn learn_functions(named: impl IntoIterator<Item = (u64, String)>, most: usize) {
    let Some((_, functions)) = ELSEWHERE.get() else { return };
    let mut functions = functions.write().unwrap_or_else(PoisonError::into_inner);
    for (address, name) in named {
        if functions.len() < most {
            functions.insert(address, name);
        }
    }
}

/// The kernel's function that an address is in, as in `tcp_connect+0x1f`.
pub fn function(address: u64) -> Option<String> {
    let Some((_, functions)) = ELSEWHERE.get() else { return KERNEL.name(address) };
    functions.read().unwrap_or_else(PoisonError::into_inner).get(&address).cloned()
}

/// The time of day at so many nanoseconds of the kernel's clock.
pub fn time_of_day(nanoseconds: u64) -> Option<Timestamp> {
    origin().boot?.checked_add(Duration::from_nanos(nanoseconds)).ok()
}

/// How many nanoseconds of the kernel's clock a time of day is.
pub fn nanoseconds_at(time: Timestamp) -> Option<i128> {
    Some(time.duration_since(origin().boot?).as_nanos())
}

/// The number of the system call with this name.
pub fn system_call_number(name: &str) -> Option<i128> {
    match origin().architecture? {
        Architecture::Amd64 => name.parse::<x86_64::Sysno>().ok().map(|call| call as i128),
        Architecture::Arm64 => name.parse::<aarch64::Sysno>().ok().map(|call| call as i128),
    }
}

/// The name of the system call with this number.
pub fn system_call(number: usize) -> Option<&'static str> {
    call_on(origin().architecture?, number)
}

fn call_on(architecture: Architecture, number: usize) -> Option<&'static str> {
    match architecture {
        Architecture::Amd64 => x86_64::Sysno::new(number).map(|call| call.name()),
        Architecture::Arm64 => aarch64::Sysno::new(number).map(|call| call.name()),
    }
}

fn boot_time() -> Option<Timestamp> {
    let since = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).ok()?);
    Timestamp::now().checked_sub(since).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_architecture_has_its_own_system_calls() {
        assert_eq!(call_on(Architecture::Amd64, 257), Some("openat"));
        assert_eq!(call_on(Architecture::Arm64, 56), Some("openat"));
        assert_eq!(call_on(Architecture::Arm64, 100_000), None);
    }

    #[test]
    fn the_kernels_clock_now_is_the_time_of_day() {
        let (before, now) = (Timestamp::now(), Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap()));
        let after = Timestamp::now();
        let shown = time_of_day(now.as_nanos() as u64).unwrap();
        // The time of day may be set between two looks at it.
        let second = Duration::from_secs(1);
        assert!(before - second <= shown && shown <= after + second, "{before} {shown} {after}");
    }
}
