/* Counts the test's connections, those to 127.78.0.0/16, in a map of the kind that -DKIND names. */
#include "vmlinux.h"
#include "bpf/bpf_helpers.h"
#include "bpf/bpf_core_read.h"
#include "bpf/bpf_tracing.h"
#include "solo_types.h"

char __license[] SEC("license") = "Dual MIT/GPL";

#define RING 1
#define PERF 2
#define ELEMENTS 3

struct {
	__uint(type, KIND);
#if FORM == RING
	__uint(max_entries, 1 << 16);
#elif FORM == ELEMENTS
	__uint(max_entries, 8);
	__type(key, __u32);
#endif
	__type(value, __u64);
} counter_connections SEC(".maps");

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(watch, const struct sock *sk, int oldstate, int newstate)
{
	__u32 key = 1;
	__u64 one = 1;

	if (newstate != TCP_SYN_SENT || (BPF_CORE_READ(sk, __sk_common.skc_daddr) & 0xffff) != 0x4e7f)
		return 0;
#if FORM == RING
	bpf_ringbuf_output(&counter_connections, &one, sizeof(one), 0);
#elif FORM == PERF
	bpf_perf_event_output(ctx, &counter_connections, BPF_F_CURRENT_CPU, &one, sizeof(one));
#else
	__u64 *count = bpf_map_lookup_elem(&counter_connections, &key);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&counter_connections, &key, &one, BPF_ANY);
#endif
	return 0;
}
