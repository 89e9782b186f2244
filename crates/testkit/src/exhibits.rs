//! The probes that virtual machines try: one for each kind of hook, one for each kind of map. Built on this machine, run there.

/// A program of `tests/guest/probes/`, built with these definitions.
#[derive(Debug, Clone, Copy)]
pub struct Exhibit {
    /// Its name in reports, and its object's in the machine.
    pub name: &'static str,
    pub source: &'static str,
    pub flags: &'static [&'static str],
}

macro_rules! hook {
    ($name:literal, $section:literal) => {
        hook!($name, $section, "0")
    };
    ($name:literal, $section:literal, $answer:literal) => {
        (
            Exhibit {
                name: $name,
                source: "hook.c",
                flags: &[concat!("-DHOOK=\"", $section, "\""), concat!("-DANSWER=", $answer)],
            },
            $section,
        )
    };
}

macro_rules! map {
    ($kind:literal, $form:literal) => {
        Exhibit {
            name: $kind,
            source: "map.c",
            flags: &[concat!("-DKIND=BPF_MAP_TYPE_", $kind), concat!("-DFORM=", $form)],
        }
    };
}

/// A program for each hook, and its section.
pub const HOOKS: [(Exhibit, &str); 22] = [
    hook!("kprobe", "kprobe/tcp_connect"),
    hook!("kretprobe", "kretprobe/tcp_connect"),
    hook!("kprobe-multi", "kprobe.multi/tcp_connect*"),
    hook!("ksyscall", "ksyscall/connect"),
    hook!("kretsyscall", "kretsyscall/connect"),
    hook!("tracepoint", "tracepoint/syscalls/sys_enter_connect"),
    hook!("tp", "tp/sock/inet_sock_set_state"),
    hook!("raw_tp", "raw_tp/inet_sock_set_state"),
    hook!("tp_btf", "tp_btf/inet_sock_set_state"),
    hook!("fentry", "fentry/tcp_connect"),
    hook!("fexit", "fexit/tcp_connect"),
    hook!("fmod_ret", "fmod_ret/security_socket_connect"),
    hook!("uprobe", "uprobe/libc.so.6:getppid"),
    hook!("uretprobe", "uretprobe/libc.so.6:getppid"),
    (Exhibit { name: "usdt", source: "usdt.c", flags: &[] }, "usdt//init:guest:look"),
    hook!("perf_event", "perf_event"),
    hook!("perf_event-rate", "perf_event/49"),
    hook!("iter", "iter/task"),
    hook!("cgroup", "cgroup/connect4", "1"),
    hook!("cgroup_skb", "cgroup_skb/egress", "1"),
    hook!("sockops", "sockops", "1"),
    hook!("lsm", "lsm/socket_connect"),
];

/// Hooks that no kernel has, each alike to one that every kernel has.
pub const MISSPELT: [(Exhibit, &str); 7] = [
    hook!("no-kprobe", "kprobe/tcp_v4_conect"),
    hook!("no-fentry", "fentry/tcp_v4_conect"),
    hook!("no-tracepoint", "tracepoint/sock/inet_sock_set_stat"),
    hook!("no-raw_tp", "raw_tp/inet_sock_set_stat"),
    hook!("no-tp_btf", "tp_btf/inet_sock_set_stat"),
    hook!("no-uprobe", "uprobe/libc.so.6:getppidd"),
    hook!("no-iter", "iter/tusk"),
];

/// A program for each kind of map.
pub const MAPS: [Exhibit; 8] = [
    map!("HASH", "ELEMENTS"),
    map!("LRU_HASH", "ELEMENTS"),
    map!("PERCPU_HASH", "ELEMENTS"),
    map!("LRU_PERCPU_HASH", "ELEMENTS"),
    map!("ARRAY", "ELEMENTS"),
    map!("PERCPU_ARRAY", "ELEMENTS"),
    map!("RINGBUF", "RING"),
    map!("PERF_EVENT_ARRAY", "PERF"),
];

/// All of them.
pub fn all() -> impl Iterator<Item = Exhibit> {
    HOOKS.into_iter().chain(MISSPELT).map(|(exhibit, _)| exhibit).chain(MAPS)
}

impl Exhibit {
    /// Where its object lies in the machine.
    pub fn object(&self) -> String {
        format!("/exhibits/{}.o", self.name)
    }
}
