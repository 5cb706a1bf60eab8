#define _GNU_SOURCE
#include "CSystemIO.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#if !defined(MSG_NOSIGNAL)
#define MSG_NOSIGNAL 0
#endif

#if defined(__linux__) && !defined(SO_PEERPIDFD)
#define SO_PEERPIDFD 77
#endif

int cxt_peer_credentials(int fd, struct cxt_peer *peer) {
#if defined(__linux__)
    struct ucred facts;
    socklen_t bytes = sizeof facts;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &facts, &bytes) < 0) return -errno;
    peer->uid = facts.uid, peer->gid = facts.gid, peer->pid = facts.pid;
#else
    uid_t uid;
    gid_t gid;
    if (getpeereid(fd, &uid, &gid) < 0) return -errno;
    pid_t pid = 0;
    socklen_t bytes = sizeof pid;
    if (getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, &pid, &bytes) < 0) pid = 0;
    peer->uid = uid, peer->gid = gid, peer->pid = pid;
#endif
    return 0;
}

int cxt_peer_pidfd(int fd) {
#if defined(__linux__)
    int pidfd = -1;
    socklen_t bytes = sizeof pidfd;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &bytes) < 0) return -errno;
    return pidfd;
#else
    (void)fd;
    return -ENOTSUP;
#endif
}

int cxt_unix_address_bytes(void) { return (int)sizeof(((struct sockaddr_un *)0)->sun_path) - 1; }

static int address_of(const char *path, struct sockaddr_un *address, socklen_t *bytes) {
    size_t count = strlen(path);
    if (count == 0) return -EINVAL;
    if (count >= sizeof address->sun_path) return -ENAMETOOLONG;
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, count);
    *bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + count + 1);
    return 0;
}

int cxt_unix_socket(int kind, int nonblocking) {
    int type = kind == 1 ? SOCK_DGRAM : kind == 2 ? SOCK_SEQPACKET : SOCK_STREAM;
#if defined(__linux__)
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0);
    return fd < 0 ? -errno : fd;
#else
    int fd = socket(AF_UNIX, type, 0);
    if (fd < 0) return -errno;
    int one = 1;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof one);
    if (nonblocking) cxt_set_nonblocking(fd, 1);
    return fd;
#endif
}

int cxt_unix_connect(int fd, const char *path) {
    struct sockaddr_un address;
    socklen_t bytes;
    int result = address_of(path, &address, &bytes);
    if (result < 0) return result;
    do result = connect(fd, (struct sockaddr *)&address, bytes);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

// The mode is set between bind and listen, when nobody can connect yet.
int cxt_unix_bind(int fd, const char *path, uint32_t mode) {
    struct sockaddr_un address;
    socklen_t bytes;
    int result = address_of(path, &address, &bytes);
    if (result < 0) return result;
    if (bind(fd, (struct sockaddr *)&address, bytes) < 0) return -errno;
    if (chmod(path, (mode_t)mode) < 0) return -errno;
    if (listen(fd, 1024) < 0 && errno != EOPNOTSUPP) return -errno;
    return 0;
}

int cxt_take_place(int fd, int place) {
    int result;
#if defined(__linux__)
    do result = dup3(fd, place, O_CLOEXEC);
    while (result < 0 && errno == EINTR);
#else
    do result = dup2(fd, place);
    while (result < 0 && errno == EINTR);
    if (result >= 0) fcntl(place, F_SETFD, FD_CLOEXEC);
#endif
    return result < 0 ? -errno : 0;
}

int cxt_accept(int fd, int nonblocking) {
    int result;
#if defined(__linux__)
    do result = accept4(fd, NULL, NULL, SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0));
    while (result < 0 && errno == EINTR);
#else
    do result = accept(fd, NULL, NULL);
    while (result < 0 && errno == EINTR);
    if (result >= 0) {
        fcntl(result, F_SETFD, FD_CLOEXEC);
        if (nonblocking) cxt_set_nonblocking(result, 1);
    }
#endif
    return result < 0 ? -errno : result;
}

ssize_t cxt_send(int fd, const void *bytes, size_t count, int nonblocking) {
    ssize_t result;
    do result = send(fd, bytes, count, MSG_NOSIGNAL | (nonblocking ? MSG_DONTWAIT : 0));
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

ssize_t cxt_receive(int fd, void *bytes, size_t count, int nonblocking) {
    ssize_t result;
    do result = recv(fd, bytes, count, nonblocking ? MSG_DONTWAIT : 0);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

int cxt_set_timeout(int fd, int sending, int64_t milliseconds) {
    struct timeval limit = {milliseconds / 1000, (milliseconds % 1000) * 1000};
    int option = sending ? SO_SNDTIMEO : SO_RCVTIMEO;
    return setsockopt(fd, SOL_SOCKET, option, &limit, sizeof limit) < 0 ? -errno : 0;
}

int cxt_socket_type(int fd) {
    int type = 0;
    socklen_t bytes = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) < 0 ? -errno : type;
}

int cxt_send_datagrams(
    int fd, const void *bytes, const size_t *starts, size_t messages, int nonblocking) {
    int flags = MSG_NOSIGNAL | (nonblocking ? MSG_DONTWAIT : 0);
#if defined(__linux__)
    enum { group = 64 };
    struct mmsghdr headers[group];
    struct iovec vectors[group];
    size_t sent = 0;
    while (sent < messages) {
        size_t count = messages - sent < group ? messages - sent : group;
        memset(headers, 0, sizeof headers[0] * count);
        for (size_t i = 0; i < count; i++) {
            size_t start = starts[sent + i];
            vectors[i].iov_base = (char *)bytes + start;
            vectors[i].iov_len = starts[sent + i + 1] - start;
            headers[i].msg_hdr.msg_iov = &vectors[i];
            headers[i].msg_hdr.msg_iovlen = 1;
        }
        int result = sendmmsg(fd, headers, (unsigned)count, flags);
        if (result < 0) {
            if (errno == EINTR) continue;
            return sent ? (int)sent : -errno;
        }
        sent += (size_t)result;
    }
    return (int)sent;
#else
    size_t sent = 0;
    for (; sent < messages; sent++) {
        size_t start = starts[sent];
        if (send(fd, (const char *)bytes + start, starts[sent + 1] - start, flags) < 0)
            return sent ? (int)sent : -errno;
    }
    return (int)sent;
#endif
}

int cxt_send_descriptor(int fd, int descriptor) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    ssize_t result;
    do result = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}
