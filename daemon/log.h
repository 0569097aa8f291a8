/* SPDX-License-Identifier: MIT */
/*
 * braidd's log: whole lines on standard error, one write(2) each, from any thread.
 *
 * Under systemd (JOURNAL_STREAM is set) each line starts with its priority, "<6>", and carries no
 * time; otherwise with the local time and the level's name.
 */
#ifndef BRAIDD_LOG_H
#define BRAIDD_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <braid/context.h>

/* Lines less severe than this are dropped; the default is BRAID_LOG_INFO. */
void log_set_level(enum braid_severity level);

/* Writes one line, without newline at its end; control characters are shown as \xNN. */
void log_line(enum braid_severity severity, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A braid_log_cb for contexts. */
void log_from_library(enum braid_severity severity, const char *message, void *arg);

/*
 * Allows at most `burst` lines a minute from the place that owns `limit`, which starts zeroed.
 * The first line after some were dropped tells their number through *dropped.
 */
struct log_limit {
    uint64_t window_start; /* microseconds, monotonic */
    unsigned lines;
    unsigned dropped;
};
bool log_allowed(struct log_limit *limit, unsigned burst, unsigned *dropped);

#endif
