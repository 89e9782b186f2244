//! The headers that a probe may include: bee's own, the kernel's types and functions, and the system's, for either architecture.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use bee::compile::{Error, Request, Vmlinux, build, vmlinux};
use bee::decode::architecture::Architecture;

const BOTH: [Architecture; 2] = [Architecture::Amd64, Architecture::Arm64];

const HELPERS: &str = "#include <bpf/bpf_helpers.h>\n";
const LICENSE: &str = "char LICENSE[] SEC(\"license\") = \"GPL\";\n";

/// The kernel's headers for programs, which probes include instead of vmlinux.h.
const KERNELS: [&str; 27] = [
    "asm/byteorder.h",
    "asm/errno.h",
    "asm/ptrace.h",
    "asm/types.h",
    "linux/bpf_perf_event.h",
    "linux/errno.h",
    "linux/fcntl.h",
    "linux/filter.h",
    "linux/fs.h",
    "linux/icmp.h",
    "linux/if_ether.h",
    "linux/if_packet.h",
    "linux/if_vlan.h",
    "linux/in.h",
    "linux/in6.h",
    "linux/ip.h",
    "linux/ipv6.h",
    "linux/netlink.h",
    "linux/perf_event.h",
    "linux/pkt_cls.h",
    "linux/ptrace.h",
    "linux/sched.h",
    "linux/socket.h",
    "linux/stddef.h",
    "linux/tcp.h",
    "linux/types.h",
    "linux/udp.h",
];

/// glibc's; the two do not go together.
const GLIBCS: [&str; 16] = [
    "arpa/inet.h",
    "errno.h",
    "fcntl.h",
    "inttypes.h",
    "limits.h",
    "netinet/in.h",
    "signal.h",
    "stdbool.h",
    "stddef.h",
    "stdint.h",
    "stdio.h",
    "stdlib.h",
    "string.h",
    "sys/socket.h",
    "sys/types.h",
    "unistd.h",
];

fn built(architecture: Architecture, vmlinux: Vmlinux, lines: &str) -> Result<Vec<u8>, Error> {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("probe.c");
    std::fs::write(&source, format!("{lines}{LICENSE}")).unwrap();
    build(&Request { source: &source, link: &[], architecture, vmlinux, cflags: &[] })
}

/// That a probe with this at file scope compiles, for either architecture.
fn holds(begin: &str, declarations: &str) {
    for architecture in BOTH {
        let lines = format!("{begin}{HELPERS}{declarations}\n");
        built(architecture, Vmlinux::Pinned, &lines)
            .unwrap_or_else(|error| panic!("{architecture:?}: {error}\n{lines}"));
    }
}

/// A system without them (nixpkgs' clang has none) has no probes that include them.
fn system_has_headers() -> bool {
    Path::new("/usr/include/asm-generic/types.h").exists()
}

#[test]
fn the_systems_headers_are_found_for_either_architecture() {
    if !system_has_headers() {
        return;
    }
    for headers in [&KERNELS[..], &["linux/signal.h"], &GLIBCS] {
        let begin: String = headers.iter().map(|header| format!("#include <{header}>\n")).collect();
        holds(
            &format!("#include <linux/bpf.h>\n{begin}"),
            "SEC(\"socket\") int watch(struct __sk_buff *buffer) { return 0; }",
        );
    }
}

#[test]
fn to_the_systems_headers_bpf_is_a_machine_of_64_bits() {
    if !system_has_headers() {
        return;
    }
    let sizes = "_Static_assert(sizeof(uintptr_t) == 8 && sizeof(size_t) == 8 && sizeof(int64_t) == 8 && UINTPTR_MAX > 0xffffffff, \"\");\n\
                 _Static_assert(__BITS_PER_LONG == 64 && __builtin_bswap16(1) == 256 && sizeof(__kernel_size_t) == 8, \"\");";
    holds("#include <linux/bpf.h>\n#include <linux/types.h>\n#include <stdint.h>\n#include <stddef.h>\n", sizes);
}

