/* SPDX-License-Identifier: MIT */
/*
 * Many random runs, on every processor: seeds are shared out to processes, so that a crash or an
 * endless loop costs one of them and names its seed.
 */
#ifndef SIM_BATCH_H
#define SIM_BATCH_H

#include "run.h"

struct sim_batch {
    uint64_t first; /* seed */
    uint64_t runs;
    uint64_t failed_seed;         /* of the first failure found */
    char failure[256];            /* empty: none */
    struct sim_counters counters; /* of all runs */
};

/* Runs seeds first .. first + runs - 1; stops soon after a failure. */
void sim_batch_run(struct sim_batch *batch);

/* Prints what the runs have done. */
void sim_counters_print(const struct sim_counters *counters, FILE *out);

#endif
