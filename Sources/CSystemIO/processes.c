#define _GNU_SOURCE
#include "CSystemIO.h"

#include <errno.h>
#include <fcntl.h>
#if defined(__linux__)
#include <link.h>
#include <sys/mman.h>
#endif
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int cxt_spawn(
    const char *path, int search, char *const *arguments, char *const *environment,
    const int *descriptors, int new_session) {
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&actions);
    // A library may have ignored SIGPIPE or blocked signals: the child starts as from a shell.
    sigset_t none, changed;
    sigemptyset(&none);
    sigemptyset(&changed);
    sigaddset(&changed, SIGPIPE);
    int usual[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU, SIGWINCH, SIGCHLD};
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        struct sigaction current;
        // What our own parent ignored (nohup) stays ignored; only handlers fall back by themselves.
        if (sigaction(usual[i], NULL, &current) == 0 && current.sa_handler != SIG_IGN)
            sigaddset(&changed, usual[i]);
    }
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &changed);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
#if defined(POSIX_SPAWN_SETSID)
    if (new_session) flags |= POSIX_SPAWN_SETSID;
#endif
    posix_spawnattr_setflags(&attributes, flags);
    for (int i = 0; descriptors && i < 3; i++)
        if (descriptors[i] >= 0)
            posix_spawn_file_actions_adddup2(&actions, descriptors[i], i);
    pid_t pid = -1;
    int result = search
        ? posix_spawnp(&pid, path, &actions, &attributes, arguments, environment)
        : posix_spawn(&pid, path, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return result ? -result : pid;
}

int cxt_wait(int pid, int wait, int stopped, int *kind, int *value) {
    int status = 0, result;
    do result = waitpid(pid, &status, (wait ? 0 : WNOHANG) | (stopped ? WUNTRACED | WCONTINUED : 0));
    while (result < 0 && errno == EINTR);
    if (result < 0) return -errno;
    *kind = 0, *value = 0;
    if (result == 0) return 0;
    if (WIFEXITED(status)) *kind = 1, *value = WEXITSTATUS(status);
    else if (WIFSIGNALED(status)) *kind = 2, *value = WTERMSIG(status);
    else if (WIFSTOPPED(status)) *kind = 3, *value = WSTOPSIG(status);
    else if (WIFCONTINUED(status)) *kind = 4, *value = SIGCONT;
    return result;
}

static void fill(sigset_t *signals, uint64_t set) {
    sigemptyset(signals);
    for (int i = 1; i < 64; i++)
        if (set >> i & 1) sigaddset(signals, i);
}

int cxt_signals_mask(int block, uint64_t set) {
    sigset_t signals;
    fill(&signals, set);
    return -pthread_sigmask(block ? SIG_BLOCK : SIG_UNBLOCK, &signals, NULL);
}

uint64_t cxt_signals_blocked(void) {
    sigset_t signals;
    uint64_t set = 0;
    pthread_sigmask(SIG_BLOCK, NULL, &signals);
    for (int i = 1; i < 32; i++)
        if (sigismember(&signals, i) == 1) set |= 1ull << i;
    return set;
}

int cxt_signal_handler(int number, void (*handler)(int), int restart) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = restart ? SA_RESTART : 0;
    sigemptyset(&action.sa_mask);
    return sigaction(number, &action, NULL) < 0 ? -errno : 0;
}

int cxt_signal_default(int number) { return cxt_signal_handler(number, SIG_DFL, 0); }

int cxt_signal_ignore(int number) { return cxt_signal_handler(number, SIG_IGN, 0); }

int cxt_signals_wait(uint64_t set, int64_t milliseconds) {
    sigset_t signals;
    fill(&signals, set);
#if defined(__linux__)
    struct timespec limit = {milliseconds / 1000, (milliseconds % 1000) * 1000000};
    int result;
    do result = sigtimedwait(&signals, NULL, milliseconds < 0 ? NULL : &limit);
    while (result < 0 && errno == EINTR && milliseconds < 0);
    if (result < 0) return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    return result;
#else
    (void)milliseconds;
    int number = 0;
    int result = sigwait(&signals, &number);
    return result ? -result : number;
#endif
}

void cxt_fill_standard_streams(void) {
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= 2);
    if (fd > 2) close(fd);
}

