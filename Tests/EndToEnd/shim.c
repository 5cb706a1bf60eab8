// Stands before the C library in a program under test: shifts its clocks, lets a directory look like one
// on a network, and takes the space away as a quota does. What it shows is read at every call from the
// memory-mapped file FAULTS, so that a running agent sees a step; see faults.py.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

struct faults {
    volatile int64_t wall_ns, boottime_ns;
    volatile int32_t write_errno;  // of writes that make a file longer, and of reservations
    char network[256];             // paths that begin so are on NFS
};

static struct faults none;
static struct faults *faults = &none;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *map = mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) faults = map;
    close(fd);
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

int clock_gettime(clockid_t clock, struct timespec *time) {
    REAL(clock_gettime);
    int result = real(clock, time);
    int64_t shift = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE ? faults->wall_ns
        : clock == CLOCK_BOOTTIME                                             ? faults->boottime_ns
                                                                              : 0;
    if (result != 0 || shift == 0) return result;
    int64_t all = time->tv_sec * INT64_C(1000000000) + time->tv_nsec + shift;
    time->tv_sec = all / 1000000000, time->tv_nsec = all % 1000000000;
    return 0;
}

int statfs(const char *path, struct statfs *facts) {
    REAL(statfs);
    int result = real(path, facts);
    size_t count = strlen(faults->network);
    if (result == 0 && count && strncmp(path, faults->network, count) == 0) facts->f_type = 0x6969;
    return result;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    REAL(pwrite);
    int reason = faults->write_errno;
    if (reason && at + (off_t)count > lseek(fd, 0, SEEK_END)) return errno = reason, -1;
    return real(fd, bytes, count, at);
}

int fallocate(int fd, int mode, off_t at, off_t count) {
    REAL(fallocate);
    int reason = faults->write_errno;
    if (reason) return errno = reason, -1;
    return real(fd, mode, at, count);
}
