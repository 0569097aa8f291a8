/* SPDX-License-Identifier: MIT */
/*
 * How far a file has come: a line on a terminal that is written over and over, nothing elsewhere.
 */
#ifndef BRAID_CLI_PROGRESS_H
#define BRAID_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct progress;

/* The state that a line shows. */
struct progress_state {
    uint64_t done;  /* bytes */
    uint64_t total; /* UINT64_MAX: not known */
    uint64_t rate;  /* bytes a second, lately; 0: none */
};

/* Writes the line for a terminal of so many columns, without its end. */
void progress_line(const struct progress_state *state, unsigned columns, char *line, size_t size);

/*
 * Shows a line on standard error, five times a second, until progress_free(). Returns NULL where
 * that is no terminal, or there is no memory.
 *
 * done, total: looked at each time.
 */
struct progress *progress_new(struct event_base *base, const uint64_t *done, const uint64_t *total);

/* Has other words written in its place; it comes again. NULL is allowed. */
void progress_hide(const struct progress *progress);

/* Takes the line away. NULL is allowed. */
void progress_free(struct progress *progress);

#endif
