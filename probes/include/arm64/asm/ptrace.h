/*
 * The registers that a kprobe or uprobe is given on arm64, for probes without vmlinux.h: named as bpf/bpf_tracing.h has them then.
 */
#ifndef BEE_ASM_PTRACE_H
#define BEE_ASM_PTRACE_H

#include <linux/types.h>

struct user_pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 pstate;
};

#endif
