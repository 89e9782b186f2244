/*
 * What the workshop's probes call a connection: a TCP socket on this side opened it over IPv4, and its SYN has left.
 *
 * A connect that fails earlier (no route, no free port) is none. The tracepoint tells of SYN_SENT before the kernel has looked for a
 * port, so what counts is the end of that state, answered or not: by then the socket has sent a segment or never will. kprobes see
 * tcp_connect, which is called only when the SYN is about to leave.
 */
#ifndef CONNECT_H
#define CONNECT_H

#define AF_INET 2
#define AF_INET6 10

/* Java, for one, opens its connections with sockets of IPv6: to ::ffff:a.b.c.d, which stands for IPv4's a.b.c.d. */
static inline __attribute__((always_inline)) bool over_ipv4(const struct sock *sk)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family != AF_INET6 || !bpf_core_field_exists(sk->__sk_common.skc_v6_daddr))
		return family == AF_INET;

	struct in6_addr to = BPF_CORE_READ(sk, __sk_common.skc_v6_daddr);
	return !to.in6_u.u6_addr32[0] && !to.in6_u.u6_addr32[1] && to.in6_u.u6_addr32[2] == __builtin_bswap32(0xffff);
}

static inline __attribute__((always_inline)) bool connection_opened(const struct sock *sk, int oldstate)
{
	if (oldstate != TCP_SYN_SENT || !over_ipv4(sk))
		return false;
	return BPF_CORE_READ((const struct tcp_sock *)sk, segs_out) > 0;
}

#endif
