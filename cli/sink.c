/* SPDX-License-Identifier: MIT */
#include "cli/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <event2/event.h>

#define PIPE_SIZE (1 << 20)
#define FLUSH_EVERY ((off_t)8 << 20) /* bytes; so that not all of it is left for the end */

struct sink {
    int fd;
    bool owned;
    bool waits;   /* it is shared and blocks: ask poll(2), and write no more than surely fits */
    char *target; /* the file's name; NULL: it is none */
    char *temp;   /* what it is called until it is whole */
    int dir_fd;   /* the directory of both; -1: it may not be read */
    mode_t mode;  /* that it gets then */
    off_t written;
    off_t flushed;
    struct event *event;
    sink_cb cb;
    void *arg;
    /* finishing */
    pthread_t thread;
    bool started;
    atomic_bool settled; /* whoever sets it decides: the thread to rename, or the loop not to */
    int done_fd;
    struct event *done_event;
    int error;
    sink_done_cb done_cb;
    void *done_arg;
};

/* ---- opening ---- */

static mode_t default_mode(void)
{
    mode_t mask = umask(0);

    umask(mask);
    return 0666 & ~mask;
}

/*
 * A file beside the target, and the directory, so that nothing can fail for want of a descriptor
 * once the file has its name. Returns 0 or an errno.
 */
static int open_beside(struct sink *sink)
{
    char *copy = strdup(sink->target);
    const char *dir = copy != NULL ? dirname(copy) : NULL;
    char *temp = NULL;
    int error = 0;

    if (dir == NULL || asprintf(&temp, "%s/.braid.XXXXXX", dir) < 0) {
        free(copy);
        return ENOMEM;
    }
    sink->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (sink->dir_fd < 0 && errno != EACCES) { /* one may write to what one may not read */
        error = errno;
    } else {
        sink->fd = mkostemp(temp, O_CLOEXEC);
        error = sink->fd < 0 ? errno : 0;
    }
    free(copy);
    if (error != 0) {
        free(temp);
        return error;
    }
    sink->temp = temp;
    return 0;
}

/* A file: st is of what has the name already, NULL: nothing has. Returns 0 or an errno. */
static int open_file(struct sink *sink, const char *name, const struct stat *st)
{
    if (st != NULL && access(name, W_OK) != 0) {
        return errno;
    }
    /* What a symbolic link leads to is replaced, not the link. */
    sink->target = st != NULL ? realpath(name, NULL) : strdup(name);
    if (sink->target == NULL) {
        return errno;
    }
    sink->mode = st != NULL ? st->st_mode & 07777 : default_mode();
    return open_beside(sink);
}

/*
 * A descriptor that others share must not become non-blocking for them: pipes and terminals are
 * opened once more, which makes one of our own.
 */
static void own_description(struct sink *sink, const struct stat *st)
{
    char path[64];
    int fd;

    if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode)) {
        return;
    }
    if (S_ISFIFO(st->st_mode)) {
        (void)fcntl(sink->fd, F_SETPIPE_SZ, PIPE_SIZE);
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", sink->fd);
    fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        sink->waits = true; /* a socket, or one of somebody else's */
        return;
    }
    if (sink->owned) {
        close(sink->fd);
    }
    sink->fd = fd;
    sink->owned = true;
}

/* Returns 0 or an errno. */
static int open_sink(struct sink *sink, const char *name)
{
    struct stat st;

    sink->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); /* by now, while it can still fail */
    if (sink->done_fd < 0) {
        return errno;
    }
    if (strcmp(name, "-") == 0) {
        sink->fd = STDOUT_FILENO;
        sink->owned = false;
        if ((fcntl(sink->fd, F_GETFL) & O_ACCMODE) == O_RDONLY) {
            return EBADF; /* it is closed */
        }
        if (fstat(sink->fd, &st) != 0) {
            return errno;
        }
        own_description(sink, &st);
        return 0;
    }
    if (stat(name, &st) != 0) {
        return errno == ENOENT ? open_file(sink, name, NULL) : errno;
    }
    if (S_ISREG(st.st_mode)) {
        return open_file(sink, name, &st);
    }
    sink->fd = open(name, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (sink->fd < 0) {
        return errno;
    }
    own_description(sink, &st);
    return 0;
}

struct sink *sink_open(const char *name, char *why, size_t size)
{
    struct sink *sink = calloc(1, sizeof(*sink));
    int error = ENOMEM;

