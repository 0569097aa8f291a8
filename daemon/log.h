/* SPDX-License-Identifier: MIT */
/*
 * braidd's log: whole lines on standard error, one write(2) each, from any thread.
 *
 * Where standard error is the journal (JOURNAL_STREAM names it) each line starts with its
 * priority, "<6>", and carries no time; otherwise with the local time and the level's name,
 * "2026-08-01 12:00:00.000 info ". A line is at most PIPE_BUF (4,096) bytes long; what is over
 * is cut off.
 */
#ifndef BRAIDD_LOG_H
#define BRAIDD_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <braid/context.h>

/* A level's name in configurations and lines: error, warning, notice, info or debug. */
const char *log_level_name(enum braid_severity severity);

/* Finds the level of that name; false: there is none. */
bool log_level_find(const char *name, enum braid_severity *severity);

/* Lines less severe than this are dropped; the default is BRAID_LOG_INFO. */
void log_set_level(enum braid_severity level);

/* Writes one line, given without newline; shows control characters as \xNN; keeps errno. */
void log_line(enum braid_severity severity, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A braid_log_cb for contexts. */
void log_from_library(enum braid_severity severity, const char *message, void *arg);

/*
 * Writes a line, but at most `burst` a minute from the place that owns `limit`, which starts zeroed
 * and belongs to one thread. The first line after some were left out tells their number.
 */
struct log_limit {
    uint64_t window_start; /* microseconds, monotonic */
    unsigned lines;
    unsigned dropped;
};
void log_limited(struct log_limit *limit, unsigned burst, enum braid_severity severity,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
