// What Swift cannot say itself: macros, variadic calls, structures that need _GNU_SOURCE.
// Every function returns a count or descriptor, or -errno.
#ifndef CSYSTEMIO_H
#define CSYSTEMIO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "CSystemIOCommand.h"

// Nanoseconds since 1970 of the wall clock.
static inline uint64_t cxt_wall_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

// Nanoseconds of a clock that never jumps; it stands still while the machine sleeps (Linux).
static inline uint64_t cxt_monotonic_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

// Nanoseconds since boot, the machine's sleep included.
static inline uint64_t cxt_boottime_ns(void) {
    struct timespec t;
#if defined(__linux__)
    clock_gettime(CLOCK_BOOTTIME, &t);
#else
    clock_gettime(CLOCK_MONOTONIC, &t);
#endif
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

struct cxt_peer {
    uint32_t uid, gid;
    int32_t pid;
};

int cxt_open(const char *path, int flags, uint32_t mode);
int cxt_openat(int directory, const char *path, int flags, uint32_t mode);
int cxt_flock(int fd, int exclusive, int wait);
int cxt_allocate(int fd, uint64_t offset, uint64_t count);
int cxt_set_nonblocking(int fd, int on);
// 1 if the file system is reached over a network, 0 if not.
int cxt_is_network_file_system(const char *path);

int cxt_peer_credentials(int fd, struct cxt_peer *peer);
int cxt_peer_pidfd(int fd);
int cxt_unix_address_bytes(void);
// kind: 0 stream, 1 datagram, 2 sequenced packets. Close-on-exec always.
int cxt_unix_socket(int kind, int nonblocking);
int cxt_unix_connect(int fd, const char *path);
int cxt_unix_bind(int fd, const char *path, uint32_t mode);
// Gives `place` the open file of `fd`; closed on exec.
int cxt_take_place(int fd, int place);
int cxt_accept(int fd, int nonblocking);
ssize_t cxt_send(int fd, const void *bytes, size_t count, int nonblocking);
ssize_t cxt_receive(int fd, void *bytes, size_t count, int nonblocking);
int cxt_set_timeout(int fd, int sending, int64_t milliseconds);
int cxt_socket_type(int fd);

struct cxt_tcp_address {
    int is_v6;
    uint16_t port;
    // In network order; of an IPv4 address the first four.
    uint8_t bytes[16];
};
struct cxt_tcp_owner {
    uint32_t uid, inode;
};
// Who owns this host's TCP socket with these addresses (remote all zero: the listener). -ENOENT: nobody.
int cxt_tcp_owner(const struct cxt_tcp_address *local, const struct cxt_tcp_address *remote,
                  struct cxt_tcp_owner *owner);

// Sends messages bytes[starts[i] ..< starts[i + 1]] as datagrams; how many went, or -errno if none.
int cxt_send_datagrams(
    int fd, const void *bytes, const size_t *starts, size_t messages, int nonblocking);
// One empty datagram that carries a descriptor.
int cxt_send_descriptor(int fd, int descriptor);
int cxt_memfd(const char *name);
int cxt_memfd_seal(int fd);

// Starts a program with default signals and an empty mask; the child's pid, or -errno.
int cxt_spawn(
    const char *path, int search, char *const *arguments, char *const *environment,
    const int *descriptors, int new_session);
// kind: 0 nothing yet, 1 exited (value: code), 2 killed (value: signal), 3 stopped, 4 continued.
int cxt_wait(int pid, int wait, int stopped, int *kind, int *value);

// set: bit n is signal n.
int cxt_signals_mask(int block, uint64_t set);
uint64_t cxt_signals_blocked(void);
int cxt_signal_default(int signal);
int cxt_signal_ignore(int signal);
int cxt_signal_handler(int signal, void (*handler)(int), int restart);
// Waits for one of the set, which must be blocked; the signal, 0 at the time limit, or -errno.
int cxt_signals_wait(uint64_t set, int64_t milliseconds);
// Opens /dev/null in the place of a standard stream that is closed.
void cxt_fill_standard_streams(void);
// Lets this process open as many descriptors as it may; how many those are.
uint64_t cxt_raise_descriptor_limit(void);
// Unmaps the pages of the program's code and constants: they stay in the page cache, and come back when
// they are touched.
void cxt_release_code(void);
// Ends the process by this signal as a shell would see it.
int cxt_raise_to_end(int signal);

int cxt_at_fork_in_child(void (*handler)(void));
int cxt_thread_start(const char *name, size_t stack_bytes, void (*body)(void *), void *context,
                     uint64_t *identity);
int cxt_thread_join(uint64_t identity);
int cxt_thread_detach(uint64_t identity);

struct cxt_monitor;
struct cxt_monitor *cxt_monitor_make(void);
void cxt_monitor_free(struct cxt_monitor *monitor);
void cxt_monitor_lock(struct cxt_monitor *monitor);
void cxt_monitor_unlock(struct cxt_monitor *monitor);
// Waits with the lock held; deadline in cxt_monotonic_ns, 0 for none. 0, or 1 at the deadline.
int cxt_monitor_wait(struct cxt_monitor *monitor, uint64_t deadline);
void cxt_monitor_wake_all(struct cxt_monitor *monitor);

int cxt_fill_random(void *bytes, size_t count);
char **cxt_environment(void);

#endif
