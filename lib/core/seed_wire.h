/* SPDX-License-Identifier: MIT */
/*
 * The bytes of the seed's format (doc/protocol.md). The only place that knows their layout.
 */
#ifndef BRAID_SEED_WIRE_H
#define BRAID_SEED_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cursor.h"

#define BRAID_SEED_OPEN_SIZE 16u
#define BRAID_SEED_HEAD 17u /* type, offset and length of DATA */

/* Its offsets have 64 bits; no stream is as long as half of that. */
#define BRAID_SEED_OFFSET_MAX ((uint64_t)INT64_MAX)

/* Where the last byte of an empty stream is. */
#define BRAID_SEED_NOWHERE (BRAID_SEED_OFFSET_MAX - 1)

enum braid_seed_message {
    BRAID_SEED_DATA = 0,
    BRAID_SEED_PING = 1,
    BRAID_SEED_SHUTDOWN = 2,
};

/* What opens a subflow, from who dials. */
void braid_seed_write_open(struct braid_writer *w, uint64_t session, uint64_t streams);

/*
 * Whether these bytes open a subflow of the seed's format, and none of protocol version 1, whose
 * mark would be a count of streams that nobody has.
 */
bool braid_seed_is_open(const uint8_t bytes[BRAID_SEED_OPEN_SIZE]);
void braid_seed_read_open(const uint8_t bytes[BRAID_SEED_OPEN_SIZE], uint64_t *session,
                          uint64_t *streams);

void braid_seed_write_head(uint8_t head[BRAID_SEED_HEAD], uint64_t offset, uint64_t len);

/* Returns 0, or -BRAID_ERR_PROTOCOL: nothing, or more than any stream has. */
int braid_seed_read_head(const uint8_t head[BRAID_SEED_HEAD], uint64_t *offset, uint64_t *len);

/* PING. */
void braid_seed_write_ping(struct braid_writer *w);

/*
 * The end: SHUTDOWN, and before it the stream's last byte twice. The format leaves open where the
 * stream ends; the same byte twice in a row is what no sender has a reason for, and says that it
 * ends here and that all before it has arrived (doc/protocol.md). An empty one has a last byte
 * where no stream comes to, which nobody ever reads. end: of the stream.
 */
void braid_seed_write_end(struct braid_writer *w, uint64_t end, uint8_t last);

#endif
