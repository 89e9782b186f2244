/*
 * What libbpf's usdt.bpf.h wants of the system's header of this name, which is not there for BPF on every system: static probes
 * compile with clang and nothing else.
 */
#ifndef BEE_LINUX_ERRNO_H
#define BEE_LINUX_ERRNO_H

#define EPERM 1
#define ENOENT 2
#define ESRCH 3
#define EIO 5
#define E2BIG 7
#define EAGAIN 11
#define ENOMEM 12
#define EACCES 13
#define EFAULT 14
#define EBUSY 16
#define EEXIST 17
#define EINVAL 22
#define ENOSPC 28

#endif
