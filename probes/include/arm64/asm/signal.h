/* Signals on arm64. */
#ifndef BEE_ASM_SIGNAL_H
#define BEE_ASM_SIGNAL_H

#define SA_RESTORER 0x04000000
#include <asm-generic/signal.h>

#endif
