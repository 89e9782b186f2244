/*
 * Types that carry a meaning: bee reads the typedef's name from the BTF and shows the value accordingly, in logs, tables and labels.
 * The first three names are BumbleBee's, so that its probes compile unchanged. The file stands alone beside vmlinux.h; bee.h, with
 * the map and counting macros, includes it.
 *
 * Without a typedef of its own bee shows
 *   char comm[16]           text up to its zero or its end:   bpf_get_current_comm(event->comm, sizeof(event->comm));
 *   char path[256]          the same:                         bpf_probe_read_user_str(event->path, sizeof(event->path), name);
 *   u8 bytes[8]             hexadecimal digits
 *   enum of any kind        the name of the value, as in "TCP_CLOSE"; where its values are single bits, the names of those that are set,
 *                           as in "F_READ|F_WRITE", and bits without a name behind them, as in "F_READ|0x8"; names of values of
 *                           more than 32 bits need clang 15
 *   __be16, __be32, __be64  the number; a __be32 whose name ends in addr, ip, src, dst, gw or gateway, perhaps with 4 or v4 behind it, is
 *                           an IPv4 address, and four of them with a 6 in that name an IPv6 address
 *   struct in_addr          an IPv4 address
 *   struct in6_addr         an IPv6 address
 *   struct sockaddr_in      address and port, as in "10.0.0.1:443"
 *   struct sockaddr_in6     the same, as in "[fd00::1]:443"; struct sockaddr, sockaddr_storage and a union of such by their family,
 *                           also the path of a Unix socket
 *   union { u32 saddr_v4; u8 saddr_v6[16]; };    beside a field family or af (AF_INET, AF_INET6) or version (4, 6): one address, here
 *                           saddr; also 16 bytes or an unsigned __int128 named like an address
 *   u32 list[], char text[] as the last of an event: as much as the record holds
 *
 * An event may be shorter than its type, as bpf_ringbuf_output(&events, event, length, 0) sends it: shown are the fields that are wholly
 * in it, and of texts and arrays what there is. What is not in it is absent in JSON and an empty label, which to Prometheus is none.
 * A perf buffer ends records at 4 bytes before a multiple of 8: up to 7 bytes of an event there may be what lay behind it.
 */
#ifndef SOLO_TYPES_H
#define SOLO_TYPES_H

/* An IPv4 address in network byte order, shown 10.101.0.2:   event->to = BPF_CORE_READ(sk, __sk_common.skc_daddr); */
typedef __u32 ipv4_addr;

/* BumbleBee's IPv6 type: four bytes cannot hold such an address, so it is shown as a number. Use the next one. */
typedef __u32 ipv6_addr;

/* A time span in nanoseconds, shown 1.5ms:   event->took = bpf_ktime_get_ns() - began; */
typedef __u64 duration;

/* An IPv6 address, shown fd00::1:   BPF_CORE_READ_INTO(&event->to, sk, __sk_common.skc_v6_daddr); */
typedef struct {
	__u8 bytes[16];
} ipv6_address;

/* An Ethernet address, shown 52:54:00:12:34:56:   bpf_probe_read_kernel(&event->from, sizeof(event->from), eth->h_source); */
typedef struct {
	__u8 bytes[6];
} mac_address;

/* A TCP or UDP port in network byte order, shown 443:   event->port = BPF_CORE_READ(sk, __sk_common.skc_dport); */
typedef __u16 net_port;

/* When something happened, by the clock of bpf_ktime_get_ns(), shown 2026-01-31T12:00:00.5Z:   event->at = bpf_ktime_get_ns(); */
typedef __u64 ktime_ns;

/* An address in the kernel's code, shown tcp_connect+0x1f:   event->caller = PT_REGS_IP(ctx); */
typedef __u64 kernel_address;

/*
 * Stacks are shown as functions, ["tcp_connect+0x1","tcp_v4_connect+0x2b0",…], the innermost first; errors by name, as "EFAULT".
 *
 *   kernel_address frames[16];   bpf_get_stack(ctx, event->frames, sizeof(event->frames), 0);
 *   user_address frames[16];     the same with BPF_F_USER_STACK; ends at the first zero, so clear it before
 *   kernel_stack_id, user_stack_id                  event->stack = bpf_get_stackid(ctx, &stacks, 0);
 *
 * The last two need exactly one map of BPF_MAP_TYPE_STACK_TRACE in the object. Then plain integers are so as well whose fields are
 * called kern_stack_id, kstack_id, user_stack_id, ustack_id, stack_id and the like; and arrays of 64-bit integers called kstack or
 * ustack, of which a field kstack_sz says the bytes. Names of user space are looked up in the process that a field tgid, pid, pid_tgid or
 * tid of the same struct says, as long as it lives.
 */
typedef __u64 user_address;
typedef __s32 kernel_stack_id;
typedef __s32 user_stack_id;

/* An error, positive or negative, shown ENOENT; 0 is shown as it is:   event->error = PT_REGS_RC(ctx); */
typedef __s32 error_number;

/* A signal, shown SIGKILL:   event->signal = ctx->sig; */
typedef __u32 signal_number;

/* A system call of the machine that the probe runs on, shown openat:   event->call = ctx->id; */
typedef __u32 syscall_number;

#endif