#[test]
fn registers_have_the_names_that_libbpf_reads_without_vmlinux() {
    if !system_has_headers() {
        return;
    }
    let probe = "SEC(\"kprobe/x\") int watch(struct pt_regs *ctx) { return PT_REGS_PARM1(ctx) + PT_REGS_IP(ctx) + PT_REGS_RC(ctx) + \
                 PT_REGS_SP(ctx) + PT_REGS_FP(ctx) + PT_REGS_PARM5(ctx); }";
    holds("#include <linux/bpf.h>\n#include <linux/ptrace.h>\n#include <bpf/bpf_tracing.h>\n", probe);
}

#[test]
fn every_error_number_of_linux_has_its_name() {
    let numbers = "_Static_assert(EPERM == 1 && EINTR == 4 && ENODEV == 19 && ERANGE == 34 && ENOSYS == 38 && ENODATA == 61, \"\");\n\
                   _Static_assert(EOPNOTSUPP == 95 && ETIMEDOUT == 110 && ECONNREFUSED == 111 && EHWPOISON == 133, \"\");\n\
                   _Static_assert(EWOULDBLOCK == EAGAIN && EDEADLOCK == EDEADLK, \"\");";
    for more in ["", "#include <bpf/usdt.bpf.h>\n"] {
        holds(&format!("#include \"vmlinux.h\"\n{HELPERS}#include <linux/errno.h>\n{more}"), numbers);
    }
}

const VMLINUX: &str = "#include \"vmlinux.h\"\n";

#[test]
fn the_kernels_functions_are_declared() {
    let probe = "SEC(\"tp_btf/task_newtask\") int watch(void *ctx) { struct task_struct *task = bpf_task_from_pid(1); \
                 if (task) bpf_task_release(task); return 0; }";
    holds(VMLINUX, probe);
}

#[test]
fn a_probe_may_declare_the_kernels_functions_itself_or_have_its_own_by_their_names() {
    let own = [
        "extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym;",
        "extern struct task_struct *bpf_task_from_pid(int pid) __ksym __weak;",
        // As an older kernel had it, or as somebody remembers it.
        "extern void *bpf_task_from_pid(u64 pid) __ksym;",
        "static inline int bpf_task_from_pid(const char *text) { return text[0]; }",
        "int bpf_task_from_pid;",
    ];
    for declaration in own {
        holds(VMLINUX, declaration);
    }
}

#[test]
fn members_without_a_name_of_their_own_are_there() {
    // `struct pipe_inode_info { union pipe_index; … }`: Linux 7.0 and newer.
    holds(VMLINUX, "int head(struct pipe_inode_info *pipe) { return pipe->head; }");
}

/// The words of the structures and unions that a header defines.
fn structures(header: &str) -> BTreeSet<&str> {
    header.lines().filter_map(|line| line.strip_prefix("struct ")?.strip_suffix(" {")).collect()
}

/// A probe that needs to know this structure.
fn use_of(name: &str) -> String {
    format!("{VMLINUX}{HELPERS}int size(struct {name} *all) {{ return sizeof(*all); }}\n")
}

#[test]
fn that_the_running_kernels_types_would_do_is_said_only_where_they_would() {
    let Ok(kernels) = vmlinux::header(Path::new(vmlinux::KERNEL_BTF)) else { return };
    let host = Architecture::host().unwrap();
    let pinned =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../probes/include").join(host.kernel()).join("vmlinux.h");
    let pinned = std::fs::read_to_string(pinned).unwrap();
    if let Some(only) = structures(&kernels).difference(&structures(&pinned)).next() {
        let error = built(host, Vmlinux::Pinned, &use_of(only)).unwrap_err();
        assert!(matches!(error, Error::OldTypes(_)), "{only}: {error:?}");
        assert!(error.hint().unwrap().contains("--vmlinux kernel"));
        built(host, Vmlinux::Kernel, &use_of(only)).unwrap();
    }
    let error = built(host, Vmlinux::Pinned, &use_of("nobody_has_this")).unwrap_err();
    assert!(matches!(error, Error::Compile { .. }) && error.hint().is_none(), "{error:?}");
}
