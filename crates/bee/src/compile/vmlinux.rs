//! A kernel's types as one C header, from its BTF: what `bpftool btf dump file … format c` prints, without needing bpftool.
//!
//! Probes are built against a pinned `vmlinux.h` (see `probes/include/`), because a header of the local kernel changes from
//! machine to machine: a `struct key` of the user's own compiles on one and clashes on the next. CO-RE adjusts
//! offsets when the probe is loaded, so the pinned header serves every kernel; only a type newer than it needs the local one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::{Path, PathBuf};
use std::{io, mem, ptr};

use libbpf_sys as sys;

use crate::c_format;
use crate::compile::older_types;

/// Where a kernel with `CONFIG_DEBUG_INFO_BTF` shows its own types.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// With the attribute, every access to a kernel type is relocated to the running kernel's layout, as a probe's author expects.
const OPENING: &str = "#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

";
/// What stands before the kernel's own functions that probes may call; weak, so that a kernel without one still takes the probe.
const FUNCTIONS: &str = "
#ifndef BPF_NO_KFUNC_PROTOTYPES
#ifndef __ksym
#define __ksym __attribute__((section(\".ksyms\")))
#endif
#ifndef __weak
#define __weak __attribute__((weak))
#endif

";
const CLOSING: &str = "#endif

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif
";

/// How the kernel's BTF marks a function that probes may call (Linux 6.10 and newer).
const KFUNC: &CStr = c"bpf_kfunc";

/// The C header of all types in the raw BTF file `btf`.
pub fn header(btf: &Path) -> io::Result<String> {
    header_with(btf, &[])
}

/// The same, and of the types in files of older kernels' that it lacks.
pub fn header_with(btf: &Path, older: &[PathBuf]) -> io::Result<String> {
    let (mut text, prototypes) = printed(&parsed(btf)?)?;
    for older in older {
        let (types, _) = printed(&parsed(older)?)?;
        text.push_str(&older_types::missing(&text, &types));
    }
    Ok(format!("{OPENING}{text}{FUNCTIONS}{prototypes}{CLOSING}"))
}

fn parsed(file: &Path) -> io::Result<Owned<sys::btf>> {
    let raw = std::fs::read(file)?;
    let size = u32::try_from(raw.len()).map_err(|_| io::Error::other("BTF of more than 4 GiB"))?;
    // SAFETY: libbpf copies the `size` bytes at `raw`; the result is null on error or an object that we own.
    let btf = Owned { raw: unsafe { sys::btf__new(raw.as_ptr().cast(), size) }, free: sys::btf__free };
    if btf.raw.is_null() { Err(io::Error::last_os_error()) } else { Ok(btf) }
}

/// The types, and the prototypes of the functions that probes may call.
fn printed(btf: &Owned<sys::btf>) -> io::Result<(String, String)> {
    let text = RefCell::default();
    let dump = printer(btf, &text)?;
    print_types(btf, &dump)?;
    let types = text.take();
    for (name, prototype) in functions(btf) {
        text.borrow_mut().push_str("extern ");
        print_prototype(&dump, &name, prototype)?;
        text.borrow_mut().push_str(" __weak __ksym;\n");
    }
    Ok((types, text.take()))
}

/// What prints types of `btf` to the end of `text`, one fragment after the other.
fn printer(btf: &Owned<sys::btf>, text: &RefCell<String>) -> io::Result<Owned<sys::btf_dump>> {
    // SAFETY: `append` reads the `text` given here through a shared reference; `printed` drops the printer before it. The type that
    // bindgen gives a va_list differs by platform; it is always passed as a pointer.
    let raw = unsafe {
        let append: sys::btf_dump_printf_fn_t =
            mem::transmute::<unsafe extern "C" fn(*mut c_void, *const c_char, *mut c_void), _>(append);
        sys::btf_dump__new(btf.raw, append, ptr::from_ref(text).cast_mut().cast(), ptr::null())
    };
    let dump = Owned { raw, free: sys::btf_dump__free };
    if dump.raw.is_null() { Err(io::Error::last_os_error()) } else { Ok(dump) }
}

fn print_types(btf: &Owned<sys::btf>, dump: &Owned<sys::btf_dump>) -> io::Result<()> {
    // SAFETY: the object is alive.
    for id in 1..unsafe { sys::btf__type_cnt(btf.raw) } {
        // SAFETY: the object is alive, and ids below the count exist.
        checked(unsafe { sys::btf_dump__dump_type(dump.raw, id) })?;
    }
    Ok(())
}

fn print_prototype(dump: &Owned<sys::btf_dump>, name: &CStr, prototype: u32) -> io::Result<()> {
    let options = sys::btf_dump_emit_type_decl_opts {
        sz: mem::size_of::<sys::btf_dump_emit_type_decl_opts>() as sys::size_t,
        field_name: name.as_ptr(),
        ..Default::default()
    };
    // SAFETY: all three are alive, and libbpf checks the id.
    checked(unsafe { sys::btf_dump__emit_type_decl(dump.raw, prototype, &raw const options) })
}

fn checked(status: i32) -> io::Result<()> {
    if status < 0 { Err(io::Error::from_raw_os_error(-status)) } else { Ok(()) }
}

/// The functions that probes may call and the ids of their prototypes, by name: the order in BTF is the kernel build's.
fn functions(btf: &Owned<sys::btf>) -> BTreeMap<CString, u32> {
    let mut functions = BTreeMap::new();
    // SAFETY: the object is alive.
    for id in 1..unsafe { sys::btf__type_cnt(btf.raw) } {
        let Some((sys::BTF_KIND_DECL_TAG, name, function)) = named_type(btf, id) else { continue };
        if let Some((sys::BTF_KIND_FUNC, function, prototype)) = named_type(btf, function)
            && name == KFUNC
        {
            functions.insert(function.to_owned(), prototype);
        }
    }
    functions
}

/// A type's kind, its name and the type that it refers to.
fn named_type(btf: &Owned<sys::btf>, id: u32) -> Option<(u32, &CStr, u32)> {
    // SAFETY: libbpf returns null for ids that do not exist, else types and names that live as long as the object; all bits of the union
    // are a number.
    unsafe {
        let found = sys::btf__type_by_id(btf.raw, id).as_ref()?;
        let name = sys::btf__name_by_offset(btf.raw, found.name_off);
        let name = if name.is_null() { c"" } else { CStr::from_ptr(name) };
        Some(((found.info >> 24) & 0x1f, name, found.__bindgen_anon_1.type_))
    }
}

/// libbpf's printer: appends one formatted fragment to the text.
unsafe extern "C" fn append(text: *mut c_void, format: *const c_char, arguments: *mut c_void) {
    // SAFETY: libbpf passes a format and the arguments that fit it; `text` is what `printer` gave it.
    unsafe {
        let text = text.cast_const().cast::<RefCell<String>>().as_ref();
        if let (Some(text), Some(fragment)) = (text, c_format::text(format, arguments)) {
            text.borrow_mut().push_str(&fragment);
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
