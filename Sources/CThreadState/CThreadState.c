#define _GNU_SOURCE
#include "CThreadState.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>
#if defined(__linux__)
#include <sys/random.h>
#endif

_Thread_local uint32_t cts_number = 0;
_Thread_local uint64_t cts_seed = 0;
void *_Atomic cts_shared = 0;

static _Atomic uint32_t numbers = 0;

uint32_t cts_new_number(void) {
    uint32_t number = atomic_fetch_add_explicit(&numbers, 1, memory_order_relaxed);
    cts_number = number + 1;
    return number;
}

uint64_t cts_new_seed(void) {
    uint64_t seed = 0;
#if defined(__linux__)
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed) seed = 0;
#else
    arc4random_buf(&seed, sizeof seed);
#endif
    if (seed == 0) {
        // No randomness yet (early boot): time and address tell threads and processes apart.
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        seed = (uint64_t)now.tv_nsec * 0x9E3779B97F4A7C15ull ^ (uint64_t)(uintptr_t)&cts_seed
               ^ (uint64_t)now.tv_sec << 32;
        if (seed == 0) seed = 1;
    }
    cts_seed = seed;
    return seed;
}

int cts_at_exit(void (*handler)(void)) { return atexit(handler); }

void cts_yield(void) { sched_yield(); }
