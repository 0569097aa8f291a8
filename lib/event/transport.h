/* SPDX-License-Identifier: MIT */
/*
 * A transport: the connected socket under a subflow, behind a table of operations, so that TLS is
 * another table. The descriptor is non-blocking; results are those of the system calls.
 *
 * A transport is a value: who it is copied to owns it.
 */
#ifndef BRAID_EVENT_TRANSPORT_H
#define BRAID_EVENT_TRANSPORT_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

struct braid_transport;

struct braid_transport_ops {
    /* Bytes read, 0 at the end, or -1 with errno (EAGAIN: nothing now). */
    ssize_t (*read)(struct braid_transport *transport, const struct iovec *v, int count);
    /* Bytes written, or -1 with errno (EAGAIN: no room now). */
    ssize_t (*write)(struct braid_transport *transport, const struct iovec *v, int count);
    /* Says that nothing more will be written. */
    void (*shutdown)(struct braid_transport *transport);
    void (*close)(struct braid_transport *transport);
};

struct braid_transport {
    const struct braid_transport_ops *ops;
    int fd;
    bool tcp; /* TCP's options and counters can be had */
};

/* Takes over a connected descriptor, as it is. */
void braid_transport_plain(struct braid_transport *transport, int fd, bool tcp);

#endif
