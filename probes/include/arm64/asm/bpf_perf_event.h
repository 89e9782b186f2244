/* The registers of SEC("perf_event") on arm64. */
#ifndef BEE_ASM_BPF_PERF_EVENT_H
#define BEE_ASM_BPF_PERF_EVENT_H

#include <asm/ptrace.h>

typedef struct user_pt_regs bpf_user_pt_regs_t;

#endif
