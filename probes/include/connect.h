/*
 * What the workshop's probes call a connection: a TCP socket of IPv4 on this side opened it, and its SYN has left.
 *
 * A connect that fails earlier (no route, no free port) is none. The tracepoint tells of SYN_SENT before the kernel has looked for a
 * port, so what counts is the end of that state, answered or not: by then the socket has sent a segment or never will. kprobes see
 * tcp_connect, which is called only when the SYN is about to leave.
 */
#ifndef CONNECT_H
#define CONNECT_H

#define AF_INET 2

static inline __attribute__((always_inline)) bool connection_opened(const struct sock *sk, int oldstate)
{
	if (oldstate != TCP_SYN_SENT || BPF_CORE_READ(sk, __sk_common.skc_family) != AF_INET)
		return false;
	return BPF_CORE_READ((const struct tcp_sock *)sk, segs_out) > 0;
}

#endif
