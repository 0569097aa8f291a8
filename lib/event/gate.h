/* SPDX-License-Identifier: MIT */
/*
 * What a TLS client may say in clear before it has proven anything: one ClientHello of at most
 * 8 KiB, whole in its record, and no second one. OpenSSL would put 128 KiB together for anybody,
 * and once more after asking for another key share, which this side never needs to.
 */
#ifndef BRAID_EVENT_GATE_H
#define BRAID_EVENT_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BRAID_GATE_HELLO_MAX 8192u
#define BRAID_GATE_HEADER 9u /* of a record, and of the message at its beginning */

/* Zeroed: nothing was said yet. */
struct braid_gate {
    uint8_t header[BRAID_GATE_HEADER]; /* of the record; of the first one, with its message's */
    uint8_t fill;
    bool greeted;
    bool shut;
    uint32_t left; /* of the record */
};

/* Looks at what was read, in pieces of any size; false, from then on: that is not allowed. */
bool braid_gate_pass(struct braid_gate *gate, const uint8_t *bytes, size_t n);

enum braid_gate_state {
    BRAID_GATE_WAITING, /* there is a part of a ClientHello, or nothing yet */
    BRAID_GATE_READY,   /* all of it is there, or something that does not pass */
    BRAID_GATE_ENDED,   /* and there will be no more */
};

/*
 * Whether it is time for OpenSSL to look at a socket whose peer has to begin with a ClientHello.
 * Not before all of that is there, so that a part of one costs no more than silence.
 *
 * *awaited: 0 at first, and kept by the caller: from how many bytes on the socket is readable
 * (SO_RCVLOWAT) while it waits. When it is ready, any are enough again.
 */
enum braid_gate_state braid_gate_look(int fd, uint32_t *awaited);

#endif
