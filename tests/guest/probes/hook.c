/*
 * One program on the hook that -DHOOK names, which counts how often it is called (ebpf_solo_io_counter_calls). -DANSWER is what it
 * returns: control groups let through what gets a 1, everybody else wants a 0.
 */
#include "vmlinux.h"
#include "bpf/bpf_helpers.h"

char __license[] SEC("license") = "Dual MIT/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counter_calls SEC(".maps");

SEC(HOOK)
int watch(void *context)
{
	__u32 first = 0;
	__u64 *calls = bpf_map_lookup_elem(&counter_calls, &first);

	if (calls)
		__sync_fetch_and_add(calls, 1);
	return ANSWER;
}
