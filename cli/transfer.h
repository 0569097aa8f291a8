/* SPDX-License-Identifier: MIT */
/*
 * One file on its way over one channel, from either end: hello, bytes, sum, and the pulling end's
 * word that the file is whole and where it belongs. Either both ends succeed or both fail; only
 * when the very last message is lost does the pushing end fail alone.
 *
 * A raw one has nothing but the bytes: the pulling end's end of the channel is its word.
 */
#ifndef BRAID_CLI_TRANSFER_H
#define BRAID_CLI_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

struct channel;
struct event_base;
struct sink;
struct source;
struct transfer;

struct transfer_result {
    bool ok;
    char why[320]; /* when it is not; one line */
    uint64_t bytes;
    uint64_t microseconds;
};

/* Told once, from the loop; the transfer is to be freed then. */
typedef void (*transfer_cb)(struct transfer *transfer, const struct transfer_result *result,
                            void *arg);

/*
 * Starts to push a source, or to pull into a sink; the other one is NULL. The channel and these are
 * the transfer's from now on, whatever comes of it. NULL: out of memory.
 */
struct transfer *transfer_new(struct event_base *base, struct channel *channel,
                              struct source *source, struct sink *sink, bool raw, transfer_cb cb,
                              void *arg);

/* Gives up: both ends fail, the other one learns why. The callback comes soon. */
void transfer_abort(struct transfer *transfer, const char *why);

/* NULL is allowed. */
void transfer_free(struct transfer *transfer);

/* Bytes of the file so far, and in all as far as that is known; valid as long as the transfer. */
const uint64_t *transfer_done(const struct transfer *transfer);
const uint64_t *transfer_total(const struct transfer *transfer);

#endif
