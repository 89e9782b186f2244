/*
 * The registers that a kprobe or uprobe is given on amd64, for probes without vmlinux.h: named as bpf/bpf_tracing.h has them then.
 */
#ifndef BEE_ASM_PTRACE_H
#define BEE_ASM_PTRACE_H

struct pt_regs {
	unsigned long r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	unsigned long orig_rax, rip, cs, eflags, rsp, ss;
};

#endif
