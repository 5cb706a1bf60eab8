/* Sends OTLP over HTTP/1.1, or gRPC if that is the content type, as exporters do: connections that stay, one
 * request at a time on each.
 *
 *   otlp_load PORT PATH CONTENT-TYPE REQUESTS CONNECTIONS COUNT RATE
 *
 * REQUESTS is a file of bodies, each behind its length (u32, little-endian); they are sent in turn, COUNT in
 * all, RATE a second (0: as fast as they are answered). A paced request's time runs from when it was due, so
 * that a receiver that stands still is charged for all that it held up. Prints one line of JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 256, REQUESTS_MAX = 4096, ANSWER_MAX = 32768 };

struct request { char *bytes; size_t count; };
struct connection {
    int fd, busy;
    size_t sent, got;
    const struct request *request;
    double since;
    char answer[ANSWER_MAX + 1];
    /* Of gRPC: frames on their way, what of the body is in them, the windows, and what has come of the answer. */
    char *out;
    size_t out_count, body;
    int64_t window, stream_window, stream_window_first;
    uint32_t stream;
    int has_message;
};

static struct request requests[REQUESTS_MAX];
static struct connection connections[CONNECTIONS_MAX];
static int request_count, connection_count, poller, is_grpc;
static char head_block[512];
static size_t head_count, largest;
static long begun, wanted, answered, refused;
static float *times;

static void fail(const char *what) { perror(what); exit(2); }

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void load(const char *path, int port, const char *target, const char *type) {
    FILE *file = fopen(path, "rb");
    uint32_t count;
    if (!file) fail(path);
    while (request_count < REQUESTS_MAX && fread(&count, 4, 1, file) == 1) {
        char head[512];
        int length = 5;
        if (is_grpc) memcpy(head, (char[5]){0, (char)(count >> 24), (char)(count >> 16), (char)(count >> 8), (char)count}, 5);
        else length = snprintf(head, sizeof head,
            "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: %s\r\nContent-Length: %u\r\n\r\n",
            target, port, type, count);
        char *bytes = malloc((size_t)length + count);
        memcpy(bytes, head, (size_t)length);
        if (fread(bytes + length, 1, count, file) != count) fail("a short file");
        requests[request_count++] = (struct request){bytes, (size_t)length + count};
        if (largest < (size_t)length + count) largest = (size_t)length + count;
    }
    fclose(file);
    if (!request_count) fail("no requests");
}

static void join(struct connection *connection, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(poller, EPOLL_CTL_ADD, connection->fd, &event);
}

static void push(struct connection *connection) {
    const char *bytes = is_grpc ? connection->out : connection->request->bytes;
    size_t count = is_grpc ? connection->out_count : connection->request->count;
    uint32_t events = EPOLLIN;
    while (connection->sent < count) {
        ssize_t sent = send(connection->fd, bytes + connection->sent, count - connection->sent, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN) fail("send");
            events |= EPOLLOUT;
            break;
        }
        connection->sent += (size_t)sent;
    }
    struct epoll_event event = {.events = events, .data.ptr = connection};
    epoll_ctl(poller, EPOLL_CTL_MOD, connection->fd, &event);
}

/* gRPC (RFC 9113). A header block of literals that are not indexed needs no state. */

static uint32_t number(const char *bytes, int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; i++) value = value << 8 | (unsigned char)bytes[i];
    return value;
}

static void literal(const char *name, size_t name_count, const char *value) {
    size_t count = strlen(value);
    memcpy(head_block + head_count, name, name_count);
    head_block[head_count + name_count] = (char)count;
    memcpy(head_block + head_count + name_count + 1, value, count);
    head_count += name_count + 1 + count;
}

static void prepare_head(const char *path, const char *authority) {
    literal("\x83\x86\x04", 3, path);
    literal("\x01", 1, authority);
    literal("\x0f\x10", 2, "application/grpc");
    literal("\x00\x02te", 4, "trailers");
}

