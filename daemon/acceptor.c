/* SPDX-License-Identifier: MIT */
#include "daemon/acceptor.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"

/* A few a wake-up, so that clients that come in a burst spread over the threads. */
#define ACCEPTS_PER_WAKEUP 4
/* How long a pause is when nobody ends it earlier. */
#define PAUSE_MICROSECONDS 100000
/* Lines a minute about pauses. */
#define PAUSE_LINES 1

struct acceptor {
    struct limits *limits;
    struct event *event;
    struct event *pause_over;
    const char *name;
    acceptor_cb cb;
    void *arg;
    struct log_limit log_limit;
    bool paused;
};

static void pause_accepting(struct acceptor *acceptor, const char *what, const char *why)
{
    static const struct timeval pause_time = {0, PAUSE_MICROSECONDS};

    log_limited(&acceptor->log_limit, PAUSE_LINES, BRAID_LOG_WARNING,
                "%s: accepting pauses: %s: %s", acceptor->name, what, why);
    acceptor->paused = true;
    event_del(acceptor->event);
    event_add(acceptor->pause_over, &pause_time);
}

void acceptor_resume(struct acceptor *acceptor)
{
    if (acceptor->paused) {
        acceptor->paused = false;
        event_del(acceptor->pause_over);
        event_add(acceptor->event, NULL);
    }
}

static void callback_pause_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    acceptor_resume(arg);
}

/* What to do about an accept() that failed. Returns whether to go on accepting. */
static bool accept_failed(struct acceptor *acceptor, int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        pause_accepting(acceptor, "descriptors or memory", strerror(error));
        return false;
    case EAGAIN:
        return false;
    default:
        /* ECONNABORTED, EPROTO and the like: that client is gone, and this call took note. */
        return true;
    }
}

static void callback_acceptable(evutil_socket_t fd, short what, void *arg)
{
    struct acceptor *acceptor = arg;

    (void)what;
    for (int i = 0; i < ACCEPTS_PER_WAKEUP; i++) {
        struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
        socklen_t length = sizeof(peer);
        int client;

        if (limits_are_short(acceptor->limits)) {
            pause_accepting(acceptor, "max-memory", "nearly reached");
            return;
        }
        if (!limits_take(acceptor->limits)) {
            pause_accepting(acceptor, acceptor->limits->name, "reached");
            return;
        }
        client = accept4(fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0) {
            acceptor->cb(client, (const struct sockaddr *)&peer, acceptor->arg);
            continue;
        }
        limits_release(acceptor->limits);
        if (!accept_failed(acceptor, errno)) {
            return;
        }
    }
}

struct acceptor *acceptor_new(struct event_base *base, struct limits *limits, int fd,
                              const char *name, acceptor_cb cb, void *arg)
{
    struct acceptor *acceptor = calloc(1, sizeof(*acceptor));

    if (acceptor == NULL) {
        return NULL;
    }
    acceptor->limits = limits;
    acceptor->name = name;
    acceptor->cb = cb;
    acceptor->arg = arg;
    acceptor->event = event_new(base, fd, EV_READ | EV_PERSIST, callback_acceptable, acceptor);
    acceptor->pause_over = evtimer_new(base, callback_pause_over, acceptor);
    if (acceptor->event == NULL || acceptor->pause_over == NULL ||
        event_add(acceptor->event, NULL) != 0) {
        acceptor_free(acceptor);
        return NULL;
    }
    return acceptor;
}

void acceptor_free(struct acceptor *acceptor)
{
    if (acceptor == NULL) {
        return;
    }
    if (acceptor->event != NULL) {
        event_free(acceptor->event);
    }
    if (acceptor->pause_over != NULL) {
        event_free(acceptor->pause_over);
    }
    free(acceptor);
}