uint64_t cxt_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return 256;
    // Enough for every connection; an unlimited hard limit makes others allocate tables for it.
    rlim_t wanted = limit.rlim_max < 16384 ? limit.rlim_max : 16384;
    if (limit.rlim_cur < wanted) {
        struct rlimit raised = {wanted, limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return wanted;
    }
    return limit.rlim_cur;
}

// Ends this process by the signal, without a core dump of ours for the child's fault.
int cxt_raise_to_end(int number) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    cxt_signal_default(number);
    cxt_signals_mask(0, 1ull << number);
    return raise(number) ? -errno : 0;
}

int cxt_at_fork_in_child(void (*handler)(void)) { return -pthread_atfork(NULL, NULL, handler); }

struct start {
    char name[16];
    void (*body)(void *);
    void *context;
};

static void *enter(void *argument) {
    struct start start = *(struct start *)argument;
    free(argument);
    if (start.name[0]) {
#if defined(__linux__)
        pthread_setname_np(pthread_self(), start.name);
#else
        pthread_setname_np(start.name);
#endif
    }
    start.body(start.context);
    return NULL;
}

int cxt_thread_start(const char *name, size_t stack_bytes, void (*body)(void *), void *context,
                     uint64_t *identity) {
    struct start *start = malloc(sizeof *start);
    if (!start) return -ENOMEM;
    memset(start, 0, sizeof *start);
    strncpy(start->name, name, sizeof start->name - 1);
    start->body = body, start->context = context;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (stack_bytes) pthread_attr_setstacksize(&attributes, stack_bytes);
    // Signals belong to the main thread: a thread of ours starts with all of them blocked.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    int result = pthread_create(&thread, &attributes, enter, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (result) {
        free(start);
        return -result;
    }
    *identity = (uint64_t)(uintptr_t)thread;
    return 0;
}

int cxt_thread_join(uint64_t identity) {
    return -pthread_join((pthread_t)(uintptr_t)identity, NULL);
}

int cxt_thread_detach(uint64_t identity) {
    return -pthread_detach((pthread_t)(uintptr_t)identity);
}

struct cxt_monitor {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
};

struct cxt_monitor *cxt_monitor_make(void) {
    struct cxt_monitor *monitor = malloc(sizeof *monitor);
    if (!monitor) abort();
    pthread_mutex_init(&monitor->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
#if defined(__linux__)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
    pthread_cond_init(&monitor->condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return monitor;
}

void cxt_monitor_free(struct cxt_monitor *monitor) {
    pthread_cond_destroy(&monitor->condition);
    pthread_mutex_destroy(&monitor->mutex);
    free(monitor);
}

void cxt_monitor_lock(struct cxt_monitor *monitor) { pthread_mutex_lock(&monitor->mutex); }

void cxt_monitor_unlock(struct cxt_monitor *monitor) { pthread_mutex_unlock(&monitor->mutex); }

int cxt_monitor_wait(struct cxt_monitor *monitor, uint64_t deadline) {
    if (!deadline) return pthread_cond_wait(&monitor->condition, &monitor->mutex) == ETIMEDOUT;
#if defined(__linux__)
    struct timespec limit = {(time_t)(deadline / 1000000000), (long)(deadline % 1000000000)};
    return pthread_cond_timedwait(&monitor->condition, &monitor->mutex, &limit) == ETIMEDOUT;
#else
    uint64_t now = cxt_monotonic_ns(), left = deadline > now ? deadline - now : 0;
    struct timespec limit = {(time_t)(left / 1000000000), (long)(left % 1000000000)};
    return pthread_cond_timedwait_relative_np(&monitor->condition, &monitor->mutex, &limit)
        == ETIMEDOUT;
#endif
}

void cxt_monitor_wake_all(struct cxt_monitor *monitor) {
    pthread_cond_broadcast(&monitor->condition);
}

#if defined(__linux__)
static int release_program(struct dl_phdr_info *program, size_t size, void *context) {
    (void)size, (void)context;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < program->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &program->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || part->p_flags & PF_W) continue;
        uintptr_t begin = program->dlpi_addr + part->p_vaddr, end = begin + part->p_memsz;
        // Whole pages of what nobody may write: they are as they are in the file.
        begin = (begin + page - 1) / page * page, end = end / page * page;
        if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
    return 1;  // The first is the program itself; libraries are shared with others.
}
#endif

void cxt_release_code(void) {
#if defined(__linux__)
    dl_iterate_phdr(release_program, NULL);
#endif
}
