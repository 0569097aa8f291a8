/* SPDX-License-Identifier: MIT */
/*
 * Every scenario of many paths, each with three seeds: where a path loses segments by chance, and
 * in how a write is cut, they differ.
 */
#include <check.h>
#include <stdlib.h>

#include "run.h"

START_TEST(scenario)
{
    const struct sim_scenario *s = &sim_path_scenarios[_i];

    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct sim_counters counters = {0};
        struct sim_result result;
        sim_run(s, seed, NULL, &result, &counters);
        ck_assert_msg(!result.failed, "%s\nreplay: tests/sim/sim --scenario %s --seed %llu --trace",
                      result.failure, s->name, (unsigned long long)seed);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sim-paths");
    TCase *table = tcase_create("scenarios");

    tcase_set_timeout(table, 120);
    tcase_add_loop_test(table, scenario, 0, (int)sim_path_scenario_count);
    suite_add_tcase(suite, table);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
