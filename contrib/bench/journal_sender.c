/* What a bare C program reaches with journald's native protocol: the peer of our exporter.
 *
 *   cc -O2 -o journal_sender journal_sender.c
 *   journalctl -o export … | ./journal_sender replay [COUNT]     the same entries again
 *   ./journal_sender synthetic COUNT                             20 fields, about 700 bytes
 *
 * Every entry is a datagram to /run/systemd/journal/socket, 64 of them in one sendmmsg(2), with the
 * socket's default buffer. `replay` sends what another sender has stored, byte for byte, without the
 * fields that journald adds by itself: same fields, same sizes, same mixture of new and repeated
 * values, which is what journald's cost depends on. All datagrams are made before the clock starts.
 *
 * Prints a line of JSON; cpu_seconds are the sending's alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { TOGETHER = 64 };

static struct iovec *entries;
static size_t count, room;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void keep(const char *bytes, size_t length)
{
    if (length == 0) return;
    if (count == room) {
        room = room ? room * 2 : 65536;
        entries = realloc(entries, room * sizeof *entries);
        if (!entries) fail("memory");
    }
    char *copy = malloc(length);
    if (!copy) fail("memory");
    memcpy(copy, bytes, length);
    entries[count++] = (struct iovec){.iov_base = copy, .iov_len = length};
}

/* The export format is the native protocol's, with an empty line after each entry:
 * NAME=text\n, or NAME\n, 64 bits of length, the bytes, \n. */
static void read_export(FILE *in, size_t limit)
{
    char *line = NULL, *entry = malloc(1 << 20);
    size_t line_room = 0, length = 0;
    ssize_t n;
    while (count < limit && (n = getline(&line, &line_room, in)) > 0) {
        if (n == 1) {
            keep(entry, length);
            length = 0;
            continue;
        }
        int ours = line[0] != '_';
        if (length + (size_t)n > 1 << 20) exit(1);
        if (ours) memcpy(entry + length, line, (size_t)n), length += (size_t)n;
        if (memchr(line, '=', (size_t)n)) continue;
        uint64_t size;
        if (fread(&size, 8, 1, in) != 1 || length + size + 9 > 1 << 20) exit(1);
        char *to = entry + length;
        if (!ours) to = malloc(size + 9);
        memcpy(to, &size, 8);
        if (fread(to + 8, size + 1, 1, in) != 1) exit(1);
        if (ours) length += size + 9;
        else free(to);
    }
    keep(entry, length);
}

static void make_synthetic(size_t number)
{
    static const char *names[] = {"codex.tool", "codex.command", "codex.api_request", "codex.file"};
    char entry[2048];
    for (uint64_t i = 0; i < number; i++) {
        uint64_t mixed = (i + 1) * 0x9E3779B97F4A7C15ull;
        const char *name = names[i % 4];
        int n = snprintf(entry, sizeof entry,
            "MESSAGE=%s shell ok in %llu.%03llu ms\nPRIORITY=6\nSYSLOG_IDENTIFIER=codex-telemetry\n"
            "CODEX_RECORD=span\nCODEX_NAME=%s\nCODEX_OPERATION=%s\nCODEX_STATUS=ok\n"
            "CODEX_DURATION_MS=%llu.%06llu\nCODEX_TRACE_ID=%016llx%016llx\nCODEX_SPAN_ID=%016llx\n"
            "CODEX_PARENT_SPAN_ID=%016llx\nCODEX_SERVICE=codex-cli\nCODEX_SESSION=%032x\n"
            "CODEX_ORIGINATOR=codex_cli_rs\nCODEX_START=%llu\nCODEX_RECORD_ID=%016llx:3:%llu.%llu\n"
            "CODEX_PEER_UID=1000\nCODEX_PEER_PID=4711\nCODEX_ATTRIBUTE_TOOL=shell\n"
            "CODEX_ATTRIBUTE_BYTES=%llu\n",
            name, (unsigned long long)(mixed % 900), (unsigned long long)(mixed % 997), name, name,
            (unsigned long long)(mixed % 900), (unsigned long long)(mixed % 999983),
            (unsigned long long)(i / 48 * 77777777777ull), (unsigned long long)(i / 48),
            (unsigned long long)mixed, (unsigned long long)(mixed ^ 0x5555), (unsigned)(i / 4096),
            (unsigned long long)(1700000000000000000ull + i * 40000), 7ull,
            (unsigned long long)(i / 512 * 24576), (unsigned long long)(i % 512),
            (unsigned long long)(mixed % 40000));
        keep(entry, (size_t)n);
    }
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    size_t limit = argc > 2 ? strtoull(argv[2], NULL, 10) : SIZE_MAX;
    if (argc > 1 && strcmp(argv[1], "replay") == 0) read_export(stdin, limit);
    else if (argc > 2 && strcmp(argv[1], "synthetic") == 0) make_synthetic(limit);
    else return fprintf(stderr, "usage: journal_sender replay [COUNT] | synthetic COUNT\n"), 64;

    int to = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un journal = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};
    if (to < 0 || connect(to, (struct sockaddr *)&journal, sizeof journal) < 0) fail(journal.sun_path);

    uint64_t bytes = 0;
    double start = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (size_t sent = 0; sent < count;) {
        struct mmsghdr group[TOGETHER] = {0};
        size_t n = count - sent < TOGETHER ? count - sent : TOGETHER;
        for (size_t i = 0; i < n; i++) {
            group[i].msg_hdr.msg_iov = &entries[sent + i];
            group[i].msg_hdr.msg_iovlen = 1;
        }
        int done = sendmmsg(to, group, (unsigned)n, MSG_NOSIGNAL);
        if (done < 0 && errno != EINTR) fail("sendmmsg");
        for (int i = 0; i < done; i++) bytes += entries[sent++].iov_len;
    }
    printf("{\"entries\": %zu, \"bytes\": %llu, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n", count,
           (unsigned long long)bytes, seconds(CLOCK_MONOTONIC) - start,
           seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    return 0;
}
