/* BPF has 64 bits, on whichever machine. */
#ifndef BEE_ASM_BITSPERLONG_H
#define BEE_ASM_BITSPERLONG_H

#define __BITS_PER_LONG 64
#include <asm-generic/bitsperlong.h>

#endif
