/*
 * What the workshop's probes call a connection: a TCP socket on this side opened it over IPv4, and its SYN has left.
 *
 *   struct connection connection;
 *   if (sockops_connection(operation, &connection)) { ...; }
 *
 * One function for each hook that can tell. A connect that fails earlier (no route, no free port) is none: a kprobe on tcp_connect and
 * the socket operation that this function begins with see the SYN when it is about to leave. The tracepoint tells of SYN_SENT before
 * the kernel has looked for a port: there what counts is the end of that state, answered or not, by when the socket has sent a segment
 * or never will.
 */
#ifndef CONNECT_H
#define CONNECT_H

#include "solo_types.h"

#define AF_INET 2
#define AF_INET6 10

struct connection {
	ipv4_addr saddr;
	ipv4_addr daddr;
	__u16 dport; /* as people write it */
};

/* The kernel checks that a pointer it gives is a socket, and lets the program read that. A kprobe's may be anything: a call reads it. */
#define SOCKET_FIELD(sk, checked, field) ((checked) ? (sk)->__sk_common.field : BPF_CORE_READ(sk, __sk_common.field))

/* Java, for one, opens its connections with sockets of IPv6: to ::ffff:a.b.c.d, which stands for IPv4's a.b.c.d. */
static inline __attribute__((always_inline)) bool over_ipv4(const struct sock *sk, bool checked)
{
	__u16 family = SOCKET_FIELD(sk, checked, skc_family);
	if (family != AF_INET6 || !bpf_core_field_exists(sk->__sk_common.skc_v6_daddr))
		return family == AF_INET;

	struct in6_addr to = SOCKET_FIELD(sk, checked, skc_v6_daddr);
	return !to.in6_u.u6_addr32[0] && !to.in6_u.u6_addr32[1] && to.in6_u.u6_addr32[2] == __builtin_bswap32(0xffff);
}

static inline __attribute__((always_inline)) bool connection_of(const struct sock *sk, bool checked, struct connection *connection)
{
	if (!over_ipv4(sk, checked))
		return false;
	connection->saddr = SOCKET_FIELD(sk, checked, skc_rcv_saddr);
	connection->daddr = SOCKET_FIELD(sk, checked, skc_daddr);
	connection->dport = __builtin_bswap16(SOCKET_FIELD(sk, checked, skc_dport));
	return true;
}

static inline __attribute__((always_inline)) bool kprobe_connection(const struct sock *sk, struct connection *connection)
{
	return connection_of(sk, false, connection);
}

static inline __attribute__((always_inline)) bool sockops_connection(struct bpf_sock_ops *operation, struct connection *connection)
{
	if (operation->op != BPF_SOCK_OPS_TCP_CONNECT_CB)
		return false;
	struct bpf_sock *sk = operation->sk;
	const struct tcp_sock *checked = sk ? bpf_skc_to_tcp_sock(sk) : NULL;
	return checked && connection_of((const struct sock *)checked, true, connection);
}

static inline __attribute__((always_inline)) bool tp_btf_connection(const struct sock *sk, int oldstate, struct connection *connection)
{
	if (oldstate != TCP_SYN_SENT || !connection_of(sk, true, connection))
		return false;
	return BPF_CORE_READ((const struct tcp_sock *)sk, segs_out) > 0;
}

#endif
