//! What this kernel calls its functions, tracepoints and iterators, to say which one was probably meant.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSymbol, SymbolKind};

use super::{Hook, Kind};
use crate::btf::Btf;

const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";
/// The first of these that holds events; the second is where kernels before 4.1 had them, and where alone BumbleBee looks (A5 #32).
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/// A larger program is not searched for what it calls its functions.
const PROGRAM: u64 = 256 << 20;
/// Names less alike than this are no suggestion.
const ALIKE: f64 = 0.85;

/// All targets that a hook of this kind could have here; `None` where this can't be told.
pub fn targets(hook: &Hook) -> Option<BTreeSet<String>> {
    let names = match hook.kind {
        Kind::Kprobe | Kind::Trampoline => functions("")?,
        Kind::Lsm => functions("bpf_lsm_")?,
        Kind::Tracepoint => events()?,
        // The kernel names the type of a tracepoint's function so.
        Kind::RawTracepoint | Kind::BtfTracepoint => types("btf_trace_")?,
        Kind::Iterator => types("bpf_iter__")?,
        Kind::Uprobe => functions_of(&program(hook.target.split(':').next()?)?)?,
        Kind::Usdt | Kind::Sampling | Kind::Cgroup => return None,
    };
    Some(names).filter(|names| !names.is_empty())
}

/// The name that is most like one that there is not.
pub fn nearest(wanted: &str, names: impl IntoIterator<Item = String>) -> Option<String> {
    let alike = names.into_iter().map(|name| (strsim::jaro_winkler(wanted, &name), name));
    alike.filter(|(alike, _)| *alike >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

/// Where tracefs is mounted, as far as this process may look.
pub fn tracefs() -> Option<PathBuf> {
    TRACEFS.iter().map(Path::new).find(|folder| folder.join("events").is_dir()).map(Path::to_owned)
}

/// Functions whose name begins so, without that beginning.
fn functions(prefix: &str) -> Option<BTreeSet<String>> {
    let symbols = fs::read_to_string("/proc/kallsyms").ok()?;
    let name = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let is_code = matches!(words.next()?, "t" | "T" | "w" | "W");
        words.next().filter(|_| is_code)?.strip_prefix(prefix).map(str::to_owned)
    };
    Some(symbols.lines().filter_map(name).collect())
}

/// Where a program or library lies, as libbpf looks for it.
fn program(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(name.into());
    }
    let debian = format!("/lib/{}-linux-gnu", std::env::consts::ARCH);
    let folders = ["/usr/lib64", "/usr/lib", &debian, "/usr/local/bin", "/usr/bin", "/usr/sbin"];
    folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

/// The functions that a program or library names.
fn functions_of(file: &Path) -> Option<BTreeSet<String>> {
    fs::metadata(file).ok().filter(|file| file.is_file() && file.len() <= PROGRAM)?;
    let bytes = fs::read(file).ok()?;
    let elf = object::File::parse(bytes.as_slice()).ok()?;
    let symbols = elf.symbols().chain(elf.dynamic_symbols());
    let functions = symbols.filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition());
    Some(functions.filter_map(|symbol| symbol.name().ok()).map(str::to_owned).collect())
}

fn types(prefix: &str) -> Option<BTreeSet<String>> {
    let btf = Btf::parse(&fs::read(KERNEL_BTF).ok()?).ok()?;
    Some(btf.names().filter_map(|name| name.strip_prefix(prefix)).map(str::to_owned).collect())
}

/// `CATEGORY/NAME` of each tracepoint.
fn events() -> Option<BTreeSet<String>> {
    let folders =
        |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir());
    let name = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let categories = folders(tracefs()?.join("events"));
    let events = |category: fs::DirEntry| {
        let of = name(&category);
        folders(category.path()).map(move |event| format!("{of}/{}", name(&event)))
    };
    Some(categories.flat_map(events).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_one_that_is_much_alike_or_none() {
        let names = || ["tcp_v4_connect", "tcp_v6_connect", "udp_sendmsg"].map(str::to_owned);
        assert_eq!(nearest("tcp_v4_conect", names()).as_deref(), Some("tcp_v4_connect"));
        assert_eq!(nearest("blk_start", names()), None);
    }

    #[test]
    fn this_kernels_tracepoints_are_found_by_their_types() {
        let hook = Hook::of("watch", "tp_btf/sys_enter").unwrap();
        let Some(names) = targets(&hook) else { return assert!(!Path::new(KERNEL_BTF).exists()) };
        assert!(names.contains("sys_enter") && names.contains("inet_sock_set_state"), "{} names", names.len());
    }
}
