//! The clock that calls a sampling program: `perf_event_open(2)`, for which neither libbpf nor libc has a function.

#![allow(unsafe_code, reason = "a system call that takes a raw structure and answers a raw file descriptor")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use libbpf_sys::perf_event_attr;

/// `PERF_TYPE_SOFTWARE` and `PERF_COUNT_SW_CPU_CLOCK`: there in every kernel and every virtual machine, unlike counters in hardware.
const SOFTWARE: u32 = 1;
const CPU_CLOCK: u64 = 0;
const FLAG_CLOEXEC: libc::c_ulong = 8;

/// An event that occurs so often in a second on one processor, whoever runs there.
pub fn clock(cpu: usize, hertz: u64) -> io::Result<OwnedFd> {
    let mut event = perf_event_attr { type_: SOFTWARE, config: CPU_CLOCK, ..Default::default() };
    event.size = size_of::<perf_event_attr>() as u32;
    event.__bindgen_anon_1.sample_freq = hertz;
    event.set_freq(1);
    let (everybody, no_group) = (-1, -1);
    // SAFETY: the kernel reads `size` bytes of a structure of that size, which lives until the call returns.
    let descriptor = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const event,
            everybody,
            cpu as libc::c_int,
            no_group,
            FLAG_CLOEXEC,
        )
    };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as RawFd) })
}
