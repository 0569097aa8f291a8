/* SPDX-License-Identifier: MIT */
/*
 * Where what is pulled goes. A file is written under another name in the same directory and gets
 * its own only when all of it is there and on the disk; until then a file that had the name keeps
 * it. A pipe, a device and the like take the bytes as they come.
 */
#ifndef BRAID_CLI_SINK_H
#define BRAID_CLI_SINK_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct event_base;
struct sink;

typedef void (*sink_cb)(void *arg);

/* error: 0, or an errno. */
typedef void (*sink_done_cb)(int error, void *arg);

/* Opens it; "-" is standard output. NULL: why has a line. */
struct sink *sink_open(const char *name, char *why, size_t size);

/* Closes it; a file that was not finished is removed. NULL is allowed. */
void sink_free(struct sink *sink);

/* As writev(2), but it never waits where others are slow to read: -1 with EAGAIN instead. */
ssize_t sink_writev(struct sink *sink, const struct iovec *v, int count);

/* After EAGAIN: calls cb once there is room. Returns 0, or -1: out of memory. */
int sink_wait(struct sink *sink, struct event_base *base, sink_cb cb, void *arg);

/*
 * All was written: puts it on the disk and under its name, in a thread of its own, since that may
 * take long. cb is called from the loop. Returns 0, or an errno.
 */
int sink_finish(struct sink *sink, struct event_base *base, sink_done_cb cb, void *arg);

#endif
