// What it takes to run a command in our place, and a program that outlives us.
// Every function returns a pid, a signal or 0, or -errno.
#ifndef CSYSTEMIO_COMMAND_H
#define CSYSTEMIO_COMMAND_H

#include <stdint.h>

// Starts a program in our group and terminal with the signal dispositions that we have; mask: bit n is
// signal n, blocked in the child.
int cxt_spawn_here(
    const char *path, int search, char *const *arguments, char *const *environment, uint64_t mask);
// Starts a program in a session of its own: `/` as working directory, streams on /dev/null, default
// signals, no other descriptor but `keep` (as 3; -1: none).
int cxt_spawn_detached(
    const char *path, char *const *arguments, char *const *environment, int keep);
// Replaces this process; returns only on failure.
int cxt_replace_self(const char *name, char *const *arguments);

// Waits for one of a blocked set; from_kernel: 1 if the kernel made it (a key on the terminal, a hang-up).
int cxt_signals_wait_source(uint64_t set, int *from_kernel);
// 1 if the signal has its default action, 0 if it is ignored or handled.
int cxt_signal_is_default(int signal);

#endif
