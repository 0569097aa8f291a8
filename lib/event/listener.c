/* SPDX-License-Identifier: MIT */
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "context.h"
#include "session_io.h"
#include "sockopt.h"

#define ACCEPTS_AT_ONCE 4
#define PAUSE (100 * BRAID_MILLISECOND)

struct braid_listener *braid_listener_find(const struct braid_context *context, uint64_t number)
{
    struct braid_listener *listener;

    LIST_FOREACH(listener, &context->listeners, link)
        if (listener->number == number)
            return listener;
    return NULL;
}

/* Out of descriptors or buffers: whoever waits in the backlog goes on waiting there. */
static void pause_accepting(struct braid_listener *listener, int number)
{
    struct timeval tv = braid_timeval(PAUSE);

    braid_log(listener->context, BRAID_LOG_WARNING, BRAID_LOG_ACCEPT,
              "cannot accept subflows for now: %s; raise the limit on open files",
              strerrordesc_np(number));
    if (event_add(&listener->pause, &tv) == 0) /* else it is tried again at once */
        event_del(&listener->event);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    struct braid_listener *listener = arg;
    struct timeval tv = braid_timeval(PAUSE);

    (void)fd;
    (void)what;
    if (event_add(&listener->event, NULL) != 0)
        (void)event_add(&listener->pause, &tv);
}

