/*
 * glibc's own takes BPF for a machine of 32 bits, because it is none that it knows: pointers of `<stdint.h>` would be cut in half.
 */
#define __WORDSIZE 64
#define __WORDSIZE_TIME64_COMPAT32 1
#define __SYSCALL_WORDSIZE 64
