/* SPDX-License-Identifier: MIT */
#include "dial.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "context.h"
#include "path.h"
#include "sockopt.h"

/* Before trying again when the machine has no descriptor or buffer, or a unix backlog is full. */
#define RETRY_TIME (50 * BRAID_MILLISECOND)

static int error_of(int number)
{
    switch (number) {
    case 0:
        return BRAID_OK;
    case ECONNREFUSED:
    case ECONNRESET:
        return BRAID_ERR_REFUSED;
    case ETIMEDOUT:
        return BRAID_ERR_TIMED_OUT;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EAGAIN:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return BRAID_ERR_SYSTEM;
    default:
        return BRAID_ERR_UNREACHABLE;
    }
}

static bool passes(int number)
{
    return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM ||
           number == EAGAIN;
}

static void drop_fd(struct braid_dial *dial)
{
    if (dial->fd < 0)
        return;
    event_del(&dial->event);
    close(dial->fd);
    dial->fd = -1;
}

static void dial_free(struct braid_dial *dial)
{
    braid_resolve_cancel(&dial->waiter);
    event_del(&dial->event);
    LIST_REMOVE(dial, link);
    braid_pool_release(dial->context->pool, dial, sizeof *dial);
}

/* The end, told from the loop. */
static void on_finished(evutil_socket_t fd, short what, void *arg)
{
    struct braid_dial *dial = arg;
    braid_dial_cb cb = dial->cb;
    void *cb_arg = dial->arg;
    int connected = dial->fd, number = dial->number;
    int error = dial->error;

    (void)fd;
    (void)what;
    dial_free(dial);
    errno = number;
    cb(connected, error, cb_arg);
}

/* The address to be tried now, and its length. */
static const struct sockaddr *target(struct braid_dial *dial, socklen_t *len)
{
    if (dial->address->kind != BRAID_ADDRESS_NAME) {
        *len = dial->address->sa_len;
        return (const struct sockaddr *)&dial->address->sa;
    }
    *len = braid_endpoint_len(&dial->answer.at[dial->next]);
    return &dial->answer.at[dial->next].sa;
}

static void finish(struct braid_dial *dial, int error)
{
    const struct timeval at_once = {0};
    socklen_t len;

    if (error != BRAID_OK)
        drop_fd(dial);
    else
        event_del(&dial->event);
    if (error == BRAID_OK && dial->reached != NULL)
        braid_endpoint_set(dial->reached, target(dial, &len));
    dial->error = error;
    event_assign(&dial->event, dial->context->base, -1, 0, on_finished, dial);
    if (!dial->patient || event_add(&dial->event, &at_once) != 0)
        event_active(&dial->event, EV_TIMEOUT, 0);
}

static void try_next(struct braid_dial *dial);

static void on_connect(evutil_socket_t fd, short what, void *arg)
{
    struct braid_dial *dial = arg;
    socklen_t len = sizeof dial->number;

    dial->patient = false; /* it has waited */
    dial->number = ETIMEDOUT;
    if ((what & EV_WRITE) != 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &dial->number, &len) == 0 &&
        dial->number == 0) {
        finish(dial, BRAID_OK);
        return;
    }
    drop_fd(dial);
    dial->next++;
    try_next(dial);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    try_next(arg);
}

/* Each address gets an equal share of what time is left. */
static void wait_connected(struct braid_dial *dial, uint64_t left)
{
    struct timeval tv = braid_timeval(left / (dial->targets - dial->next) + 1);

    event_assign(&dial->event, dial->context->base, dial->fd, EV_WRITE, on_connect, dial);
    if (event_add(&dial->event, &tv) != 0) {
        dial->number = ENOMEM;
        finish(dial, BRAID_ERR_SYSTEM);
    }
}

/* Starts to connect; 0 when connected, or an errno. */
static int start(struct braid_dial *dial)
{
    socklen_t len;
    const struct sockaddr *sa = target(dial, &len);
    int number;

    dial->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->fd < 0)
        return errno;
    if (sa->sa_family != AF_UNIX)
        braid_sockopt_nodelay(dial->fd);
    if (dial->path != NULL) {
        number = braid_path_prepare(dial->path, dial->context, dial->fd, sa, dial->subflows);
        if (number != 0)
            return number;
    }
    if (connect(dial->fd, sa, len) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    /* On this machine the handshake is over by now: one call instead of a turn of the loop. */
    if (connect(dial->fd, sa, len) == 0 || errno == EISCONN)
        return 0;
    return errno == EALREADY ? EINPROGRESS : errno;
}

