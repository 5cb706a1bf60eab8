/* Sends OTLP over HTTP as exporters do: connections that stay, one request at a time on each.
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

enum { CONNECTIONS_MAX = 256, REQUESTS_MAX = 4096, ANSWER_MAX = 16384 };

struct request { char *bytes; size_t count; };
struct connection {
    int fd, busy;
    size_t sent, got;
    const struct request *request;
    double since;
    char answer[ANSWER_MAX + 1];
};

static struct request requests[REQUESTS_MAX];
static struct connection connections[CONNECTIONS_MAX];
static int request_count, connection_count, poller;
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
        int length = snprintf(head, sizeof head,
            "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: %s\r\nContent-Length: %u\r\n\r\n",
            target, port, type, count);
        char *bytes = malloc((size_t)length + count);
        memcpy(bytes, head, (size_t)length);
        if (fread(bytes + length, 1, count, file) != count) fail("a short file");
        requests[request_count++] = (struct request){bytes, (size_t)length + count};
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
    const struct request *request = connection->request;
    uint32_t events = EPOLLIN;
    while (connection->sent < request->count) {
        ssize_t sent = send(connection->fd, request->bytes + connection->sent,
                            request->count - connection->sent, MSG_NOSIGNAL);
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

static void begin(struct connection *connection, double due) {
    connection->request = &requests[begun++ % request_count];
    connection->busy = 1;
    connection->sent = connection->got = 0;
    connection->since = due;
    push(connection);
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
    int found = status(connection);
    if (!found) {
        if (connection->got == ANSWER_MAX) { fprintf(stderr, "too long an answer\n"); exit(2); }
        return;
    }
    if (found / 100 == 2) times[answered++] = (float)((now() - connection->since) * 1e3);
    else if (!refused++) fprintf(stderr, "the first refusal: %.300s\n", connection->answer);
    connection->busy = 0;
}

static int ascending(const void *one, const void *other) {
    float difference = *(const float *)one - *(const float *)other;
    return (difference > 0) - (difference < 0);
}

int main(int count, char **words) {
    if (count != 8) { fprintf(stderr, "see the head of otlp_load.c\n"); return 64; }
    int port = atoi(words[1]);
    load(words[4], port, words[2], words[3]);
    connection_count = atoi(words[5]), wanted = atol(words[6]);
    double rate = atof(words[7]);
    if (connection_count < 1 || connection_count > CONNECTIONS_MAX || wanted < 1) return 64;
    times = malloc((size_t)wanted * sizeof *times);
    poller = epoll_create1(0);
    for (int i = 0; i < connection_count; i++) join(&connections[i], port);
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
            if (!connection->busy) continue;
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
