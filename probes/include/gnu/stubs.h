/*
 * Included by every header of glibc, whose own wants gnu/stubs-32.h for BPF: a list of functions that a BPF program cannot call anyway.
 */
