/* SPDX-License-Identifier: MIT */
/*
 * TLS over a connected socket, non-blocking both ways.
 *
 * Records are written as they are made, and TCP is told which belong together. What the socket has
 * no room for is held, a record or so, and counts as written: it is in order and cannot be taken
 * back. An end without a close_notify is an error, never an end: a third party can bring it about.
 */
#ifndef BRAID_EVENT_TRANSPORT_TLS_H
#define BRAID_EVENT_TRANSPORT_TLS_H

#include <stdint.h>

#include "credentials.h"
#include "gate.h"
#include "transport.h"

#define BRAID_TLS_RECORD 16384u /* the most payload of one */

/* What OpenSSL 3.0 holds for a connection that is idle: 14,000 bytes, and some of the heap's. */
#define BRAID_TLS_BYTES ((size_t)16 << 10)

/* Where a context's connections put together what comes in small pieces, one at a time. */
struct braid_tls_scratch {
    size_t fill; /* of out */
    uint8_t record[BRAID_TLS_RECORD];
    uint8_t out[8192]; /* a handshake's messages, small records */
};

struct braid_tls {
    SSL *ssl; /* NULL: shut down */
    int fd;
    struct braid_credentials *credentials; /* until the handshake is over */
    struct braid_tls_scratch *scratch;
    struct braid_peer peer;
    struct braid_gate gate; /* what is read passes it, until the handshake is over */
    uint8_t *held;          /* what the socket had no room for */
    size_t held_at;
    size_t held_len;
    unsigned records;     /* written with this key */
    unsigned records_max; /* then it is changed */
    int error;            /* errno of the first failure of all; 0: none */
    bool more;            /* another record follows in the same write */
    bool accepting;
    bool established;
    bool ended;  /* the peer has said close_notify */
    bool eof;    /* the socket is at its end */
    bool dry;    /* the socket has given all it had */
    bool ending; /* shut the socket down once nothing is held */
};

/*
 * Puts TLS on a plain transport: an accepting one that is behind the preamble; or one that
 * connects, whose preamble is written in clear, with the handshake's first flight right behind it
 * (errno is that of the handshake then). false: out of memory; the transport is as it was.
 */
bool braid_transport_tls_accept(struct braid_transport *transport,
                                struct braid_tls_scratch *scratch,
                                struct braid_credentials *credentials);
bool braid_transport_tls_connect(struct braid_transport *transport,
                                 struct braid_tls_scratch *scratch,
                                 struct braid_credentials *credentials, const uint8_t *preamble,
                                 size_t len);

/* Gives it another context's scratch; nothing to do for a plain one. */
void braid_transport_move(struct braid_transport *transport, struct braid_tls_scratch *scratch);

/* Who the peer has proven to be; all zero on a plain one. */
const struct braid_identity *braid_transport_identity(const struct braid_transport *transport);

#endif
