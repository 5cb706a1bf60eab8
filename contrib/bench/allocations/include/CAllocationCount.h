// Counts the calling thread's allocations, by standing before the C library's allocator.
#ifndef CALLOCATIONCOUNT_H
#define CALLOCATIONCOUNT_H
#include <stdint.h>

// Allocations of the calling thread so far; -1 where they cannot be counted.
int64_t cac_allocations(void);

#endif
