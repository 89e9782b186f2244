/*
 * What the benchmark makes bee swallow: on getppid one event, on getpgid sixteen, on getsid one element of a hash, its key the argument.
 * Each event has 16 bytes and two labels, of 64 combinations.
 */
#include "vmlinux.h"
#include "bpf/bpf_helpers.h"
#include "bpf/bpf_core_read.h"
#include "bpf/bpf_tracing.h"
#include "bee.h"

char __license[] SEC("license") = "Dual MIT/GPL";

#if defined(__TARGET_ARCH_x86)
#define NR_GETPPID 110
#define NR_GETPGID 121
#define NR_GETSID 124
#else
#define NR_GETPPID 173
#define NR_GETPGID 155
#define NR_GETSID 156
#endif

#define BURST 16

struct event_t {
	__u64 low;
	__u64 high;
};

struct key_t {
	__u64 id;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
	__type(value, struct event_t);
} counter_flood SEC(".maps");
BEE_RING(counter_flood);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 17);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct key_t);
	__type(value, __u64);
} counter_elements SEC(".maps");
BEE_HASH(counter_elements);

/* One process floods, so that no two processors count here at once. */
__u64 sent;

static inline __attribute__((always_inline)) void send(void)
{
	struct event_t *event = BEE_RESERVE(counter_flood, struct event_t);
	if (!event)
		return;
	event->low = sent & 7;
	event->high = (sent >> 3) & 7;
	sent++;
	BEE_SUBMIT(event);
}

SEC("raw_tp/sys_enter")
int flooded(struct bpf_raw_tracepoint_args *ctx)
{
	long number = ctx->args[1];

	if (number == NR_GETPPID)
		send();
	if (number == NR_GETPGID) {
#pragma unroll
		for (int i = 0; i < BURST; i++)
			send();
	}
	if (number == NR_GETSID) {
		struct pt_regs *registers = (struct pt_regs *)ctx->args[0];
		struct key_t key = { .id = PT_REGS_PARM1_CORE_SYSCALL(registers) };
		BEE_INCREMENT(counter_elements, &key);
	}
	return 0;
}
