/*
 * Every TCP connection that this machine opens over IPv4: printed one by one, and counted by destination.
 *
 * Hooks, the first that the kernel has and permits: a kprobe on tcp_connect; the socket operation there, which takes CAP_NET_ADMIN
 * and control groups of version 2; the tracepoint inet_sock_set_state with BTF (5.5 and newer). The first two miss nothing. The
 * tracepoint's program does not run for what an interrupt, or in kernels that preempt it (7.0 and newer) another task, does on a
 * processor on which it is running. Maps: `events` is printed, `connections` becomes the counter ebpf_solo_io_connections.
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
} connections SEC(".maps.counter") BEE_HELP("Connections opened over IPv4, by destination.");
BEE_HASH(connections);

static inline __attribute__((always_inline)) void record(const struct connection *connection)
{
	struct destination_t destination = { .daddr = connection->daddr };

	BEE_INCREMENT(connections, &destination);

	struct event_t *event = BEE_RESERVE(events, struct event_t);
	if (!event)
		return;
	event->saddr = connection->saddr;
	event->daddr = destination.daddr;
	event->dport = connection->dport;
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
