/* SPDX-License-Identifier: MIT */
/*
 * What becomes of sessions when memory is short: smaller windows, then no new sessions and nothing
 * more from applications, then the largest has to go.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "event/context.h"

#include "world.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define MAX (8 * MIB)

static struct world w;
static struct app app, second;
static void *ballast;
static size_t ballast_size;
static struct braid_pool *ballast_pool;

static void setup(void)
{
    world_open(&w);
    braid_options_set_subflows(w.options, 2);
    app = second = (struct app){.key = 1, .peer_key = 2};
    w.script = (struct app){.key = 2, .peer_key = 1};
    ballast = NULL;
}

static void unload(void)
{
    braid_pool_release(ballast_pool, ballast, ballast_size);
    ballast = NULL;
}

static void teardown(void)
{
    if (ballast != NULL)
        unload();
    app_free(&app);
    app_free(&second);
    world_close(&w);
}

/* Limits a context's memory, and takes that share of it away. */
static void load(struct braid_context *context, unsigned percent)
{
    braid_group_set_max_memory(context->group, MAX);
    ballast_pool = context->pool;
    ballast_size = MAX / 100 * percent;
    ballast = braid_pool_alloc(ballast_pool, ballast_size);
    ck_assert_ptr_nonnull(ballast);
}

static bool connected(void *arg)
{
    const struct app *one = arg;

    return one->connected || one->error;
}

static bool received_all(void *arg)
{
    (void)arg;
    return w.accepted > 0 && w.apps[0].received == app.to_send;
}

static uint64_t unread(const struct app *one)
{
    struct braid_stream_info info;

    braid_stream_get_info(one->stream, &info);
    return info.unread;
}

static uint64_t wanted_unread;

static bool so_much_unread(void *arg)
{
    (void)arg;
    return w.accepted > 0 && unread(&w.apps[0]) >= wanted_unread;
}

START_TEST(pressure_has_steps)
{
    static const struct {
        unsigned percent;
        enum braid_pressure pressure;
    } steps[] = {
        {0, BRAID_PRESSURE_NONE},   {69, BRAID_PRESSURE_NONE},  {71, BRAID_PRESSURE_TIGHT},
        {89, BRAID_PRESSURE_TIGHT}, {91, BRAID_PRESSURE_SHORT}, {100, BRAID_PRESSURE_SHORT},
        {103, BRAID_PRESSURE_OVER},
    };

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        load(w.local, steps[i].percent);
        ck_assert_int_eq(braid_pool_pressure(w.local->pool), steps[i].pressure);
        ck_assert_int_eq(braid_group_is_short(w.local->group),
                         steps[i].pressure >= BRAID_PRESSURE_SHORT);
        ck_assert_int_eq(braid_pool_pressure(w.remote->pool), BRAID_PRESSURE_NONE);
        unload();
    }
}
END_TEST

/* _i: with pressure, or without, which shows that the other one can fail */
START_TEST(windows_are_small_when_memory_is_tight)
{
    w.script.paused = true;
    app.to_send = 4 * MIB;
    load(w.remote, _i == 1 ? 75 : 10);
    app_connect(&w, &app);
    wanted_unread = _i == 1 ? 64 * KIB : 65 * KIB;
    ck_assert(run_until(w.base, so_much_unread, NULL, PATIENCE));
    run_for(w.base, 0.2);
    if (_i == 1)
        ck_assert_uint_eq(unread(&w.apps[0]), 64 * KIB);
    /* What is read makes room for as much again. */
    w.apps[0].paused = false;
    app_read(&w.apps[0]);
    ck_assert(run_until(w.base, received_all, NULL, PATIENCE));
    ck_assert(!w.apps[0].wrong);
}
END_TEST

