//! What libbpf prints, as text. It hands a callback of C's a format and its arguments, and what it quotes, names and source lines of
//! whoever made an object, may be any bytes: libbpf-rs' own callback ends the process at the first that is no UTF-8.

#![allow(unsafe_code, reason = "printf's arguments, which only C can read")]

use std::ffi::{c_char, c_int, c_void};
use std::mem;
use std::sync::OnceLock;

use libbpf_sys::{LIBBPF_WARN, libbpf_print_fn_t, libbpf_print_level, libbpf_set_print};

/// Who is told of each message.
static LISTENER: OnceLock<Listener> = OnceLock::new();

/// Takes a message, and whether libbpf warns with it.
type Listener = fn(&str, bool);

/// From now on a listener is told what libbpf would print, on the thread that called libbpf. It must not panic: a panic can't pass through
/// libbpf. The first listener stays.
pub fn listen(listener: Listener) {
    LISTENER.get_or_init(|| listener);
    // SAFETY: `print` has the signature that libbpf calls. The type that bindgen gives a va_list differs by platform; it is always passed
    // as a pointer.
    unsafe {
        let print: libbpf_print_fn_t =
            mem::transmute::<unsafe extern "C" fn(libbpf_print_level, *const c_char, *mut c_void) -> c_int, _>(print);
        libbpf_set_print(print);
    }
}

/// The text of a format and its arguments, with U+FFFD for what is no UTF-8; nothing if C can't make it.
///
/// # Safety
/// `arguments` is a va_list that fits `format`.
pub unsafe fn text(format: *const c_char, arguments: *mut c_void) -> Option<String> {
    // SAFETY: as above; the arguments are copied before they are read.
    let bytes = unsafe { vsprintf::vsprintf_raw(format, arguments) }.ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

unsafe extern "C" fn print(level: libbpf_print_level, format: *const c_char, arguments: *mut c_void) -> c_int {
    // SAFETY: libbpf passes a format and the arguments that fit it.
    let message = unsafe { text(format, arguments) };
    if let (Some(listener), Some(message)) = (LISTENER.get(), message) {
        listener(&message, level == LIBBPF_WARN);
    }
    0
}
