/* SPDX-License-Identifier: MIT */
#include "scheduler.h"

#include "session_internal.h"

#define QUANTUM 4096u /* less room than this is not worth a frame */

/*
 * The lower, the better: 0 healthy, 1 healthy backup, 2 silent, or not answered while others are,
 * unless its path is known to be good. Of a session's first flight nobody has answered yet: then
 * whichever connects first carries it.
 */
static int rank(const struct braid_subflow *subflow)
{
    bool answered = subflow->state == BRAID_SUBFLOW_ACTIVE ||
                    (subflow->state == BRAID_SUBFLOW_HELLO && subflow->rescued == 0 &&
                     (!subflow->session->established || !braid_subflow_must_answer(subflow)));

    if (!answered)
        return 2;
    return subflow->backup ? 1 : 0;
}

bool braid_scheduler_eligible(const struct braid_session *session,
                              const struct braid_subflow *subflow)
{
    for (const struct braid_subflow *s = session->subflows; s != NULL; s = s->next) {
        if (rank(s) < rank(subflow))
            return false;
    }
    return true;
}

bool braid_scheduler_can_take(const struct braid_subflow *subflow, uint64_t waiting)
{
    if (subflow->blocked || subflow->rest != NULL || braid_subflow_is_full(subflow))
        return false;
    return subflow->room >= QUANTUM || (subflow->room > 0 && subflow->room >= waiting);
}

bool braid_scheduler_can_repeat(const struct braid_session *session,
                                const struct braid_subflow *subflow)
{
    if (!braid_session_has_again(session))
        return braid_scheduler_can_take(subflow, QUANTUM);
    return braid_scheduler_can_take(subflow, braid_ranges_size(&session->again)) &&
           braid_session_has_again_for(session, subflow);
}
