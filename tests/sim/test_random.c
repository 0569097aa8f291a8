/* SPDX-License-Identifier: MIT */
/*
 * Random runs: 10,000, or as many as BRAID_SIM_RUNS says, from seed BRAID_SIM_SEED on (1).
 */
#include <inttypes.h>
#include <check.h>
#include <stdlib.h>

#include "batch.h"

#define RUNS 10000u
#define RUNS_FOR_ALL 2000u /* so many show every kind of fault */

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

START_TEST(random_runs)
{
    struct sim_batch batch = {.first = number("BRAID_SIM_SEED", 1),
                              .runs = number("BRAID_SIM_RUNS", RUNS)};

    sim_batch_run(&batch);
    sim_counters_print(&batch.counters, stdout);
    fflush(stdout);
    ck_assert_msg(batch.failure[0] == '\0', "%s\nreplay: tests/sim/sim --seed %" PRIu64 " --trace",
                  batch.failure, batch.failed_seed);
    ck_assert_uint_eq(batch.counters.runs, batch.runs);
    ck_assert_uint_gt(batch.counters.bytes, 0);
    if (batch.runs < RUNS_FOR_ALL) {
        return;
    }
    for (unsigned i = SIM_FAULT_NONE + 1; i < SIM_FAULTS; i++) {
        ck_assert_msg(batch.counters.faults[i] > 0, "no fault of the kind %s in all these runs",
                      sim_fault_name((enum sim_fault_kind)i));
    }
    ck_assert_uint_gt(batch.counters.resent, 0);
    ck_assert_uint_gt(batch.counters.swallowed, 0);
    ck_assert_uint_gt(batch.counters.refused, 0);
    ck_assert_uint_gt(batch.counters.lost, 0);
    ck_assert_uint_gt(batch.counters.dropped, 0);
    ck_assert_uint_gt(batch.counters.aborted, 0);
    ck_assert_uint_gt(batch.counters.redundant, 0);
    ck_assert_uint_gt(batch.counters.backups, 0);
    ck_assert_uint_gt(batch.counters.seeds, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sim-random");
    TCase *tcase = tcase_create("random");

    tcase_set_timeout(tcase, 3600);
    tcase_add_test(tcase, random_runs);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