/* Puts a frame behind what is on its way. The room is the largest request, its frames' heads, and more. */
static void frame(struct connection *connection, int type, int flags, uint32_t stream, const char *bytes, size_t count) {
    char *out = connection->out + connection->out_count;
    char head[9] = {(char)(count >> 16), (char)(count >> 8), (char)count, (char)type, (char)flags,
                    (char)(stream >> 24), (char)(stream >> 16), (char)(stream >> 8), (char)stream};
    memcpy(out, head, sizeof head);
    memcpy(out + sizeof head, bytes, count);
    connection->out_count += sizeof head + count;
}

/* What the windows let through of the request. */
static void advance(struct connection *connection) {
    if (connection->sent == connection->out_count) connection->sent = connection->out_count = 0;
    const struct request *request = connection->request;
    while (connection->busy && connection->body < request->count) {
        int64_t count = (int64_t)(request->count - connection->body);
        if (count > 16384) count = 16384;
        if (count > connection->window) count = connection->window;
        if (count > connection->stream_window) count = connection->stream_window;
        if (count <= 0) break;
        int is_last = connection->body + (size_t)count == request->count;
        frame(connection, 0, is_last, connection->stream, request->bytes + connection->body, (size_t)count);
        connection->body += (size_t)count;
        connection->window -= count;
        connection->stream_window -= count;
    }
    push(connection);
}

