/* SPDX-License-Identifier: MIT */
/*
 * What the core's test programs share: main() from a table of tests, and random numbers that are
 * the same in every run.
 */
#ifndef BRAID_TESTS_SUITE_H
#define BRAID_TESTS_SUITE_H

#include <check.h>
#include <stdint.h>
#include <stdlib.h>

struct suite_test {
    const TTest *test;
    int loops; /* how often it runs, with _i from 0 on; 0: once */
};

static inline int suite_run(const char *name, const struct suite_test *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 120); /* sanitizers on a busy machine */
    for (size_t i = 0; i < count; i++)
        tcase_add_loop_test(tcase, tests[i].test, 0, tests[i].loops == 0 ? 1 : tests[i].loops);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define SUITE_RUN(name, tests) suite_run(name, tests, sizeof(tests) / sizeof(tests)[0])

/* An assertion for inner loops: each of Check's own writes to a pipe, even where it holds. */
#define suite_assert(condition)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg("%s", #condition);                                                        \
    } while (0)

/* xorshift64*; seed must not be 0. */
static inline uint64_t suite_random(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * 0x2545f4914f6cdd1du;
}

/* 0 to n - 1. */
static inline uint64_t suite_below(uint64_t *seed, uint64_t n)
{
    return (suite_random(seed) >> 11) % n;
}

#endif
