/*
 * Who connects to whom over IPv4, counted by address pair in two ways that must agree: by a ring buffer whose events bee adds up
 * (ebpf_solo_io_events_ring), and by a hash in the kernel (ebpf_solo_io_events_hash).
 *
 * Hooks, the first that the kernel has and permits: a kprobe on tcp_connect; the socket operation there, which takes CAP_NET_ADMIN
 * and control groups of version 2; the tracepoint inet_sock_set_state with BTF (5.5 and newer). The first two miss nothing. The
 * tracepoint's program does not run for what an interrupt, or in kernels that preempt it (7.0 and newer) another task, does on a
 * processor on which it is running.
 */
#include "vmlinux.h"
#include "bpf/bpf_helpers.h"
#include "bpf/bpf_core_read.h"
#include "bpf/bpf_tracing.h"
#include "bee.h"
#include "connect.h"

char __license[] SEC("license") = "Dual MIT/GPL";

struct pair_t {
	ipv4_addr saddr;
	ipv4_addr daddr;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
	__type(value, struct pair_t);
} events_ring SEC(".maps.counter") BEE_HELP("Connections opened over IPv4, counted as events of a ring buffer.");
BEE_RING(events_ring);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pair_t);
	__type(value, __u64);
} events_hash SEC(".maps.counter") BEE_HELP("Connections opened over IPv4, counted in the kernel.");
BEE_HASH(events_hash);

static inline __attribute__((always_inline)) void record(const struct connection *connection)
{
	struct pair_t pair = { .saddr = connection->saddr, .daddr = connection->daddr };

	BEE_INCREMENT(events_hash, &pair);

	struct pair_t *event = BEE_RESERVE(events_ring, struct pair_t);
	if (!event)
		return;
	*event = pair;
	BEE_SUBMIT(event);
}

SEC("kprobe/tcp_connect")
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
