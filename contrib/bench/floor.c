/* The floor under "socket into the log": what a C program pays for the same bytes.
 *
 *   cc -O2 -o floor floor.c
 *   ./floor FRAMES OUTPUT BYTES PRODUCERS [PAUSE [sync]]
 *
 * PRODUCERS children write the frames of the file FRAMES (batch-load --dump), a write(2) each, over a
 * Unix stream socket each, PAUSE microseconds apart, in a circle until BYTES have gone in all. This
 * process reads what comes, checks the CRC32C of every frame's body, appends what it read to OUTPUT
 * and calls fdatasync every 8 MiB and at the end. Nothing is decoded, indexed or acknowledged: no agent can be cheaper. With
 * `sync` every read is followed by fdatasync: the floor of an agent that syncs each commit.
 *
 * Prints a line of JSON; cpu_seconds are this process's own, not the children's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

enum { HEADER = 12, READ_MAX = 256 << 10, SYNC_BYTES = 8 << 20, PRODUCERS_MAX = 64 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

#if defined(__x86_64__)
/* Three streams at once would be faster still; one keeps the instruction's latency, 8 bytes in 3
 * cycles, which is what a plain loop in any language gets. */
__attribute__((target("sse4.2"))) static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t n)
{
    uint64_t c = ~crc;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        c = _mm_crc32_u64(c, word);
    }
    for (; n > 0; n--) c = _mm_crc32_u8((uint32_t)c, *p++);
    return ~(uint32_t)c;
}
#else
static uint32_t table[256];
static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t n)
{
    if (table[1] == 0)
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0x82F63B78u : c >> 1;
            table[i] = c;
        }
    crc = ~crc;
    while (n-- > 0) crc = crc >> 8 ^ table[(crc ^ *p++) & 255];
    return ~crc;
}
#endif

static uint32_t word(const uint8_t *p)
{
    uint32_t value;
    memcpy(&value, p, 4);
    return value; /* little-endian machines only, as all that we support */
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* One producer: a write for each frame, as a client that flushes a batch does. */
static void produce(int to, const uint8_t *frames, size_t size, uint64_t bytes, double pause)
{
    size_t at = 0;
    double due = seconds(CLOCK_MONOTONIC);
    while (bytes > 0) {
        double early = due - seconds(CLOCK_MONOTONIC);
        if (pause > 0 && early > 0) usleep((useconds_t)(early * 1e6));
        due += pause;
        if (at == size) at = 0;
        size_t length = HEADER + word(frames + at);
        for (size_t done = 0; done < length;) {
            ssize_t n = write(to, frames + at + done, length - done);
            if (n < 0) fail("write to the socket");
            done += (size_t)n;
        }
        at += length;
        bytes -= length < bytes ? length : bytes;
    }
    _exit(0);
}

/* Where one connection's stream is: inside a body, or inside a header. */
struct stream {
    int from;
    uint8_t header[HEADER];
    size_t header_has, body_left;
    uint32_t expected, sum;
};

static uint64_t frames_seen;

static void check(struct stream *s, const uint8_t *p, size_t n)
{
    while (n > 0) {
        if (s->header_has < HEADER) {
            size_t take = HEADER - s->header_has < n ? HEADER - s->header_has : n;
            memcpy(s->header + s->header_has, p, take);
            s->header_has += take, p += take, n -= take;
            if (s->header_has < HEADER) return;
            s->body_left = word(s->header), s->expected = word(s->header + 8), s->sum = 0;
        }
        size_t take = s->body_left < n ? s->body_left : n;
        s->sum = crc32c(s->sum, p, take);
        s->body_left -= take, p += take, n -= take;
        if (s->body_left > 0) return;
        if (s->sum != s->expected) {
            fprintf(stderr, "floor: a frame's checksum differs\n");
            exit(1);
        }
        frames_seen++;
        s->header_has = 0;
    }
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: floor FRAMES OUTPUT BYTES PRODUCERS [PAUSE [sync]]\n");
        return 64;
    }
    double pause = argc > 5 ? atof(argv[5]) / 1e6 : 0;
    int sync_each = argc > 6;
    int producers = atoi(argv[4]);
    uint64_t each = strtoull(argv[3], NULL, 10) / (uint64_t)producers;
    if (producers < 1 || producers > PRODUCERS_MAX) return 64;

    int file = open(argv[1], O_RDONLY);
    struct stat facts;
    if (file < 0 || fstat(file, &facts) < 0) fail(argv[1]);
    uint8_t *frames = malloc((size_t)facts.st_size);
    if (read(file, frames, (size_t)facts.st_size) != facts.st_size) fail(argv[1]);
    int output = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (output < 0) fail(argv[2]);

    struct stream streams[PRODUCERS_MAX] = {0};
    struct pollfd polled[PRODUCERS_MAX];
    double start = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < producers; i++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) fail("socketpair");
        pid_t child = fork();
        if (child < 0) fail("fork");
        if (child == 0) produce(pair[1], frames, (size_t)facts.st_size, each, pause);
        close(pair[1]);
        streams[i].from = pair[0];
        polled[i] = (struct pollfd){.fd = pair[0], .events = POLLIN};
    }

    uint8_t *buffer = malloc(READ_MAX);
    uint64_t total = 0, unsynced = 0;
    for (int open_ends = producers; open_ends > 0;) {
        if (poll(polled, (nfds_t)producers, -1) < 0 && errno != EINTR) fail("poll");
        for (int i = 0; i < producers; i++) {
            if (polled[i].fd < 0 || polled[i].revents == 0) continue;
            ssize_t n = read(polled[i].fd, buffer, READ_MAX);
            if (n < 0) fail("read from the socket");
            if (n == 0) {
                close(polled[i].fd);
                polled[i].fd = -1;
                open_ends--;
                continue;
            }
            check(&streams[i], buffer, (size_t)n);
            if (write(output, buffer, (size_t)n) != n) fail("write to the file");
            total += (uint64_t)n, unsynced += (uint64_t)n;
            if (unsynced >= SYNC_BYTES || sync_each) {
                if (fdatasync(output) < 0) fail("fdatasync");
                unsynced = 0;
            }
        }
    }
    if (fdatasync(output) < 0) fail("fdatasync");
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    start = seconds(CLOCK_MONOTONIC) - start;
    while (wait(NULL) > 0) {}
    printf("{\"frames\": %llu, \"bytes\": %llu, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n",
           (unsigned long long)frames_seen, (unsigned long long)total, start, cpu);
    return 0;
}
