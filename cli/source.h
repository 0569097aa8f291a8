/* SPDX-License-Identifier: MIT */
/* What is pushed: a file, or a pipe, a terminal or the like as it comes. */
#ifndef BRAID_CLI_SOURCE_H
#define BRAID_CLI_SOURCE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct event_base;
struct source;

typedef void (*source_cb)(void *arg);

/* Opens a file for reading; "-" is standard input. NULL: why has a line. */
struct source *source_open(const char *name, char *why, size_t size);

/* NULL is allowed. */
void source_free(struct source *source);

/* Bytes that are to come, as far as the file says; FILE_WIRE_UNKNOWN: it does not. */
uint64_t source_length(const struct source *source);

/* As readv(2), but it never waits: -1 with EAGAIN instead. 0: that was all. */
ssize_t source_readv(struct source *source, const struct iovec *v, int count);

/* After EAGAIN: calls cb once there is something to read. Returns 0, or -1: out of memory. */
int source_wait(struct source *source, struct event_base *base, source_cb cb, void *arg);

#endif
