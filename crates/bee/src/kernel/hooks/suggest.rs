//! What this kernel calls its functions, tracepoints and iterators: where a name is looked for that it does not have.

use std::fs;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSymbol, SymbolKind};
use oci::files;

use crate::decode::btf;
use crate::kernel::hooks::nearest::Search;
use crate::kernel::hooks::{Hook, Kind, binaries};

const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";
/// The first of these that holds events; the second is where kernels before 4.1 had them, and where alone BumbleBee looks (A5 #32).
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/// A larger program is not searched for what it calls its functions.
const PROGRAM: u64 = 256 << 20;

/// Looks for a target among all that a hook of this kind could have here; `None` where this can't be told.
pub fn search<'a>(hook: &Hook, target: &'a str) -> Option<Search<'a>> {
    let mut search = Search::new(target);
    match hook.kind {
        Kind::Kprobe | Kind::Trampoline => functions(&mut search)?,
        Kind::Tracepoint => events(&mut search)?,
        // The kernel names the function of a security hook, and the type of a tracepoint's, so.
        Kind::Lsm => types("bpf_lsm_", &mut search)?,
        Kind::RawTracepoint | Kind::BtfTracepoint => types("btf_trace_", &mut search)?,
        Kind::Iterator => types("bpf_iter__", &mut search)?,
        Kind::Uprobe => functions_of(binaries::find(hook.file()).first()?, &mut search)?,
        Kind::Usdt | Kind::Sampling | Kind::Cgroup => return None,
    }
    search.saw_names().then_some(search)
}

/// Where tracefs is mounted, as far as this process may look.
pub fn tracefs() -> Option<PathBuf> {
    TRACEFS.iter().map(Path::new).find(|folder| folder.join("events").is_dir()).map(Path::to_owned)
}

fn functions(search: &mut Search) -> Option<()> {
    let symbols = fs::read_to_string("/proc/kallsyms").ok()?;
    for line in symbols.lines() {
        let mut words = line.split_ascii_whitespace().skip(1);
        if let (Some("t" | "T" | "w" | "W"), Some(name)) = (words.next(), words.next()) {
            search.look_at(name);
        }
    }
    Some(())
}

/// The functions that a program or library names.
fn functions_of(file: &Path, search: &mut Search) -> Option<()> {
    if !file.is_file() {
        return None;
    }
    let bytes = files::read(file, PROGRAM).ok()?;
    let elf = object::File::parse(bytes.as_slice()).ok()?;
    let symbols = elf.symbols().chain(elf.dynamic_symbols());
    let functions = symbols.filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition());
    for name in functions.filter_map(|symbol| symbol.name().ok()) {
        search.look_at(name);
    }
    Some(())
}

/// What the kernel's types name and begins so, without that beginning.
fn types(prefix: &str, search: &mut Search) -> Option<()> {
    let kernel = fs::read(KERNEL_BTF).ok()?;
    let names = btf::names(&kernel).ok()?;
    for name in names.filter_map(|name| name.strip_prefix(prefix)) {
        search.look_at(name);
    }
    Some(())
}

/// `CATEGORY/NAME` of each tracepoint.
fn events(search: &mut Search) -> Option<()> {
    for category in folders(&tracefs()?.join("events")) {
        let of = category.file_name().unwrap_or_default().to_string_lossy();
        for event in folders(&category) {
            search.look_at(&format!("{of}/{}", event.file_name().unwrap_or_default().to_string_lossy()));
        }
    }
    Some(())
}

fn folders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernels_tracepoints_are_found_by_their_types() {
        for name in ["sys_enter", "inet_sock_set_state"] {
            let hook = Hook::parse("watch", &format!("tp_btf/{name}")).unwrap();
            let Some(search) = search(&hook, name) else { return assert!(!Path::new(KERNEL_BTF).exists()) };
            assert!(search.is_there(), "{name}: {search:?}");
        }
    }
}
