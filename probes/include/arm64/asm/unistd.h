/* The system calls of arm64: those that every new architecture has, and a few older ones. */
#ifndef BEE_ASM_UNISTD_H
#define BEE_ASM_UNISTD_H

#define __ARCH_WANT_RENAMEAT
#define __ARCH_WANT_NEW_STAT
#define __ARCH_WANT_SET_GET_RLIMIT
#define __ARCH_WANT_TIME32_SYSCALLS
#define __ARCH_WANT_MEMFD_SECRET
#define __ARCH_WANT_SYS_CLONE3
#include <asm-generic/unistd.h>

#endif
