// Tells the thread sanitizer of Swift's Mutex. Compiled for contrib/sanitize thread alone.
//
// The quick ways in and out of a Mutex are compiled into its user, where the sanitizer sees their atomics.
// The slow ones, taken when threads meet, are in the standard library, which is not built for it: whoever
// came in there would look like a race. So they are wrapped under their own names, which an executable's
// definition takes from a library. A Mutex is a word; its address is `self`.

#if defined(__linux__) && defined(__has_feature)
#if __has_feature(thread_sanitizer)

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>

#define SLOW(way) "$s15Synchronization12_MutexHandleV" way
#define SELF __attribute__((swift_context)) void *
#define SWIFT __attribute__((swiftcall))

void __tsan_acquire(void *address);
void __tsan_release(void *address);

SWIFT void cxt_mutex_lock_slow(uint32_t thread, SELF mutex) __asm__(SLOW("9_lockSlowyys6UInt32VF"));
SWIFT bool cxt_mutex_try_slow(SELF mutex) __asm__(SLOW("12_tryLockSlowSbyF"));
SWIFT void cxt_mutex_unlock_slow(SELF mutex) __asm__(SLOW("11_unlockSlowyyF"));

typedef SWIFT void lock_slow(uint32_t thread, SELF mutex);
typedef SWIFT bool try_slow(SELF mutex);
typedef SWIFT void unlock_slow(SELF mutex);

SWIFT void cxt_mutex_lock_slow(uint32_t thread, SELF mutex) {
    ((lock_slow *)dlsym(RTLD_NEXT, SLOW("9_lockSlowyys6UInt32VF")))(thread, mutex);
    __tsan_acquire(mutex);
}

SWIFT bool cxt_mutex_try_slow(SELF mutex) {
    bool ours = ((try_slow *)dlsym(RTLD_NEXT, SLOW("12_tryLockSlowSbyF")))(mutex);
    if (ours) __tsan_acquire(mutex);
    return ours;
}

SWIFT void cxt_mutex_unlock_slow(SELF mutex) {
    __tsan_release(mutex);
    ((unlock_slow *)dlsym(RTLD_NEXT, SLOW("11_unlockSlowyyF")))(mutex);
}

#endif
#endif
