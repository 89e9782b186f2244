/*
 * Programs that do nothing, on the workshop's hooks: what the kernel takes to call them and to take their time is no cost of any
 * probe's.
 */
#include "vmlinux.h"
#include "bpf/bpf_helpers.h"
#include "bpf/bpf_tracing.h"

char __license[] SEC("license") = "Dual MIT/GPL";

SEC("kprobe/tcp_connect")
int BPF_KPROBE(empty___kprobe, struct sock *sk)
{
	return 0;
}

SEC("sockops")
int empty___sockops(struct bpf_sock_ops *operation)
{
	return 1;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(empty___tp_btf, const struct sock *sk, int oldstate, int newstate)
{
	return 0;
}
