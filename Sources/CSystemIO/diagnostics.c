#define _GNU_SOURCE
#include "CSystemIO.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__)
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

// sock_diag(7): the kernel looks one socket up by its addresses and answers at once.
static int ask(int fd, const void *question, size_t bytes, struct cxt_tcp_owner *owner) {
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    if (sendto(fd, question, bytes, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0) return -errno;
    union {
        struct nlmsghdr header;
        char bytes[8192];
    } answer;
    ssize_t got = recv(fd, &answer, sizeof answer, 0);
    if (got < 0) return -errno;
    if (!NLMSG_OK(&answer.header, (size_t)got)) return -EPROTO;
    if (answer.header.nlmsg_type == NLMSG_ERROR) {
        if (answer.header.nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr))) return -EPROTO;
        int error = ((struct nlmsgerr *)NLMSG_DATA(&answer.header))->error;
        return error < 0 ? error : -EPROTO;
    }
    if (answer.header.nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg))) return -EPROTO;
    const struct inet_diag_msg *found = NLMSG_DATA(&answer.header);
    owner->uid = found->idiag_uid;
    owner->inode = found->idiag_inode;
    return 0;
}

int cxt_tcp_owner(const struct cxt_tcp_address *local, const struct cxt_tcp_address *remote,
                  struct cxt_tcp_owner *owner) {
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 request;
    } question;
    memset(&question, 0, sizeof question);
    question.header.nlmsg_len = sizeof question;
    question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    question.header.nlmsg_flags = NLM_F_REQUEST;
    question.request.sdiag_family = local->is_v6 ? AF_INET6 : AF_INET;
    question.request.sdiag_protocol = IPPROTO_TCP;
    question.request.idiag_states = ~0u;
    question.request.id.idiag_sport = htons(local->port);
    question.request.id.idiag_dport = htons(remote->port);
    memcpy(question.request.id.idiag_src, local->bytes, 16);
    memcpy(question.request.id.idiag_dst, remote->bytes, 16);
    question.request.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
    question.request.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    if (fd < 0) return -errno;
    int result = ask(fd, &question, sizeof question, owner);
    close(fd);
    return result;
}
#else
int cxt_tcp_owner(const struct cxt_tcp_address *local, const struct cxt_tcp_address *remote,
                  struct cxt_tcp_owner *owner) {
    (void)local, (void)remote, (void)owner;
    return -ENOTSUP;
}
#endif
