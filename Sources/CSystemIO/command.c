#define _GNU_SOURCE
#include "CSystemIOCommand.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

static void fill(sigset_t *set, uint64_t bits) {
    sigemptyset(set);
    for (int signal = 1; signal < 64; signal++)
        if (bits >> signal & 1) sigaddset(set, signal);
}

int cxt_spawn_here(
    const char *path, int search, char *const *arguments, char *const *environment, uint64_t mask) {
    posix_spawnattr_t attributes;
    int error = posix_spawnattr_init(&attributes);
    if (error != 0) return -error;
    sigset_t blocked;
    fill(&blocked, mask);
    error = posix_spawnattr_setsigmask(&attributes, &blocked);
    if (error == 0) error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    pid_t child = 0;
    if (error == 0)
        error = search ? posix_spawnp(&child, path, NULL, &attributes, arguments, environment)
                       : posix_spawn(&child, path, NULL, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    return error == 0 ? child : -error;
}

static int add_actions(posix_spawn_file_actions_t *actions, int keep) {
    int error = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (error == 0) error = posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_WRONLY, 0);
    if (error == 0) error = posix_spawn_file_actions_addopen(actions, 2, "/dev/null", O_WRONLY, 0);
    if (error == 0) error = posix_spawn_file_actions_addchdir_np(actions, "/");
    if (error == 0 && keep >= 0) error = posix_spawn_file_actions_adddup2(actions, keep, 3);
#if defined(__GLIBC__)
    // Whoever reads a pipe that we inherited must see its end when we are gone.
    if (error == 0) error = posix_spawn_file_actions_addclosefrom_np(actions, keep >= 0 ? 4 : 3);
#endif
    return error;
}

static int set_attributes(posix_spawnattr_t *attributes) {
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    short flags = POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
#if defined(__APPLE__)
    flags |= POSIX_SPAWN_CLOEXEC_DEFAULT;
#endif
    int error = posix_spawnattr_setsigdefault(attributes, &all);
    if (error == 0) error = posix_spawnattr_setsigmask(attributes, &none);
    if (error == 0) error = posix_spawnattr_setflags(attributes, flags);
    return error;
}

int cxt_spawn_detached(
    const char *path, char *const *arguments, char *const *environment, int keep) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) return -error;
    pid_t child = 0;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        error = add_actions(&actions, keep);
        if (error == 0) error = set_attributes(&attributes);
        if (error == 0)
            error = posix_spawn(&child, path, &actions, &attributes, arguments, environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error == 0 ? child : -error;
}

int cxt_replace_self(const char *name, char *const *arguments) {
    execvp(name, arguments);
    return -errno;
}

int cxt_signals_wait_source(uint64_t set, int *from_kernel) {
    sigset_t awaited;
    fill(&awaited, set);
    *from_kernel = 0;
#if defined(__linux__)
    for (;;) {
        siginfo_t information;
        int signal = sigwaitinfo(&awaited, &information);
        if (signal > 0) {
            *from_kernel = information.si_code > 0;
            return signal;
        }
        // EINTR: we were stopped and continued meanwhile.
        if (errno != EINTR) return -errno;
    }
#else
    int signal = 0;
    int error = sigwait(&awaited, &signal);
    return error == 0 ? signal : -error;
#endif
}

int cxt_signal_is_default(int signal) {
    struct sigaction action;
    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_DFL;
}
