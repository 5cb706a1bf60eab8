#define _GNU_SOURCE
#include "CSystemIO.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/vfs.h>
#else
#include <sys/mount.h>
#include <sys/param.h>
extern char **environ;
#endif

int cxt_open(const char *path, int flags, uint32_t mode) {
    int fd;
    do fd = open(path, flags | O_CLOEXEC, (mode_t)mode);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

int cxt_openat(int directory, const char *path, int flags, uint32_t mode) {
    int fd;
    do fd = openat(directory, path, flags | O_CLOEXEC, (mode_t)mode);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

int cxt_flock(int fd, int exclusive, int wait) {
    int operation = (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB), result;
    do result = flock(fd, operation);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

int cxt_allocate(int fd, uint64_t offset, uint64_t count) {
#if defined(__linux__)
    int result;
    do result = fallocate(fd, 0, (off_t)offset, (off_t)count);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
#else
    (void)fd, (void)offset, (void)count;
    return -ENOTSUP;
#endif
}

int cxt_set_nonblocking(int fd, int on) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int cxt_is_network_file_system(const char *path) {
    struct statfs facts;
    if (statfs(path, &facts) < 0) return -errno;
#if defined(__linux__)
    switch ((uint32_t)facts.f_type) {
    case 0x6969u:      // NFS
    case 0x517Bu:      // SMB
    case 0xFF534D42u:  // CIFS
    case 0xFE534D42u:  // SMB2
    case 0x564Cu:      // NCP
    case 0x5346414Fu:  // AFS
    case 0x6B414653u:  // kAFS
    case 0x00C36400u:  // Ceph
    case 0x01021997u:  // 9P
    case 0x73757245u:  // Coda
    case 0x0BD00BD0u:  // Lustre
    case 0x47504653u:  // GPFS
    case 0x19830326u:  // BeeGFS
    case 0x20030528u:  // OrangeFS
        return 1;
    default: return 0;
    }
#else
    return facts.f_flags & MNT_LOCAL ? 0 : 1;
#endif
}

int cxt_fill_random(void *bytes, size_t count) {
#if defined(__linux__)
    uint8_t *at = bytes;
    while (count) {
        ssize_t got = getrandom(at, count, 0);
        if (got < 0) {
            if (errno == EINTR) continue;
            return -errno;
        }
        at += got, count -= (size_t)got;
    }
#else
    arc4random_buf(bytes, count);
#endif
    return 0;
}

char **cxt_environment(void) { return environ; }

int cxt_memfd(const char *name) {
#if defined(__linux__)
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd < 0 ? -errno : fd;
#else
    (void)name;
    return -ENOTSUP;
#endif
}

int cxt_memfd_seal(int fd) {
#if defined(__linux__)
    int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    return fcntl(fd, F_ADD_SEALS, seals) < 0 ? -errno : 0;
#else
    (void)fd;
    return -ENOTSUP;
#endif
}
