//! A kernel's types as one C header, from its BTF: what `bpftool btf dump file … format c` prints, without needing bpftool.
//!
//! Probes are built against a pinned `vmlinux.h` (see `probes/include/`), because a header of the local kernel changes from
//! machine to machine: a `struct key` of the user's own compiles on one and clashes on the next. CO-RE adjusts
//! offsets when the probe is loaded, so the pinned header serves every kernel; only a type newer than it needs the local one.

use std::ffi::{c_char, c_void};
use std::path::Path;
use std::{io, mem, ptr};

use libbpf_sys as sys;

use crate::c_format;

/// Where a kernel with `CONFIG_DEBUG_INFO_BTF` shows its own types.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// With the attribute, every access to a kernel type is relocated to the running kernel's layout, as a probe's author expects.
const OPENING: &str = "#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

";
const CLOSING: &str = "
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif
";

/// The C header of all types in the raw BTF file `btf`.
pub fn header(btf: &Path) -> io::Result<String> {
    let raw = std::fs::read(btf)?;
    let mut text = String::from(OPENING);
    dump_types(&raw, &mut text)?;
    text.push_str(CLOSING);
    Ok(text)
}

fn dump_types(raw: &[u8], text: &mut String) -> io::Result<()> {
    let size = u32::try_from(raw.len()).map_err(|_| io::Error::other("BTF of more than 4 GiB"))?;
    // SAFETY: libbpf copies the `size` bytes at `raw`; the result is null on error or an object that we own.
    let btf = Owned { raw: unsafe { sys::btf__new(raw.as_ptr().cast(), size) }, free: sys::btf__free };
    if btf.raw.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `append` is called only inside `btf_dump__dump_type` below, with the `text` given here, to which nobody
    // else has access meanwhile. The type that bindgen gives a va_list differs by platform; it is always passed as a pointer.
    let dump = unsafe {
        let append: sys::btf_dump_printf_fn_t =
            mem::transmute::<unsafe extern "C" fn(*mut c_void, *const c_char, *mut c_void), _>(append);
        sys::btf_dump__new(btf.raw, append, ptr::from_mut(text).cast(), ptr::null())
    };
    let dump = Owned { raw: dump, free: sys::btf_dump__free };
    if dump.raw.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both objects are alive, and ids below the count exist.
    unsafe {
        for id in 1..sys::btf__type_cnt(btf.raw) {
            let status = sys::btf_dump__dump_type(dump.raw, id);
            if status < 0 {
                return Err(io::Error::from_raw_os_error(-status));
            }
        }
    }
    Ok(())
}

/// libbpf's printer: appends one formatted fragment to the `String` behind `text`.
unsafe extern "C" fn append(text: *mut c_void, format: *const c_char, arguments: *mut c_void) {
    // SAFETY: libbpf passes a format and the arguments that fit it; `text` is the `String` given to `btf_dump__new`.
    unsafe {
        if let (Some(text), Some(fragment)) = (text.cast::<String>().as_mut(), c_format::text(format, arguments)) {
            text.push_str(&fragment);
        }
    }
}

/// An object of libbpf's that is freed when it goes out of scope.
struct Owned<T> {
    raw: *mut T,
    free: unsafe extern "C" fn(*mut T),
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: `raw` came from the constructor that belongs to `free`, which accepts null, and is freed once, here.
        unsafe { (self.free)(self.raw) }
    }
}
