/* Both of bee's architectures are little-endian. */
#ifndef BEE_ASM_BYTEORDER_H
#define BEE_ASM_BYTEORDER_H

#include <linux/byteorder/little_endian.h>

#endif
