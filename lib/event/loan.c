/* SPDX-License-Identifier: MIT */
#include "loan.h"

#define LOAN_MIN 16384u /* bytes; less is copied */

static void unref(void *arg)
{
    struct braid_loan *loan = arg;

    if (--loan->refs > 0)
        return;
    evbuffer_free(loan->memory);
    braid_pool_release(loan->pool, loan, sizeof *loan);
}

struct braid_loan *braid_loan_new(struct braid_pool *pool, struct evbuffer *buffer)
{
    struct evbuffer_iovec v;
    struct braid_loan *loan;

    if (evbuffer_peek(buffer, -1, NULL, &v, 1) < 1 || v.iov_len < LOAN_MIN)
        return NULL;
    loan = braid_pool_alloc(pool, sizeof *loan);
    if (loan == NULL)
        return NULL;
    loan->pool = pool;
    loan->refs = 1;
    loan->memory = evbuffer_new();
    /* As much as is in one piece is moved as it is. */
    if (loan->memory == NULL || evbuffer_remove_buffer(buffer, loan->memory, v.iov_len) < 0) {
        if (loan->memory != NULL)
            evbuffer_free(loan->memory);
        braid_pool_release(pool, loan, sizeof *loan);
        return NULL;
    }
    loan->data = v.iov_base;
    loan->len = v.iov_len;
    return loan;
}

size_t braid_loan_out(struct braid_loan *loan, struct braid_session *session, uint64_t now)
{
    size_t n;

    loan->refs++;
    n = braid_session_lend(session, loan->data + loan->lent, loan->len - loan->lent, unref, loan,
                           now);
    if (n == 0)
        loan->refs--;
    loan->lent += n;
    return n;
}

size_t braid_loan_left(const struct braid_loan *loan)
{
    return loan != NULL ? loan->len - loan->lent : 0;
}

void braid_loan_free(struct braid_loan *loan)
{
    if (loan != NULL)
        unref(loan);
}
