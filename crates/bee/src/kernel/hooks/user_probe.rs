//! Puts a program on functions of programs and libraries. libbpf knows a library by its whole name (`libc.so.6`) and one file of it; a
//! section may say `libc`, and each container has a file of its own.

use std::io;
use std::path::Path;

use libbpf_rs::{Link, ProgramMut, UprobeOpts};

use crate::kernel::hooks::{Hook, Kind, binaries};

/// A program on every file that its section means. A file that has no such function is passed over where another has it.
pub fn attach(hook: &Hook, program: &ProgramMut) -> Result<Vec<Link>, libbpf_rs::Error> {
    let (mut links, mut error) = (vec![], io::Error::from_raw_os_error(libc::ENOENT).into());
    for file in binaries::find(hook.file()) {
        match attach_to(hook, program, &file) {
            Ok(link) => links.push(link),
            Err(why) => error = why,
        }
    }
    if links.is_empty() { Err(error) } else { Ok(links) }
}

fn attach_to(hook: &Hook, program: &ProgramMut, file: &Path) -> Result<Link, libbpf_rs::Error> {
    let (_, what) = hook.target.split_once(':').unwrap_or_default();
    let word = hook.section.split('/').next().unwrap_or_default();
    if hook.kind == Kind::Usdt {
        let (provider, name) = what.split_once(':').unwrap_or((what, ""));
        return program.attach_usdt(EVERY_PROCESS, file, provider, name);
    }
    let returns = word.starts_with("uretprobe");
    if word.contains(".multi") || word.contains(".session") {
        return program.attach_uprobe_multi(EVERY_PROCESS, file, what, returns, word.contains(".session"));
    }
    let (function, offset) = function_and_offset(what);
    let options = UprobeOpts { retprobe: returns, func_name: function, ..UprobeOpts::default() };
    program.attach_uprobe_with_opts(EVERY_PROCESS, file, offset, options)
}

const EVERY_PROCESS: i32 = -1;

/// `malloc`, `malloc+0x10`, or an offset in the file alone.
fn function_and_offset(what: &str) -> (Option<String>, usize) {
    if let Some(offset) = number(what) {
        return (None, offset);
    }
    match what.rsplit_once('+').and_then(|(function, offset)| Some((function, number(offset)?))) {
        Some((function, offset)) => (Some(function.to_owned()), offset),
        None => (Some(what.to_owned()), 0),
    }
}

fn number(text: &str) -> Option<usize> {
    match text.strip_prefix("0x") {
        Some(digits) => usize::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_function_is_its_name_and_an_offset() {
        let function = |name: &str| Some(name.to_owned());
        for (what, expected) in [
            ("malloc", (function("malloc"), 0)),
            ("malloc+16", (function("malloc"), 16)),
            ("malloc+0x10", (function("malloc"), 16)),
            ("operator+", (function("operator+"), 0)),
            ("memcpy@GLIBC_2.14", (function("memcpy@GLIBC_2.14"), 0)),
            ("0x401000", (None, 0x401000)),
        ] {
            assert_eq!(function_and_offset(what), expected, "{what}");
        }
    }
}
