/* A backend that takes all: answers each OTLP request over HTTP with 200 and counts the records.
 *
 *   otlp_sink PORT
 *
 * Bodies by Content-Length or in chunks, plain or gzip. GET answers what was counted, as JSON: records,
 * requests, bytes as they came and unpacked, requests that were not OTLP.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libdeflate.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { UNPACKED_MAX = 64 << 20 };

struct connection { int fd; char *bytes; size_t count, room; };

static long records, requests, bad, bytes_sent, bytes_unpacked;
static struct libdeflate_decompressor *unpacker;
static uint8_t *unpacked;

static int varint(const uint8_t **at, const uint8_t *end, uint64_t *value) {
    *value = 0;
    for (int shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        *value |= (uint64_t)(byte & 127) << shift;
        if (!(byte & 128)) return 1;
    }
    return 0;
}

/* Counts the messages in resource (1), scope (2), record (2): the same numbers for all signals. */
static int count_records(const uint8_t *at, const uint8_t *end, int depth) {
    static const uint64_t path[] = {1, 2, 2};
    uint64_t tag, length;
    while (at < end) {
        if (!varint(&at, end, &tag)) return 0;
        size_t rest = (size_t)(end - at);
        switch (tag & 7) {
        case 0: if (!varint(&at, end, &length)) return 0; break;
        case 1: if (rest < 8) return 0; at += 8; break;
        case 5: if (rest < 4) return 0; at += 4; break;
        case 2:
            if (!varint(&at, end, &length) || length > (uint64_t)(end - at)) return 0;
            if (tag >> 3 == path[depth]) {
                if (depth == 2) records++;
                else if (!count_records(at, at + length, depth + 1)) return 0;
            }
            at += length;
            break;
        default: return 0;
        }
    }
    return 1;
}

static void take(const char *body, size_t count, int packed) {
    const uint8_t *bytes = (const uint8_t *)body;
    requests++, bytes_sent += (long)count;
    if (packed) {
        size_t size = 0;
        if (libdeflate_gzip_decompress(unpacker, body, count, unpacked, UNPACKED_MAX, &size)) { bad++; return; }
        bytes = unpacked, count = size;
    }
    bytes_unpacked += (long)count;
    if (!count_records(bytes, bytes + count, 0)) bad++;
}

static int answer(int fd, const char *type, const char *body) {
    char text[1024];
    int count = snprintf(text, sizeof text,
        "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s", type, strlen(body), body);
    return send(fd, text, (size_t)count, MSG_NOSIGNAL) == count;
}

/* The value of a header among the first `head` bytes, NULL without it. */
static const char *header(const struct connection *connection, size_t head, const char *name) {
    size_t length = strlen(name);
    const char *end = connection->bytes + head;
    for (const char *at = connection->bytes; (at = memmem(at, (size_t)(end - at), "\r\n", 2)); ) {
        at += 2;
        if ((size_t)(end - at) > length && !strncasecmp(at, name, length)) return at + length;
    }
    return NULL;
}

/* Joins a body's chunks in place; its end in the buffer, 0 while it is not whole. */
static size_t join_chunks(struct connection *connection, size_t head, size_t *count) {
    size_t at = head;
    for (int writing = 0; writing < 2; writing++) {
        at = head, *count = 0;
        for (;;) {
            char *line = memmem(connection->bytes + at, connection->count - at, "\r\n", 2);
            if (!line) return 0;
            size_t size = strtoul(connection->bytes + at, NULL, 16);
            size_t begin = (size_t)(line + 2 - connection->bytes);
            if (connection->count < begin + size + 2) return 0;
            if (writing) memmove(connection->bytes + head + *count, connection->bytes + begin, size);
            *count += size, at = begin + size + 2;
            if (!size) break;
        }
    }
    return at;
}

/* Takes one request from the buffer's begin: its bytes, 0 while it is not whole, -1 to close. */
static long serve(struct connection *connection) {
    char *blank = memmem(connection->bytes, connection->count, "\r\n\r\n", 4);
    if (!blank) return 0;
    size_t head = (size_t)(blank + 4 - connection->bytes), count = 0, end;
    if (!strncmp(connection->bytes, "GET ", 4)) {
        char told[256];
        snprintf(told, sizeof told, "{\"records\": %ld, \"requests\": %ld, \"bad\": %ld, \"bytes\": %ld, \"unpacked\": %ld}",
                 records, requests, bad, bytes_sent, bytes_unpacked);
        return answer(connection->fd, "application/json", told) ? (long)head : -1;
    }
    const char *length = header(connection, head, "content-length:");
    const char *packing = header(connection, head, "content-encoding:");
    if (header(connection, head, "transfer-encoding: chunked")) {
        end = join_chunks(connection, head, &count);
        if (!end) return 0;
    } else {
        count = length ? strtoul(length, NULL, 10) : 0;
        end = head + count;
        if (connection->count < end) return 0;
    }
    take(connection->bytes + head, count, packing && !strncasecmp(packing, " gzip", 5));
    return answer(connection->fd, "application/x-protobuf", "") ? (long)end : -1;
}

static int receive(struct connection *connection) {
    if (connection->room - connection->count < 65536) {
        connection->room = connection->room * 2 + 131072;
        connection->bytes = realloc(connection->bytes, connection->room);
    }
    ssize_t got = recv(connection->fd, connection->bytes + connection->count,
                       connection->room - connection->count, 0);
    if (got < 0 && errno == EAGAIN) return 1;
    if (got <= 0) return 0;
    connection->count += (size_t)got;
    for (;;) {
        long taken = serve(connection);
        if (taken < 0) return 0;
        if (!taken) return 1;
        connection->count -= (size_t)taken;
        memmove(connection->bytes, connection->bytes + taken, connection->count);
    }
}

int main(int count, char **words) {
    if (count != 2) { fprintf(stderr, "see the head of otlp_sink.c\n"); return 64; }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[1]))};
    int listener = socket(AF_INET, SOCK_STREAM, 0), poller = epoll_create1(0), one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 128)) {
        perror("listen");
        return 1;
    }
    unpacker = libdeflate_alloc_decompressor();
    unpacked = malloc(UNPACKED_MAX);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event events[64];
        int ready = epoll_wait(poller, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!connection) {
                int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0) continue;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                connection = calloc(1, sizeof *connection);
                connection->fd = fd;
                struct epoll_event more = {.events = EPOLLIN, .data.ptr = connection};
                epoll_ctl(poller, EPOLL_CTL_ADD, fd, &more);
            } else if (!receive(connection)) {
                close(connection->fd);
                free(connection->bytes);
                free(connection);
            }
        }
    }
}
