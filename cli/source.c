/* SPDX-License-Identifier: MIT */
#include "cli/source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <event2/event.h>

#include "cli/file_wire.h"

#define PIPE_SIZE (1 << 20) /* a system call moves what a pipe holds at the most */

struct source {
    int fd;
    bool owned;
    bool waits; /* a read may have to wait: ask poll(2) first */
    uint64_t length;
    struct event *event;
    source_cb cb;
    void *arg;
};

static void look_at(struct source *source, const struct stat *st)
{
    off_t position;

    source->length = FILE_WIRE_UNKNOWN;
    if (S_ISREG(st->st_mode)) {
        position = lseek(source->fd, 0, SEEK_CUR);
        if (position >= 0 && position <= st->st_size) {
            source->length = (uint64_t)(st->st_size - position);
        }
        (void)posix_fadvise(source->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        return;
    }
    source->waits = !S_ISBLK(st->st_mode);
    if (S_ISFIFO(st->st_mode)) {
        (void)fcntl(source->fd, F_SETPIPE_SZ, PIPE_SIZE); /* as far as we may */
    }
}

struct source *source_open(const char *name, char *why, size_t size)
{
    struct source *source = calloc(1, sizeof(*source));
    struct stat st;

    if (source == NULL) {
        snprintf(why, size, "out of memory");
        return NULL;
    }
    source->owned = strcmp(name, "-") != 0;
    source->fd = source->owned ? open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY) : STDIN_FILENO;
    if (source->fd < 0 || fstat(source->fd, &st) != 0) {
        snprintf(why, size, "%s: %s", name, strerror(errno));
        source_free(source);
        return NULL;
    }
    if (S_ISDIR(st.st_mode)) {
        snprintf(why, size, "%s: %s", name, strerror(EISDIR));
        source_free(source);
        return NULL;
    }
    look_at(source, &st);
    return source;
}

void source_free(struct source *source)
{
    if (source == NULL) {
        return;
    }
    if (source->event != NULL) {
        event_free(source->event);
    }
    if (source->owned && source->fd >= 0) {
        close(source->fd);
    }
    free(source);
}

uint64_t source_length(const struct source *source)
{
    return source->length;
}

/* A descriptor may be shared with other programs, so it is not made non-blocking. */
static bool would_wait(const struct source *source)
{
    struct pollfd poller = {.fd = source->fd, .events = POLLIN};

    return source->waits && poll(&poller, 1, 0) == 0;
}

ssize_t source_readv(struct source *source, const struct iovec *v, int count)
{
    ssize_t n;

    do {
        if (would_wait(source)) {
            errno = EAGAIN;
            return -1;
        }
        n = readv(source->fd, v, count);
    } while (n < 0 && errno == EINTR);
    return n;
}

static void callback_readable(evutil_socket_t fd, short what, void *arg)
{
    struct source *source = arg;

    (void)fd;
    (void)what;
    source->cb(source->arg);
}

int source_wait(struct source *source, struct event_base *base, source_cb cb, void *arg)
{
    source->cb = cb;
    source->arg = arg;
    if (source->event == NULL) {
        source->event = event_new(base, source->fd, EV_READ, callback_readable, source);
    }
    return source->event != NULL ? event_add(source->event, NULL) : -1;
}