START_TEST(no_new_sessions_when_memory_is_short)
{
    app_connect(&w, &app);
    ck_assert(run_until(w.base, connected, &app, PATIENCE));
    load(w.remote, 95);
    app_connect(&w, &second);
    ck_assert(run_until(w.base, connected, &second, PATIENCE));
    ck_assert(second.error && !second.connected);
    ck_assert_int_eq(second.reason, BRAID_ERR_MEMORY);
    ck_assert_uint_eq(w.accepted, 1);
    ck_assert(!app.error);
}
END_TEST

/* Applications can go on once there is memory again, and nothing was lost. */
START_TEST(applications_wait_when_memory_is_short)
{
    uint64_t sent;

    app_connect(&w, &app);
    ck_assert(run_until(w.base, connected, &app, PATIENCE));
    load(w.local, 95);
    app.to_send = 4 * MIB;
    app_send(&app);
    ck_assert_uint_eq(app.sent, 0);
    run_for(w.base, 0.5);
    sent = app.sent;
    ck_assert_uint_eq(sent, 0);
    unload();
    ck_assert(run_until(w.base, received_all, NULL, PATIENCE));
    ck_assert(!w.apps[0].wrong);
}
END_TEST

/* Fills the reserve of a context: chunks that were in use at the same time. */
static void fill_reserve(struct braid_context *context)
{
    struct braid_chunk *chunks[32];

    for (int i = 0; i < 32; i++)
        ck_assert_ptr_nonnull(chunks[i] = braid_chunk_new(context->pool, 1));
    for (int i = 0; i < 32; i++)
        braid_chunk_unref(chunks[i]);
    ck_assert_uint_ge(braid_context_get_memory(context), 32 * 64 * KIB);
}

static struct braid_context *members[2];

static bool nothing_in_reserve(void *arg)
{
    (void)arg;
    return braid_context_get_memory(members[0]) + braid_context_get_memory(members[1]) == 0;
}

/* What is kept in reserve, by whomever, does not stand in the way of sessions for ever. */
START_TEST(reserves_are_given_back)
{
    struct braid_group *group = braid_group_new();

    ck_assert_ptr_nonnull(group);
    for (int i = 0; i < 2; i++) {
        members[i] = braid_context_new(w.base, group);
        ck_assert_ptr_nonnull(members[i]);
        fill_reserve(members[i]);
    }
    braid_group_set_max_memory(group, 2 * MIB);
    ck_assert(braid_group_is_short(group));
    braid_relief_check(members[0]);
    ck_assert(run_until(w.base, nothing_in_reserve, NULL, PATIENCE));
    ck_assert(!braid_group_is_short(group));
    for (int i = 0; i < 2; i++)
        braid_context_free(members[i]);
    braid_group_free(group);
}
END_TEST

START_TEST(largest_session_goes)
{
    struct app *large, *small;

    w.script.paused = true;
    app.to_send = 100 * KIB;
    second.to_send = 10 * KIB;
    app_connect(&w, &app);
    wanted_unread = app.to_send;
    ck_assert(run_until(w.base, so_much_unread, NULL, PATIENCE));
    app_connect(&w, &second);
    ck_assert(run_until(w.base, connected, &second, PATIENCE));
    large = &w.apps[0];
    small = &w.apps[1];
    load(w.remote, 110);
    second.to_send += 1; /* something has to happen */
    app_send(&second);
    ck_assert(run_until(w.base, connected, large, PATIENCE));
    ck_assert(large->error);
    ck_assert_ptr_nonnull(strstr(w.last_line, "too much memory"));
    unload();
    ck_assert(!small->error && !second.error);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *tc = tcase_create("memory");

    tcase_set_timeout(tc, TEST_TIMEOUT);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, pressure_has_steps);
    tcase_add_loop_test(tc, windows_are_small_when_memory_is_tight, 0, 2);
    tcase_add_test(tc, no_new_sessions_when_memory_is_short);
    tcase_add_test(tc, applications_wait_when_memory_is_short);
    tcase_add_test(tc, reserves_are_given_back);
    tcase_add_test(tc, largest_session_goes);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
