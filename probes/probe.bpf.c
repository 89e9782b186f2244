/*
 * Every TCP connection that this machine opens over IPv4: printed one by one, and counted by destination.
 *
 * Hooks, the first that the kernel has: a kprobe on tcp_connect, else the tracepoint inet_sock_set_state with BTF (5.5 and newer). A
 * kernel that may preempt the tracepoint's program (7.0 and newer) does not run it for who else connects meanwhile on that
 * processor; a kprobe's it never preempts. Maps: `events` is printed, `connections` becomes the counter ebpf_solo_io_connections.
 */
#include "vmlinux.h"
#include "bpf/bpf_helpers.h"
#include "bpf/bpf_core_read.h"
#include "bpf/bpf_tracing.h"
#include "bee.h"
#include "connect.h"

char __license[] SEC("license") = "Dual MIT/GPL";

struct event_t {
	ipv4_addr saddr;
	ipv4_addr daddr;
	__u32 dport;
};

struct destination_t {
	ipv4_addr daddr;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
	__type(value, struct event_t);
} events SEC(".maps.print");
BEE_RING(events);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 13);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct destination_t);
	__type(value, __u64);
} connections SEC(".maps.counter");
BEE_HASH(connections);

static inline __attribute__((always_inline)) void record(const struct sock *sk)
{
	struct destination_t destination = { .daddr = BPF_CORE_READ(sk, __sk_common.skc_daddr) };

	BEE_INCREMENT(connections, &destination);

	struct event_t *event = BEE_RESERVE(events, struct event_t);
	if (!event)
		return;
	event->saddr = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
	event->daddr = destination.daddr;
	event->dport = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
	BEE_SUBMIT(event);
}

SEC("kprobe/tcp_connect")
int BPF_KPROBE(connect___kprobe, struct sock *sk)
{
	if (over_ipv4(sk))
		record(sk);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(connect___tp_btf, const struct sock *sk, int oldstate, int newstate)
{
	if (connection_opened(sk, oldstate))
		record(sk);
	return 0;
}
