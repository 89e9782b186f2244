//! The C sources that `bee init` writes: a record, a map, what is done with them, and the hooks that call it.

use crate::init::{Map, Output, ProgramType, Template};

impl Template {
    /// The probe's C source.
    pub fn source(&self) -> String {
        [self.begin(), self.record(), self.map_definition(), self.function(), self.hooks()].join("\n")
    }

    fn begin(&self) -> String {
        let connect = if self.program_type == ProgramType::Network { "#include \"connect.h\"\n" } else { "" };
        format!(
            "#include \"vmlinux.h\"\n#include \"bpf/bpf_helpers.h\"\n#include \"bpf/bpf_core_read.h\"\n#include \"bpf/bpf_tracing.h\"\n\
             #include \"bee.h\"\n{connect}\n\
             // 1. The kernel lets programs under the GPL call all of its helpers. Change the licence if yours is another.\n\
             char __license[] SEC(\"license\") = \"Dual MIT/GPL\";\n"
        )
    }

    /// The struct that says what an event, or a key, is.
    fn record(&self) -> String {
        let fields = match self.program_type {
            ProgramType::Network => "\tipv4_addr saddr;\n\tipv4_addr daddr;\n",
            ProgramType::FileSystem => "\tchar comm[16];\n",
        };
        let value = if self.is_gauge_of_events() {
            "\t__u64 value; // what the gauge shows: seconds since the machine started\n"
        } else {
            ""
        };
        let what = if self.map == Map::RingBuffer { "an event" } else { "a key" };
        format!(
            "// 2. What {what} is made of. bee shows each field under its name; each is a label of a metric.\nstruct record_t {{\n{fields}{value}}};\n"
        )
    }

    fn map_definition(&self) -> String {
        let section = match self.output {
            Output::Print => "print",
            Output::Counter => "counter",
            Output::Gauge => "gauge",
        };
        let advice = "// 3. The section says what becomes of the map: .maps.print, .maps.counter or .maps.gauge.\n";
        let help = match self.output {
            Output::Print => String::new(),
            Output::Counter | Output::Gauge => format!(" BEE_HELP(\"{}\")", self.help()),
        };
        let (name, body, account) = match self.map {
            Map::RingBuffer => (
                "events",
                "\t__uint(type, BPF_MAP_TYPE_RINGBUF);\n\t__uint(max_entries, 1 << 20);\n\t__type(value, struct record_t);\n",
                "BEE_RING",
            ),
            Map::HashMap => (
                "values",
                "\t__uint(type, BPF_MAP_TYPE_HASH);\n\t__uint(max_entries, 1 << 13);\n\t__uint(map_flags, BPF_F_NO_PREALLOC);\n\
                 \t__type(key, struct record_t);\n\t__type(value, __u64);\n",
                "BEE_HASH",
            ),
        };
        format!(
            "{advice}struct {{\n{body}}} {name} SEC(\".maps.{section}\"){help};\n{account}({name}); // counts what is lost when the map is full\n"
        )
    }

    /// What Prometheus is told of the metric.
    fn help(&self) -> &'static str {
        match (self.program_type, self.output) {
            (ProgramType::Network, Output::Gauge) => {
                "When the last connection was opened, in seconds since the machine started"
            }
            (ProgramType::FileSystem, Output::Gauge) => {
                "When the last file was opened, in seconds since the machine started"
            }
            (ProgramType::Network, _) => "Connections opened, by their two ends",
            (ProgramType::FileSystem, _) => "Files opened, by program",
        }
    }

    fn function(&self) -> String {
        let parameter =
            if self.program_type == ProgramType::Network { "const struct connection *connection" } else { "void" };
        let body = match self.map {
            Map::RingBuffer => self.submit(),
            Map::HashMap => self.store(),
        };
        format!(
            "// 4. What is done each time.\nstatic inline __attribute__((always_inline)) void record({parameter})\n{{\n{body}}}\n"
        )
    }

    fn submit(&self) -> String {
        let value = if self.is_gauge_of_events() { "\tevent->value = bpf_ktime_get_ns() / 1000000000;\n" } else { "" };
        format!(
            "\tstruct record_t *event = BEE_RESERVE(events, struct record_t);\n\tif (!event)\n\t\treturn;\n{}{value}\tBEE_SUBMIT(event);\n",
            self.fill("event->", "event->comm")
        )
    }

    fn store(&self) -> String {
        let keep = match self.output {
            Output::Gauge => {
                "\t__u64 seconds = bpf_ktime_get_ns() / 1000000000;\n\tbpf_map_update_elem(&values, &key, &seconds, BPF_ANY);\n"
            }
            Output::Print | Output::Counter => "\tBEE_INCREMENT(values, &key);\n",
        };
        format!("\tstruct record_t key = {{}};\n{}{keep}", self.fill("key.", "key.comm"))
    }

    fn fill(&self, at: &str, comm: &str) -> String {
        match self.program_type {
            ProgramType::Network => format!("\t{at}saddr = connection->saddr;\n\t{at}daddr = connection->daddr;\n"),
            ProgramType::FileSystem => format!("\tbpf_get_current_comm({comm}, sizeof({comm}));\n"),
        }
    }

    fn is_gauge_of_events(&self) -> bool {
        (self.map, self.output) == (Map::RingBuffer, Output::Gauge)
    }

    fn hooks(&self) -> String {
        let hooks = match self.program_type {
            ProgramType::Network => NETWORK,
            ProgramType::FileSystem => FILE_SYSTEM,
        };
        format!("{VARIANTS}{hooks}")
    }
}

const VARIANTS: &str = "\
// 5. Where the kernel calls it. The part of a name after ___ is its variant: bee takes the first whose hooks this kernel has.
";

const NETWORK: &str = r#"SEC("kprobe/tcp_connect")
int BPF_KPROBE(connect___kprobe, struct sock *sk)
{
	struct connection connection;
	if (kprobe_connection(sk, &connection))
		record(&connection);
	return 0;
}

SEC("sockops")
int connect___sockops(struct bpf_sock_ops *operation)
{
	struct connection connection;
	if (sockops_connection(operation, &connection))
		record(&connection);
	return 1;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(connect___tp_btf, const struct sock *sk, int oldstate)
{
	struct connection connection;
	if (tp_btf_connection(sk, oldstate, &connection))
		record(&connection);
	return 0;
}
"#;

const FILE_SYSTEM: &str = r#"#if defined(__TARGET_ARCH_x86)
#define NR_OPENAT 257
#else
#define NR_OPENAT 56
#endif

SEC("tp_btf/sys_enter")
int BPF_PROG(open___tp_btf, struct pt_regs *regs, long id)
{
	if (id == NR_OPENAT)
		record();
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_openat")
int open___tracepoint(void *ctx)
{
	record();
	return 0;
}
"#;
