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
 * The last two say in Prometheus what a metric is. They take clang 14, as BEE_BUCKETS does; older ones leave them out.
 *
 *   struct { ... key has __u32 bucket; value __u64 ... } sizes SEC(".maps.hist");
 *   BEE_OBSERVE(sizes, &key, bytes);                  in the bucket of the next power of two
 *   BEE_OBSERVE_LINEAR(sizes, &key, bytes, 0, 512);   with BEE_BUCKETS("linear:0:512:20") at the map
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
#define BEE_BUCKETS(text) __attribute__((btf_decl_tag("buckets=" text)))
#else
#define BEE_HELP(text)
#define BEE_UNIT(text)
#define BEE_BUCKETS(text)
#endif

/*
 * bee_rests: bee looks at the rings again in some milliseconds and need not be woken. A wakeup costs whoever made the event an
 * interrupt to its own processor, some microseconds where a hypervisor sees it, and comes with each event that finds the ring empty.
 * Readers that do not know of it leave it 0, and are woken.
 */
#define BEE_RING(map)                                                                                                                  \
	__u64 bee_lost_##map;                                                                                                          \
	static volatile __u32 bee_rests SEC(".data") __attribute__((unused))
#define BEE_HASH(map) __u64 bee_failed_##map

#define BEE_RESERVE(map, type) ((type *)bee_reserve(&map, sizeof(type), &bee_lost_##map))
#define BEE_SUBMIT(event) bpf_ringbuf_submit(event, bee_rests ? BPF_RB_NO_WAKEUP : 0)
#define BEE_INCREMENT(map, key) bee_add(&map, key, 1, &bee_failed_##map)

#define BEE_OBSERVE(map, key, value)                                                                                                   \
	({                                                                                                                             \
		__u64 bee_value = value;                                                                                               \
		bee_observe(&map, key, bee_log2(bee_value), bee_value, &bee_failed_##map);                                             \
	})
#define BEE_OBSERVE_LINEAR(map, key, value, start, width)                                                                              \
	({                                                                                                                             \
		__u64 bee_value = value;                                                                                               \
		bee_observe(&map, key, bee_linear(bee_value, start, width), bee_value, &bee_failed_##map);                             \
	})

/* The bucket that is none: its element is the sum of all values. */
#define BEE_SUM 0xffffffff

#define bee_observe(map, key, number, value, failed)                                                                                   \
	({                                                                                                                             \
		_Static_assert(sizeof((key)->bucket) >= 4, "the key's `bucket` needs 32 bits: BEE_SUM would be a bucket");             \
		(key)->bucket = number;                                                                                                \
		bee_add(map, key, 1, failed);                                                                                          \
		(key)->bucket = BEE_SUM;                                                                                               \
		bee_add(map, key, value, failed);                                                                                      \
	})

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

/* The number of the first power of two that is not less. */
static inline __attribute__((always_inline)) __u32 bee_log2(__u64 value)
{
	__u64 rest = value ? value - 1 : 0;
	__u32 number = 0;
	for (__u32 step = 32; step; step /= 2) {
		if (rest >> step) {
			rest >>= step;
			number += step;
		}
	}
	return number + (rest > 0);
}

/* The number of the first of start, start + width, start + 2 * width, … that is not less. */
static inline __attribute__((always_inline)) __u32 bee_linear(__u64 value, __u64 start, __u64 width)
{
	return value <= start ? 0 : (value - start + width - 1) / width;
}

#endif
