/* Counts a static probe of the guest's own program, with the maps in which libbpf notes where its arguments are. */
#include "vmlinux.h"
#include "bpf/bpf_helpers.h"
#include "bpf/bpf_tracing.h"
#include "bpf/usdt.bpf.h"

char __license[] SEC("license") = "Dual MIT/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counter_calls SEC(".maps");

SEC("usdt//init:guest:look")
int BPF_USDT(watch, long step)
{
	__u32 first = 0;
	__u64 *calls = bpf_map_lookup_elem(&counter_calls, &first);

	if (calls)
		__sync_fetch_and_add(calls, step);
	return 0;
}
