/* How files are opened on amd64. */
#ifndef BEE_ASM_FCNTL_H
#define BEE_ASM_FCNTL_H

#include <asm-generic/fcntl.h>

#endif
