/*
 * What bee gives to a probe: events that are not lost without trace, and counters that miss no increment.
 *
 *   BEE_RING(events);                                 at file scope, once per ring buffer
 *   struct event *event = BEE_RESERVE(events, struct event);
 *   if (event) { ...; BEE_SUBMIT(event); }
 *
 *   BEE_HASH(connections);                            at file scope, once per hash
 *   BEE_INCREMENT(connections, &key);
 *
 *   struct { ... } took_seconds SEC(".maps.hist") BEE_HELP("How long names took to resolve") BEE_UNIT("seconds");
 *
 * The last two say in Prometheus what a metric is. They take clang 14; older ones leave them out.
 *
 * A full ring buffer tells nobody that it refused an event, and a full hash nobody that it took no key: only the program itself can
 * count both. bee exports the counts as bee_events_lost_total and bee_inserts_failed_total.
 *
 * A program is called by what its section names; `bee doctor` says which of these this kernel has:
 *   SEC("kprobe/FUNCTION")  kretprobe, kprobe.multi, ksyscall     in the kernel's functions and system calls
 *   SEC("fentry/FUNCTION")  fexit, fmod_ret                       the same by trampoline, cheaper
 *   SEC("tracepoint/CATEGORY/NAME")  tp, raw_tp/NAME, tp_btf/NAME where the kernel says what it does
 *   SEC("uprobe/FILE:FUNCTION")  uretprobe                        in functions of programs and libraries
 *   SEC("usdt/FILE:PROVIDER:NAME")                                at their static probes; include "bpf/usdt.bpf.h"
 *   SEC("perf_event/49")                                          49 times a second on each processor; 99 without a number
 *   SEC("iter/task")                                              for each task, file, … once a second; what it writes is printed
 *   SEC("cgroup/connect4")  cgroup_skb/egress, sockops, …         for every process; return 1, or what is asked for is refused
 *   SEC("lsm/NAME")                                               where security modules are asked; return 0
 */
#ifndef BEE_H
#define BEE_H

#include "solo_types.h"

#if __has_attribute(btf_decl_tag)
#define BEE_HELP(text) __attribute__((btf_decl_tag("help=" text)))
#define BEE_UNIT(text) __attribute__((btf_decl_tag("unit=" text)))
#else
#define BEE_HELP(text)
#define BEE_UNIT(text)
#endif

#define BEE_RING(map) __u64 bee_lost_##map
#define BEE_HASH(map) __u64 bee_failed_##map

#define BEE_RESERVE(map, type) ((type *)bee_reserve(&map, sizeof(type), &bee_lost_##map))
#define BEE_SUBMIT(event) bpf_ringbuf_submit(event, 0)
#define BEE_INCREMENT(map, key) bee_add(&map, key, 1, &bee_failed_##map)

#define bee_reserve(map, size, lost)                                                                                                   \
	({                                                                                                                             \
		void *bee_event = bpf_ringbuf_reserve(map, size, 0);                                                                   \
		if (!bee_event)                                                                                                        \
			__sync_fetch_and_add(lost, 1);                                                                                 \
		bee_event;                                                                                                             \
	})

/*
 * Of two processors that see a key for the first time at once, one inserts the zero and the other is refused (BPF_NOEXIST): both then
 * add to the same element, so that no first increment is lost.
 */
static inline __attribute__((always_inline)) void bee_add(void *map, const void *key, __u64 count, __u64 *failed)
{
	__u64 *value = bpf_map_lookup_elem(map, key);
	if (!value) {
		__u64 zero = 0;
		bpf_map_update_elem(map, key, &zero, BPF_NOEXIST);
		value = bpf_map_lookup_elem(map, key);
	}
	if (value)
		__sync_fetch_and_add(value, count);
	else
		__sync_fetch_and_add(failed, 1);
}

#endif
