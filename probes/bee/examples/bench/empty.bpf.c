/*
 * A program that does nothing, on the workshop's tracepoint: what the kernel takes to call it and to take its time is no cost of any
 * probe's.
 */
#include "vmlinux.h"
#include "bpf/bpf_helpers.h"
#include "bpf/bpf_tracing.h"

char __license[] SEC("license") = "Dual MIT/GPL";

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(empty, const struct sock *sk, int oldstate, int newstate)
{
	return 0;
}
