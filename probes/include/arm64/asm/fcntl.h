/* How files are opened on arm64: four flags have numbers of their own. */
#ifndef BEE_ASM_FCNTL_H
#define BEE_ASM_FCNTL_H

#define O_DIRECTORY 040000
#define O_NOFOLLOW 0100000
#define O_DIRECT 0200000
#define O_LARGEFILE 0400000
#include <asm-generic/fcntl.h>

#endif