static void take(struct braid_listener *listener, int fd, const struct sockaddr *peer)
{
    struct braid_transport transport;
    union braid_endpoint endpoint;

    braid_endpoint_set(&endpoint, peer);
    braid_transport_plain(&transport, fd, listener->tcp);
    braid_pending_new(listener->context, listener->number, &transport, &endpoint);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct braid_listener *listener = arg;
    struct sockaddr_storage peer;

    (void)what;
    for (unsigned i = 0; i < listener->at_once; i++) {
        socklen_t len = sizeof peer;
        int accepted;

        peer.ss_family = AF_UNIX; /* an unnamed one comes without */
        accepted = accept4(fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted >= 0) {
            take(listener, accepted, (struct sockaddr *)&peer);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_accepting(listener, errno);
        listener->at_once = 1; /* asking for one that is not there costs half of what one does */
        return;                /* EAGAIN: another took it; ECONNABORTED and the like: it gave up */
    }
    if (listener->at_once < ACCEPTS_AT_ONCE)
        listener->at_once *= 2;
}

/* The socket's own number, the same whatever descriptor it is known by. */
static bool identify(struct braid_listener *listener)
{
    socklen_t len = sizeof(int);
    int family = 0;
    struct stat st;

    if (fstat(listener->fd, &st) != 0 ||
        getsockopt(listener->fd, SOL_SOCKET, SO_DOMAIN, &family, &len) != 0)
        return false;
    listener->number = (uint64_t)st.st_ino;
    listener->tcp = family != AF_UNIX;
    if (listener->tcp)
        braid_sockopt_subflow(listener->fd); /* what is accepted inherits it all */
    return true;
}

struct braid_listener *braid_listener_new(struct braid_context *context,
                                          const struct braid_options *options, int fd,
                                          braid_listener_cb cb, void *arg)
{
    struct braid_listener *listener;

    if (options != NULL && !braid_options_agree(options)) {
        errno = EINVAL;
        return NULL;
    }
    listener = braid_pool_alloc(context->pool, sizeof *listener);
    if (listener == NULL)
        return NULL;
    listener->context = context;
    listener->first = listener;
    braid_options_copy(&listener->options, options);
    listener->cb = cb;
    listener->arg = arg;
    listener->at_once = 1;
    listener->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (listener->fd < 0 || !identify(listener))
        goto failed;
    event_assign(&listener->event, context->base, listener->fd, EV_READ | EV_PERSIST, on_accept,
                 listener);
    evtimer_assign(&listener->pause, context->base, on_pause_over, listener);
    if (event_add(&listener->event, NULL) != 0)
        goto failed;
    braid_group_lock(context->group);
    LIST_INSERT_HEAD(&context->listeners, listener, link);
    braid_group_unlock(context->group);
    return listener;
failed:
    if (listener->fd >= 0)
        close(listener->fd);
    braid_options_clear(&listener->options);
    braid_pool_release(context->pool, listener, sizeof *listener);
    return NULL;
}

/* Listens on one address; NULL: errno says why not, and a log line what. */
static struct braid_listener *bind_one(struct braid_context *context,
                                       const struct braid_options *options,
                                       const struct braid_address *address, braid_listener_cb cb,
                                       void *arg)
{
    int fd = braid_address_listen(address, SOMAXCONN);
    struct braid_listener *listener = NULL;
    int saved;

    if (fd >= 0)
        listener = braid_listener_new(context, options, fd, cb, arg);
    saved = errno;
    if (fd >= 0)
        close(fd);
    if (listener == NULL)
        braid_log(context, BRAID_LOG_ERR, BRAID_LOG_ACCEPT, "cannot listen on %s: %s",
                  braid_address_text(address), strerrordesc_np(saved));
    errno = saved;
    return listener;
}

struct braid_listener *braid_listener_new_bind(struct braid_context *context,
                                               const struct braid_options *options,
                                               struct braid_address *const *addresses, size_t n,
                                               braid_listener_cb cb, void *arg)
{
    struct braid_listener *first = NULL;
    struct braid_listener **end = &first;

    errno = EINVAL; /* where there is none */
    for (size_t i = 0; i < n; i++) {
        *end = bind_one(context, options, addresses[i], cb, arg);
        if (*end == NULL) {
            int saved = errno;

            braid_listener_free(first);
            errno = saved;
            return NULL;
        }
        (*end)->first = first;
        end = &(*end)->next;
    }
    return first;
}

size_t braid_listener_get_addresses(const struct braid_listener *listener,
                                    struct sockaddr_storage *addresses, size_t max)
{
    size_t n = 0;

    for (; listener != NULL && n < max; listener = listener->next) {
        socklen_t len = sizeof addresses[n];

        memset(&addresses[n], 0, sizeof addresses[n]);
        if (getsockname(listener->fd, (struct sockaddr *)&addresses[n], &len) == 0)
            n++;
    }
    return n;
}

static void free_one(struct braid_listener *listener)
{
    struct braid_context *context = listener->context;

    braid_group_lock(context->group);
    LIST_REMOVE(listener, link);
    braid_group_unlock(context->group);
    braid_pendings_drop(&context->pendings, listener->number);
    event_del(&listener->event);
    event_del(&listener->pause);
    close(listener->fd);
    braid_options_clear(&listener->options);
    braid_pool_release(context->pool, listener, sizeof *listener);
}

void braid_listener_free(struct braid_listener *listener)
{
    struct braid_listener *next;

    for (; listener != NULL; listener = next) {
        next = listener->next;
        free_one(listener);
    }
}

void braid_listener_disable(struct braid_listener *listener)
{
    for (; listener != NULL; listener = listener->next)
        listener->disabled = true;
}

/* A session that came in through the listener, and whose peer is not accepted any more. */
static struct braid_session_io *find_withdrawn(const struct braid_listener *listener,
                                               const struct braid_credentials *credentials)
{
    struct braid_session_io *io;

    LIST_FOREACH(io, &listener->context->sessions, link)
        if (io->listener == listener->number && !io->closed && !io->withdrawn &&
            !braid_credentials_admit(credentials, &io->identity))
            return io;
    return NULL;
}

static void recheck_one(struct braid_listener *listener)
{
    struct braid_context *context = listener->context;
    struct braid_credentials *credentials;
    struct braid_session_io *io;

    if (listener->options.security == NULL)
        return;
    braid_pendings_drop(&context->pendings, listener->number);
    credentials = braid_security_credentials(listener->options.security);
    while ((io = find_withdrawn(listener, credentials)) != NULL) {
        uint64_t now = braid_clock();

        io->withdrawn = true;
        io->error = BRAID_ERR_SECURITY;
        braid_session_reset(io->session, BRAID_ERR_SECURITY, now);
        braid_session_io_touch(io, now);
    }
    braid_credentials_unref(credentials);
}

void braid_listener_recheck(struct braid_listener *listener)
{
    for (; listener != NULL; listener = listener->next)
        recheck_one(listener);
}