static void try_next(struct braid_dial *dial)
{
    uint64_t now = braid_clock();
    struct timeval tv = braid_timeval(RETRY_TIME);

    while (dial->next < dial->targets) {
        if (now >= dial->deadline) {
            finish(dial, passes(dial->number) ? BRAID_ERR_SYSTEM : BRAID_ERR_TIMED_OUT);
            return;
        }
        dial->number = start(dial);
        if (dial->number == 0) {
            finish(dial, BRAID_OK);
            return;
        }
        if (dial->number == EINPROGRESS) {
            wait_connected(dial, dial->deadline - now);
            return;
        }
        drop_fd(dial);
        if (passes(dial->number)) {
            event_assign(&dial->event, dial->context->base, -1, 0, on_retry, dial);
            if (event_add(&dial->event, &tv) != 0)
                finish(dial, BRAID_ERR_SYSTEM);
            return;
        }
        dial->next++;
    }
    finish(dial, error_of(dial->number));
}

static void on_resolved(const struct braid_answer *answer, void *arg)
{
    struct braid_dial *dial = arg;
    uint16_t port = htons(dial->address->port);

    event_del(&dial->event);
    if (answer == NULL) {
        finish(dial, BRAID_ERR_NAME);
        return;
    }
    dial->answer = *answer;
    dial->targets = answer->count;
    for (unsigned i = 0; i < answer->count; i++) {
        if (answer->at[i].family == AF_INET)
            dial->answer.at[i].in.sin_port = port;
        else
            dial->answer.at[i].in6.sin6_port = port;
    }
    try_next(dial);
}

static void on_not_resolved(evutil_socket_t fd, short what, void *arg)
{
    struct braid_dial *dial = arg;

    (void)fd;
    (void)what;
    braid_resolve_cancel(&dial->waiter);
    finish(dial, BRAID_ERR_NAME);
}

static void resolve(struct braid_dial *dial, unsigned milliseconds)
{
    struct timeval tv = braid_timeval(milliseconds * BRAID_MILLISECOND);

    event_assign(&dial->event, dial->context->base, -1, 0, on_not_resolved, dial);
    if (event_add(&dial->event, &tv) != 0) {
        dial->number = ENOMEM;
        finish(dial, BRAID_ERR_SYSTEM);
        return;
    }
    braid_resolve(dial->context, dial->address->host, &dial->waiter, on_resolved, dial);
}

static struct braid_dial *dial_new(struct braid_context *context,
                                   const struct braid_address *address, unsigned milliseconds,
                                   braid_dial_cb cb, void *arg)
{
    struct braid_dial *dial = braid_pool_alloc(context->pool, sizeof *dial);

    if (dial == NULL)
        return NULL;
    dial->context = context;
    dial->address = address;
    dial->deadline = braid_clock() + milliseconds * BRAID_MILLISECOND;
    dial->cb = cb;
    dial->arg = arg;
    dial->fd = -1;
    dial->targets = 1;
    event_assign(&dial->event, context->base, -1, 0, on_finished, dial);
    LIST_INSERT_HEAD(&context->dials, dial, link);
    return dial;
}

static struct braid_dial *dial_begin(struct braid_dial *dial, unsigned milliseconds)
{
    if (dial == NULL)
        return NULL;
    if (dial->address->kind == BRAID_ADDRESS_NAME)
        resolve(dial, milliseconds);
    else
        try_next(dial);
    return dial;
}

struct braid_dial *braid_dial_new(struct braid_context *context,
                                  const struct braid_address *address, unsigned milliseconds,
                                  braid_dial_cb cb, void *arg)
{
    return dial_begin(dial_new(context, address, milliseconds, cb, arg), milliseconds);
}

struct braid_dial *braid_dial_subflow(struct braid_context *context, struct braid_path *path,
                                      unsigned subflows, const struct braid_address *address,
                                      unsigned milliseconds, union braid_endpoint *reached,
                                      braid_dial_cb cb, void *arg)
{
    struct braid_dial *dial = dial_new(context, address, milliseconds, cb, arg);

    if (dial != NULL) {
        dial->patient = true;
        dial->reached = reached;
        dial->path = path;
        dial->subflows = subflows;
    }
    return dial_begin(dial, milliseconds);
}

void braid_dial_cancel(struct braid_dial *dial)
{
    if (dial == NULL)
        return;
    drop_fd(dial);
    dial_free(dial);
}
