/* SPDX-License-Identifier: MIT */
/*
 * A loan: memory out of an evbuffer, lent to a session piece by piece instead of being copied. It
 * is given back, which runs its cleanup where it is a reference (evbuffer_add_reference()), once
 * the session needs no piece any more and its lender has no more to lend.
 */
#ifndef BRAID_EVENT_LOAN_H
#define BRAID_EVENT_LOAN_H

#include <stddef.h>
#include <stdint.h>
#include <event2/buffer.h>

#include "core/session.h"

struct braid_loan {
    struct braid_pool *pool;
    struct evbuffer *memory;
    const uint8_t *data;
    size_t len;
    size_t lent; /* so many bytes of it */
    unsigned refs;
};

/*
 * Takes the first piece of a buffer, which the loan then owns. NULL, with the buffer as it was: it
 * is so small that a copy is cheaper, or there is no memory.
 */
struct braid_loan *braid_loan_new(struct braid_pool *pool, struct evbuffer *buffer);

/* Lends the session what it has room for; returns how many bytes, see braid_session_lend(). */
size_t braid_loan_out(struct braid_loan *loan, struct braid_session *session, uint64_t now);

/* Bytes that were not lent yet. */
size_t braid_loan_left(const struct braid_loan *loan);

/* The lender lends no more of it. NULL is allowed. */
void braid_loan_free(struct braid_loan *loan);

#endif
