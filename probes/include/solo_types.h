/*
 * Types that carry a meaning: bee reads the typedef's name from the BTF and prints the value accordingly. The names are BumbleBee's,
 * so that its probes compile unchanged. The file stands alone beside vmlinux.h; bee.h, with the map and counting macros, includes it.
 */
#ifndef SOLO_TYPES_H
#define SOLO_TYPES_H

/* An IPv4 address in network byte order, printed 10.101.0.2. */
typedef __u32 ipv4_addr;

/* BumbleBee's IPv6 type: four bytes cannot hold such an address, so it prints as a number. Use `struct in6_addr` for real ones. */
typedef __u32 ipv6_addr;

/* A time span in nanoseconds, printed 1.5ms. */
typedef __u64 duration;

#endif