    if (sink != NULL) {
        sink->fd = -1;
        sink->dir_fd = -1;
        sink->done_fd = -1;
        sink->owned = true;
        error = open_sink(sink, name);
        if (error == 0) {
            return sink;
        }
        sink_free(sink);
    }
    snprintf(why, size, "%s: %s", name, strerror(error));
    return NULL;
}

void sink_free(struct sink *sink)
{
    if (sink == NULL) {
        return;
    }
    if (sink->started) {
        atomic_exchange(&sink->settled, true);
        pthread_join(sink->thread, NULL);
    }
    if (sink->event != NULL) {
        event_free(sink->event);
    }
    if (sink->done_event != NULL) {
        event_free(sink->done_event);
    }
    if (sink->done_fd >= 0) {
        close(sink->done_fd);
    }
    if (sink->temp != NULL) {
        unlink(sink->temp);
    }
    if (sink->owned && sink->fd >= 0) {
        close(sink->fd);
    }
    if (sink->dir_fd >= 0) {
        close(sink->dir_fd);
    }
    free(sink->temp);
    free(sink->target);
    free(sink);
}

/* ---- writing ---- */

/* What a pipe or socket that poll(2) calls writable takes without waiting. */
static ssize_t write_little(struct sink *sink, const struct iovec *v)
{
    struct pollfd poller = {.fd = sink->fd, .events = POLLOUT};

    if (poll(&poller, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(sink->fd, v->iov_base, v->iov_len < PIPE_BUF ? v->iov_len : PIPE_BUF);
}

/* Has the kernel begin to write what is new, without waiting for it. */
static void flush_early(struct sink *sink)
{
    if (sink->target == NULL || sink->written - sink->flushed < FLUSH_EVERY) {
        return;
    }
    (void)sync_file_range(sink->fd, sink->flushed, sink->written - sink->flushed,
                          SYNC_FILE_RANGE_WRITE);
    sink->flushed = sink->written;
}

ssize_t sink_writev(struct sink *sink, const struct iovec *v, int count)
{
    ssize_t n;

    do {
        n = sink->waits ? write_little(sink, v) : writev(sink->fd, v, count);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        sink->written += n;
        flush_early(sink);
    }
    return n;
}

static void callback_writable(evutil_socket_t fd, short what, void *arg)
{
    struct sink *sink = arg;

    (void)fd;
    (void)what;
    sink->cb(sink->arg);
}

int sink_wait(struct sink *sink, struct event_base *base, sink_cb cb, void *arg)
{
    sink->cb = cb;
    sink->arg = arg;
    if (sink->event == NULL) {
        sink->event = event_new(base, sink->fd, EV_WRITE, callback_writable, sink);
    }
    return sink->event != NULL ? event_add(sink->event, NULL) : -1;
}

/* ---- finishing ---- */

static int finish(struct sink *sink)
{
    if (sink->target == NULL) {
        return 0;
    }
    if (fchmod(sink->fd, sink->mode) != 0 || fsync(sink->fd) != 0) {
        return errno;
    }
    if (atomic_exchange(&sink->settled, true)) {
        return ECANCELED;
    }
    if (rename(sink->temp, sink->target) != 0) {
        return errno;
    }
    free(sink->temp);
    sink->temp = NULL;
    /* The name is in the directory, and that has to reach the disk too. */
    return sink->dir_fd >= 0 && fsync(sink->dir_fd) != 0 && errno != EINVAL ? errno : 0;
}

static void *run(void *arg)
{
    static const uint64_t one = 1;
    struct sink *sink = arg;

    sink->error = finish(sink);
    (void)!write(sink->done_fd, &one, sizeof(one));
    return NULL;
}

static void callback_done(evutil_socket_t fd, short what, void *arg)
{
    struct sink *sink = arg;

    (void)fd;
    (void)what;
    pthread_join(sink->thread, NULL);
    sink->started = false;
    sink->done_cb(sink->error, sink->done_arg);
}

/* Signals are for the loop's thread. */
static int start(struct sink *sink)
{
    sigset_t all;
    sigset_t before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&sink->thread, NULL, run, sink);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    sink->started = error == 0;
    return error;
}

int sink_finish(struct sink *sink, struct event_base *base, sink_done_cb cb, void *arg)
{
    sink->done_cb = cb;
    sink->done_arg = arg;
    sink->done_event = event_new(base, sink->done_fd, EV_READ, callback_done, sink);
    if (sink->done_event == NULL || event_add(sink->done_event, NULL) != 0) {
        return ENOMEM;
    }
    return start(sink);
}
