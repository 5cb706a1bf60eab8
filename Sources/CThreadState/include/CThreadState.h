// What a record costs least with and Swift cannot say: thread-local words and one global pointer.
#ifndef CTHREADSTATE_H
#define CTHREADSTATE_H

#include <stdatomic.h>
#include <stdint.h>

// Number of the calling thread plus one, 0 before its first record.
extern _Thread_local uint32_t cts_number;
// State of the calling thread's random numbers, 0 before the first.
extern _Thread_local uint64_t cts_seed;
// The process's instance; null while telemetry is off.
extern void *_Atomic cts_shared;

uint32_t cts_new_number(void);
uint64_t cts_new_seed(void);

// Counts threads in the order of their first record: neighbours get different shards.
static inline uint32_t cts_thread_number(void) {
    uint32_t number = cts_number;
    return number ? number - 1 : cts_new_number();
}

// splitmix64 from a seed of the kernel's per thread: unique, not secret. Never 0.
static inline uint64_t cts_random(void) {
    uint64_t state = cts_seed;
    if (state == 0) state = cts_new_seed();
    state += 0x9E3779B97F4A7C15ull;
    cts_seed = state;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    z ^= z >> 31;
    return z ? z : 1;
}

// After a fork the child must not repeat its parent's ids.
static inline void cts_forget_seed(void) { cts_seed = 0; }

static inline void *cts_load_shared(void) {
    return atomic_load_explicit(&cts_shared, memory_order_acquire);
}
static inline void cts_store_shared(void *instance) {
    atomic_store_explicit(&cts_shared, instance, memory_order_release);
}

// Runs `handler` at the process's normal end.
int cts_at_exit(void (*handler)(void));

// The processor's hint in a loop that waits for another thread's few instructions.
static inline void cts_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
void cts_yield(void);

#endif
