/* SPDX-License-Identifier: MIT */
#include "handoff.h"

#include <stdlib.h>
#include <string.h>

#include "context.h"

struct braid_handoff *braid_handoff_new(const struct braid_received *rest)
{
    struct braid_handoff *handoff = calloc(1, sizeof *handoff + rest->len);

    if (handoff == NULL)
        return NULL;
    handoff->len = rest->len;
    memcpy(handoff->data, rest->chunk->data + rest->start, rest->len);
    return handoff;
}

bool braid_handoff_restore(const struct braid_handoff *handoff, struct braid_context *context,
                           struct braid_received *rest)
{
    struct braid_received pieces[BRAID_RECEIVE_CHUNKS];
    struct iovec v[BRAID_RECEIVE_CHUNKS];

    memset(rest, 0, sizeof *rest);
    if (handoff->len == 0)
        return true;
    braid_receive_clear(&context->receive); /* a fresh chunk holds it all in one piece */
    if (braid_receive_prepare(&context->receive, context->pool, false, v) == 0 ||
        v[0].iov_len < handoff->len)
        return false;
    memcpy(v[0].iov_base, handoff->data, handoff->len);
    braid_receive_done(&context->receive, handoff->len, pieces);
    *rest = pieces[0];
    return true;
}

void braid_handoff_free(struct braid_group *group, struct braid_handoff *handoff)
{
    handoff->transport.ops->close(&handoff->transport);
    braid_guard_leave(braid_group_guard(group), &handoff->pass);
    braid_group_release(group, handoff->claim);
    free(handoff);
}
