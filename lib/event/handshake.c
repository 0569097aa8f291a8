/* SPDX-License-Identifier: MIT */
#include "handshake.h"

#include <errno.h>
#include <string.h>

#include "core/wire.h"

#include "clock.h"
#include "context.h"
#include "random.h"

static void handshake_free(struct braid_handshake *handshake)
{
    event_del(&handshake->event);
    braid_pool_release(handshake->context->pool, handshake, sizeof *handshake);
}

static void finish(struct braid_handshake *handshake, const char *why)
{
    braid_handshake_cb cb = handshake->cb;
    void *arg = handshake->arg;
    struct braid_transport transport = handshake->transport;

    handshake_free(handshake);
    if (why != NULL)
        transport.ops->close(&transport);
    cb(why == NULL ? &transport : NULL, why, arg);
}

static void on_event(evutil_socket_t fd, short what, void *arg);

/* Waits for the socket, for the time that is left. */
static bool watch(struct braid_handshake *handshake)
{
    uint64_t now = braid_clock();
    struct timeval tv = braid_timeval(handshake->ends > now ? handshake->ends - now : 0);
    short what = handshake->transport.backlog ? EV_READ | EV_WRITE : EV_READ;

    event_assign(&handshake->event, handshake->context->base, handshake->transport.fd, what,
                 on_event, handshake);
    return event_add(&handshake->event, &tv) == 0;
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct braid_handshake *handshake = arg;
    struct braid_transport *transport = &handshake->transport;
    int number;

    (void)fd;
    if (what == EV_TIMEOUT) {
        finish(handshake, "the TLS handshake takes too long");
        return;
    }
    if (transport->backlog)
        (void)transport->ops->flush(transport); /* what is wrong shows with the handshake */
    if (transport->ops->handshake(transport) == 0) {
        finish(handshake, NULL);
        return;
    }
    number = errno;
    if (number != EAGAIN)
        finish(handshake, braid_transport_why(transport, number));
    else if (!watch(handshake))
        finish(handshake, "out of memory");
}

/* The first 16 bytes, in clear. */
static void write_preamble(uint8_t bytes[BRAID_PREAMBLE_SIZE], uint64_t session)
{
    struct braid_writer w = {bytes, BRAID_PREAMBLE_SIZE, false};
    struct braid_preamble preamble = {
        .session = session, .version = BRAID_VERSION, .security = BRAID_SECURITY_TLS};

    (void)braid_random(&preamble.random, sizeof preamble.random); /* it matters to nobody */
    braid_wire_write_preamble(&w, &preamble);
}

struct braid_handshake *braid_handshake_new(struct braid_context *context,
                                            struct braid_transport *transport,
                                            struct braid_credentials *credentials, uint64_t session,
                                            uint64_t time, braid_handshake_cb cb, void *arg)
{
    struct braid_handshake *handshake = braid_pool_alloc(context->pool, sizeof *handshake);
    uint8_t preamble[BRAID_PREAMBLE_SIZE];

    if (handshake == NULL) {
        transport->ops->close(transport);
        return NULL;
    }
    *handshake = (struct braid_handshake){
        .context = context,
        .transport = *transport,
        .ends = braid_clock() + time,
        .cb = cb,
        .arg = arg,
    };
    write_preamble(preamble, session);
    event_assign(&handshake->event, context->base, transport->fd, EV_READ, on_event, handshake);
    if (!braid_transport_tls_connect(&handshake->transport, &context->scratch, credentials,
                                     preamble, sizeof preamble))
        goto failed;
    if (errno != EAGAIN)
        event_active(&handshake->event, EV_READ, 0); /* the loop says what is wrong */
    else if (!watch(handshake))
        goto failed;
    return handshake;
failed:
    braid_handshake_cancel(handshake);
    return NULL;
}

void braid_handshake_cancel(struct braid_handshake *handshake)
{
    struct braid_transport transport;

    if (handshake == NULL)
        return;
    transport = handshake->transport;
    handshake_free(handshake);
    transport.ops->close(&transport);
}
