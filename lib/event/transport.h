/* SPDX-License-Identifier: MIT */
/*
 * A transport: the connected socket under a subflow, behind a table of operations: plain, or TLS.
 * The descriptor is non-blocking; results are those of the system calls.
 *
 * A transport is a value: who it is copied to owns it. It belongs to the context whose scratch it
 * was given, until it is moved to another.
 */
#ifndef BRAID_EVENT_TRANSPORT_H
#define BRAID_EVENT_TRANSPORT_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

struct braid_tls;
struct braid_transport;

struct braid_transport_ops {
    /* Goes on with what comes before the first byte: 0 when it is over, or -1 as read. */
    int (*handshake)(struct braid_transport *transport);
    /* Bytes read, 0 at the end, or -1 with errno (EAGAIN: nothing now). */
    ssize_t (*read)(struct braid_transport *transport, const struct iovec *v, int count);
    /* Bytes written, or -1 with errno (EAGAIN: no room now). */
    ssize_t (*write)(struct braid_transport *transport, const struct iovec *v, int count);
    /* Hands on what was written and the socket had no room for, or tells what went wrong when that
     * was written: 0, or -1 as write. */
    int (*flush)(struct braid_transport *transport);
    /* Says that nothing more will be written; what arrives from here on is of no interest. */
    void (*shutdown)(struct braid_transport *transport);
    void (*close)(struct braid_transport *transport);
};

struct braid_transport {
    const struct braid_transport_ops *ops;
    struct braid_tls *tls; /* NULL: plain */
    int fd;
    bool tcp;     /* TCP's options and counters can be had */
    bool more;    /* the next read gives what was read ahead, of which the socket knows nothing */
    bool backlog; /* flush has something to do once the socket has room */
    const char *why; /* static; what EPROTO means */
};

/* Takes over a connected descriptor, as it is. */
void braid_transport_plain(struct braid_transport *transport, int fd, bool tcp);

/* What an errno of its operations means, in words. */
const char *braid_transport_why(const struct braid_transport *transport, int number);

#endif
