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

/* Zeroed: nothing was said yet. */
struct braid_gate {
    uint8_t header[9]; /* of the record; of the first one, with its message's */
    uint8_t fill;
    bool greeted;
    bool shut;
    uint32_t left; /* of the record */
};

/* Looks at what was read, in pieces of any size; false, from then on: that is not allowed. */
bool braid_gate_pass(struct braid_gate *gate, const uint8_t *bytes, size_t n);

#endif
