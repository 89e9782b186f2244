/*
 * Included before every probe. BPF has no C library; clang turns these calls into plain loads and stores, but since version 16 refuses
 * to guess what an undeclared one means. Declared here, BumbleBee's probes, which just call memcpy, compile with every clang.
 */
#ifndef BEE_MEMORY_H
#define BEE_MEMORY_H

void *memcpy(void *to, const void *from, unsigned long size);
void *memmove(void *to, const void *from, unsigned long size);
void *memset(void *to, int byte, unsigned long size);
int memcmp(const void *left, const void *right, unsigned long size);

#endif
