/* SPDX-License-Identifier: MIT */
/*
 * Every scenario of the table of single things; that a run is a function of its seed; that each
 * allocation may fail; that the simulator finds what it claims to look for; and that its TCP is
 * one.
 */
#include <check.h>
#include <stdlib.h>

#include "core/session.h"

#include "run.h"

static struct sim_result run(const struct sim_scenario *scenario, uint64_t seed)
{
    struct sim_counters counters = {0};
    struct sim_result result;

    sim_run(scenario, seed, NULL, &result, &counters);
    return result;
}

START_TEST(scenario)
{
    const struct sim_scenario *s = &sim_scenarios[_i];

    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct sim_result result = run(s, seed);
        ck_assert_msg(!result.failed, "%s\nreplay: tests/sim/sim --scenario %s --seed %llu --trace",
                      result.failure, s->name, (unsigned long long)seed);
    }
}
END_TEST

START_TEST(same_seed_same_timeline)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct sim_scenario s;
        sim_scenario_draw(&s, seed);
        struct sim_result first = run(&s, seed);
        sim_scenario_draw(&s, seed);
        struct sim_result second = run(&s, seed);
        ck_assert_uint_ne(first.hash, 0);
        ck_assert_uint_eq(first.hash, second.hash);
        sim_scenario_draw(&s, seed + 1);
        ck_assert_uint_ne(first.hash, run(&s, seed + 1).hash);
    }
}
END_TEST

/* An exchange in which everything happens, for starving. */
static struct sim_scenario busy_scenario(void)
{
    return (struct sim_scenario){
        .name = "busy",
        .paths = {{.rate = 100000000, .delay = 1000, .queue = 50000},
                  {.rate = 30000000, .delay = 4000, .queue = 50000}},
        .subflows = 4,
        .first = 2,
        .grace = SIM_SECOND,
        .apps = {{.total = 300000}, {.total = 300000}},
        .faults = {{0},
                   {.kind = SIM_FAULT_RESET, .target = 0, .at = 15 * SIM_MS},
                   {.kind = SIM_FAULT_RESET, .target = 1, .at = 25 * SIM_MS}},
        .ends = {SIM_ANY_END, SIM_ANY_END},
        .budget = 60 * SIM_SECOND,
    };
}

START_TEST(each_allocation_fails)
{
    unsigned side = (unsigned)_i & 1;

    for (uint64_t n = 1; n <= 400; n++) {
        struct sim_scenario s = busy_scenario();
        s.faults[0] = (struct sim_fault){
            .kind = SIM_FAULT_MEMORY, .target = side, .value = n, .lasts = 20 * SIM_MS};
        struct sim_result result = run(&s, n);
        ck_assert_msg(!result.failed, "side %u, allocation %llu: %s", side, (unsigned long long)n,
                      result.failure);
    }
}
END_TEST

START_TEST(late_is_found)
{
    struct sim_scenario s = *sim_scenario_find("one-path-up");

    s.budget = 500 * SIM_MS;
    ck_assert(run(&s, 1).failed);
}
END_TEST

START_TEST(wrong_end_is_found)
{
    struct sim_scenario s = *sim_scenario_find("one-byte-up");

    s.ends[1] = BRAID_ERR_RESET;
    ck_assert(run(&s, 1).failed);
    s = *sim_scenario_find("abort-remote");
    s.ends[0] = BRAID_OK;
    ck_assert(run(&s, 1).failed);
}
END_TEST

START_TEST(slow_is_found)
{
    struct sim_scenario s = *sim_scenario_find("one-path-up");

    s.goodput = 1001;
    ck_assert(run(&s, 1).failed);
    s = *sim_scenario_find("both-away-for-5-s");
    s.max_gap = 4 * SIM_SECOND;
    ck_assert(run(&s, 1).failed);
}
END_TEST

START_TEST(misuse_of_paths_is_found)
{
    struct sim_scenario s = *sim_scenario_find("backup-is-not-used");

    ck_assert(!run(&s, 1).failed);
    s.uses[0].most = 0;
    s.uses[0].least = 1 << 20;
    ck_assert(run(&s, 1).failed);
    s.uses[0].least = 0;
    s.versus.percent = 110;
    ck_assert(run(&s, 1).failed);
    s = *sim_scenario_find("echo-idle");
    s.max_round_trip = 9 * SIM_MS;
    ck_assert(run(&s, 1).failed);
}
END_TEST

/* What Linux was measured to make of the same emulated paths, and some percent to either side. */
START_TEST(plain_tcp_is_like_linux)
{
    static const struct {
        struct sim_path_spec path;
        uint64_t bytes;
        uint64_t least, most; /* milliseconds */
    } cases[] = {
        {{.rate = 100000000, .delay = 5000, .queue = 50000}, 60000000, 4900, 5200},
        {{.rate = 100000000, .delay = 5000, .queue = 50000}, 1000000, 110, 135},
        {{.rate = 20000000, .delay = 25000, .queue = 100000}, 6000000, 2500, 2900},
        {{.rate = 100000000, .delay = 25000, .queue = 50000, .loss = 200}, 10000000, 8000, 26000},
    };

    for (uint64_t seed = 1; seed <= 3; seed++) {
        uint64_t took = sim_plain_transfer(&cases[_i].path, cases[_i].bytes, seed);
        ck_assert_uint_ge(took, cases[_i].least * SIM_MS);
        ck_assert_uint_le(took, cases[_i].most * SIM_MS);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sim");
    TCase *table = tcase_create("scenarios");
    TCase *simulator = tcase_create("simulator");

    tcase_set_timeout(table, 120);
    tcase_add_loop_test(table, scenario, 0, (int)sim_scenario_count);
    tcase_set_timeout(simulator, 600);
    tcase_add_test(simulator, same_seed_same_timeline);
    tcase_add_loop_test(simulator, each_allocation_fails, 0, 2);
    tcase_add_test(simulator, late_is_found);
    tcase_add_test(simulator, wrong_end_is_found);
    tcase_add_test(simulator, slow_is_found);
    tcase_add_test(simulator, misuse_of_paths_is_found);
    tcase_add_loop_test(simulator, plain_tcp_is_like_linux, 0, 4);
    suite_add_tcase(suite, table);
    suite_add_tcase(suite, simulator);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
