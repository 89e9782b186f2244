//! The system calls that libbpf-rs has no safe form of.

#![allow(unsafe_code, reason = "a batched look-up takes raw buffers, and libbpf-rs gives descriptors as numbers")]

use std::ffi::{CString, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// `bpf_map_lookup_batch`: fills `keys` and `values` with up to `room` elements, going on from `position`. Answers libbpf's status
/// (0, or a negative errno) and how many elements were written.
pub fn lookup_batch(
    map: BorrowedFd,
    position: &mut [u8],
    first: bool,
    keys: &mut [u8],
    values: &mut [u8],
    room: usize,
) -> (i32, usize) {
    let mut count = u32::try_from(room).unwrap_or(u32::MAX);
    let next = position.as_mut_ptr().cast::<c_void>();
    let from = if first { std::ptr::null_mut() } else { next };
    // SAFETY: the kernel writes at most `count` keys and values, for which the caller's buffers have room: they are `room` times the
    // map's own key and value size. It reads and writes `position` with at most max(4, key size) bytes, its length; that both
    // pointers to it are the same is what the call is documented for.
    let status = unsafe {
        libbpf_sys::bpf_map_lookup_batch(
            map.as_raw_fd(),
            from,
            next,
            keys.as_mut_ptr().cast(),
            values.as_mut_ptr().cast(),
            &raw mut count,
            std::ptr::null(),
        )
    };
    let written = if status == 0 || status == -libc::ENOENT { count as usize } else { 0 };
    (status, written)
}

/// Lets the kernel count and time the runs of all programs, as long as the answer is open. Needs root, and Linux 5.8.
pub fn time_runs() -> io::Result<OwnedFd> {
    // SAFETY: the call takes a number and answers a descriptor or a negative errno.
    let answer = unsafe { libbpf_sys::bpf_enable_stats(libbpf_sys::BPF_STATS_RUN_TIME) };
    if answer < 0 {
        return Err(io::Error::from_raw_os_error(-answer));
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(answer) })
}

/// Gives a map or program a name in a BPF file system.
pub fn pin(descriptor: BorrowedFd, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the call reads the path up to its zero, and answers a negative errno if the kernel does not take the descriptor.
    match unsafe { libbpf_sys::bpf_obj_pin(descriptor.as_raw_fd(), path.as_ptr()) } {
        error @ ..0 => Err(io::Error::from_raw_os_error(-error)),
        _ => Ok(()),
    }
}

/// Waits until one of these can be read, or until the time is over. A signal ends it too.
pub fn wait(descriptors: &[RawFd], timeout: Duration) {
    let mut wanted: Vec<_> =
        descriptors.iter().map(|&fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
    let milliseconds = timeout.as_millis().try_into().unwrap_or(i32::MAX);
    // SAFETY: the kernel writes only to `revents` of so many entries as the vector has. A number that is no descriptor any more is
    // answered by POLLNVAL.
    unsafe { libc::poll(wanted.as_mut_ptr(), wanted.len() as libc::nfds_t, milliseconds) };
}