static void greet(struct connection *connection) {
    connection->out = malloc(largest + largest / 16384 * 9 + ANSWER_MAX * 2);
    memcpy(connection->out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    connection->out_count = 24;
    connection->window = connection->stream_window_first = 65535;
    connection->stream = (uint32_t)-1;
    frame(connection, 4, 0, 0, "", 0);
    push(connection);
}

static void settings(struct connection *connection, const char *bytes, uint32_t count) {
    for (uint32_t at = 0; at + 6 <= count; at += 6) {
        if (number(bytes + at, 2) != 4) continue;
        int64_t window = number(bytes + at + 2, 4);
        connection->stream_window += window - connection->stream_window_first;
        connection->stream_window_first = window;
    }
    frame(connection, 4, 1, 0, "", 0);
}

/* Whole frames: 0 while no answer has ended, 200 for one with a message, 500 for one without: then the status is an
 * error's. */
static int frames(struct connection *connection) {
    size_t at = 0;
    int status = 0;
    while (connection->got - at >= 9) {
        const char *head = connection->answer + at;
        uint32_t count = number(head, 3), stream = number(head + 5, 4);
        int type = head[3], flags = head[4];
        if (connection->got - at < 9 + count) break;
        if (type == 0 && count > 0) {
            char back[4] = {(char)(count >> 24), (char)(count >> 16), (char)(count >> 8), (char)count};
            frame(connection, 8, 0, 0, back, 4);
            connection->has_message = 1;
        }
        if (type <= 1 && flags & 1 && stream == connection->stream) status = connection->has_message ? 200 : 500;
        if (type == 3 || type == 7) { fprintf(stderr, "the receiver ended a stream\n"); exit(2); }
        if (type == 4 && !(flags & 1)) settings(connection, head + 9, count);
        if (type == 6 && !(flags & 1)) frame(connection, 6, 1, 0, head + 9, count);
        if (type == 8) *(stream ? &connection->stream_window : &connection->window) += number(head + 9, 4);
        at += 9 + count;
    }
    memmove(connection->answer, connection->answer + at, connection->got - at);
    connection->got -= at;
    advance(connection);
    return status;
}

static void begin(struct connection *connection, double due) {
    connection->request = &requests[begun++ % request_count];
    connection->busy = 1;
    connection->since = due;
    if (!is_grpc) {
        connection->sent = connection->got = 0;
        return push(connection);
    }
    if (connection->sent == connection->out_count) connection->sent = connection->out_count = 0;
    connection->stream += 2;
    connection->stream_window = connection->stream_window_first;
    connection->body = 0;
    connection->has_message = 0;
    frame(connection, 1, 4, connection->stream, head_block, head_count);
    advance(connection);
}

/* The status of a whole answer, 0 while it is not whole. */
static int status(struct connection *connection) {
    connection->answer[connection->got] = 0;
    char *body = strstr(connection->answer, "\r\n\r\n");
    if (!body) return 0;
    body += 4;
    char *length = strcasestr(connection->answer, "\r\ncontent-length:");
    if (length && length < body) {
        if (connection->got < (size_t)(body - connection->answer) + strtoul(length + 17, NULL, 10)) return 0;
    } else if (strcasestr(connection->answer, "transfer-encoding: chunked")) {
        if (!strstr(body, "0\r\n\r\n")) return 0;
    }
    return atoi(connection->answer + 9);
}

static void receive(struct connection *connection) {
    ssize_t got = recv(connection->fd, connection->answer + connection->got, ANSWER_MAX - connection->got, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) { fprintf(stderr, "the receiver closed a connection\n"); exit(2); }
    connection->got += (size_t)got;
    int found = is_grpc ? frames(connection) : status(connection);
    if (!found) {
        if (connection->got == ANSWER_MAX) { fprintf(stderr, "too long an answer\n"); exit(2); }
        return;
    }
    if (!connection->busy) return;
    if (found / 100 == 2) times[answered++] = (float)((now() - connection->since) * 1e3);
    else if (!refused++) fprintf(stderr, "the first refusal: %.300s\n", is_grpc ? "no message" : connection->answer);
    connection->busy = 0;
}

static int ascending(const void *one, const void *other) {
    float difference = *(const float *)one - *(const float *)other;
    return (difference > 0) - (difference < 0);
}

int main(int count, char **words) {
    if (count != 8) { fprintf(stderr, "see the head of otlp_load.c\n"); return 64; }
    int port = atoi(words[1]);
    char authority[32];
    snprintf(authority, sizeof authority, "127.0.0.1:%d", port);
    is_grpc = !strcmp(words[3], "application/grpc");
    if (strlen(words[2]) < 128) prepare_head(words[2], authority);
    load(words[4], port, words[2], words[3]);
    connection_count = atoi(words[5]), wanted = atol(words[6]);
    double rate = atof(words[7]);
    if (connection_count < 1 || connection_count > CONNECTIONS_MAX || wanted < 1) return 64;
    times = malloc((size_t)wanted * sizeof *times);
    poller = epoll_create1(0);
    for (int i = 0; i < connection_count; i++) {
        join(&connections[i], port);
        if (is_grpc) greet(&connections[i]);
    }
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event tick = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &tick);
    double start = now();
    while (answered + refused < wanted) {
        double time = now();
        for (int i = 0; i < connection_count && begun < wanted; i++) {
            if (connections[i].busy) continue;
            double due = rate > 0 ? start + (double)begun / rate : time;
            if (due > time) {
                double wait = due - time;
                struct itimerspec at = {.it_value = {(time_t)wait, (long)((wait - (time_t)wait) * 1e9) + 1}};
                timerfd_settime(timer, 0, &at, NULL);
                break;
            }
            begin(&connections[i], due);
        }
        struct epoll_event events[CONNECTIONS_MAX];
        int ready = epoll_wait(poller, events, CONNECTIONS_MAX, 10000);
        if (ready == 0) { fprintf(stderr, "no answer for ten seconds\n"); return 2; }
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!connection) {
                uint64_t ticks;
                if (read(timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN) fail("timer");
                continue;
            }
            if (!connection->busy && !is_grpc) continue;
            if (events[i].events & EPOLLOUT) push(connection);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(connection);
        }
    }
    double seconds = now() - start;
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    qsort(times, (size_t)answered, sizeof *times, ascending);
    long last = answered ? answered - 1 : 0;
    if (!answered) times[0] = 0;
    printf("{\"answered\": %ld, \"refused\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"ms_p50\": %.4f, "
           "\"ms_p99\": %.4f, \"ms_max\": %.4f}\n",
           answered, refused, seconds,
           (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
               + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6,
           times[last / 2], times[last * 99 / 100], times[last]);
    return 0;
}
