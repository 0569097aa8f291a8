/* SPDX-License-Identifier: MIT */
/*
 * The memory that several pools, of as many threads, may have together, and how short it is.
 *
 * A pool tells what it holds when that has changed by BRAID_BUDGET_STEP, so the sum is that much
 * behind for each pool, and the data path hardly ever touches what threads share.
 */
#ifndef BRAID_BUDGET_H
#define BRAID_BUDGET_H

#include <stdatomic.h>
#include <stddef.h>

#define BRAID_BUDGET_STEP ((size_t)65536)

/* What is asked of sessions; each step includes those before it. */
enum braid_pressure {
    BRAID_PRESSURE_NONE,
    BRAID_PRESSURE_TIGHT, /* from 70 % on: windows grow no more, new sessions get small ones */
    BRAID_PRESSURE_SHORT, /* from 90 % on: no new sessions, and nothing more from applications */
    BRAID_PRESSURE_OVER,  /* beyond: the largest sessions have to go */
};

struct braid_budget {
    size_t max; /* 0: no limit */
    atomic_size_t held;
};

static inline enum braid_pressure braid_budget_pressure(struct braid_budget *budget)
{
    size_t held = atomic_load_explicit(&budget->held, memory_order_relaxed);

    if (budget->max == 0 || held < budget->max / 10 * 7)
        return BRAID_PRESSURE_NONE;
    if (held < budget->max / 10 * 9)
        return BRAID_PRESSURE_TIGHT;
    return held <= budget->max ? BRAID_PRESSURE_SHORT : BRAID_PRESSURE_OVER;
}

#endif
