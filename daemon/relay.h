/* SPDX-License-Identifier: MIT */
/*
 * A plain socket on one side, a stream on the other: bytes, ends of file and resets of each are
 * passed to the other as what they are.
 *
 * Payload is not copied: it is read from the socket into the stream's memory and written to the
 * socket from there. Neither side is read faster than the other takes.
 */
#ifndef BRAIDD_RELAY_H
#define BRAIDD_RELAY_H

#include <stdbool.h>

#include <event2/event.h>

#include <braid/stream.h>

struct relay;

/*
 * Told once, from the loop, that there is nothing left to relay. `error` is BRAID_OK when both
 * directions ended in order, else one of enum braid_error. The callee frees the relay, which closes
 * or resets the socket accordingly, then the stream.
 */
typedef void (*relay_end_cb)(int error, void *arg);

/* Told once, from the loop, that the other endpoint reached the target. */
typedef void (*relay_connected_cb)(void *arg);

/*
 * Starts to relay.
 *
 * `fd` is a connected, non-blocking socket and now the relay's, also on failure. The stream stays
 * the caller's, but its callbacks are the relay's from now on. Either callback may not be NULL.
 *
 * Returns NULL when out of memory or descriptors; the socket has been reset then.
 */
struct relay *relay_new(struct event_base *base, int fd, struct braid_stream *stream,
                        relay_connected_cb connected, relay_end_cb end, void *arg);

/* Frees a relay; its socket is closed when all ended in order, else reset. NULL is allowed. */
void relay_free(struct relay *relay);

/* How a relay stands, in a word for status: "open", "half-closed" or "closing". */
const char *relay_state(const struct relay *relay);

#endif
