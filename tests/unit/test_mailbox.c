/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include <event2/event.h>

#include "daemon/limits.h"
#include "daemon/mailbox.h"

#define THREADS 4
#define LETTERS 20000

struct letter {
    struct mail mail;
    unsigned from;
    unsigned number;
};

static struct event_base *base;
static struct mailbox *mailbox;
static unsigned delivered;
static unsigned dropped;
static unsigned woken;
static unsigned expected[THREADS]; /* the next number from each */
static bool reordered;

static void deliver(struct mail *mail, void *owner)
{
    struct letter *letter = (struct letter *)mail;

    if (owner == NULL) {
        dropped++;
    } else {
        ck_assert_ptr_eq(owner, &base);
        delivered++;
        reordered = reordered || letter->number != expected[letter->from];
        expected[letter->from] = letter->number + 1;
    }
    free(letter);
    if (delivered == THREADS * LETTERS) {
        event_base_loopbreak(base);
    }
}

static void post(unsigned from, unsigned number)
{
    struct letter *letter = calloc(1, sizeof(*letter));

    ck_assert_ptr_nonnull(letter);
    letter->mail.deliver = deliver;
    letter->from = from;
    letter->number = number;
    mailbox_post(mailbox, &letter->mail);
}

static void callback_woken(void *owner)
{
    ck_assert_ptr_eq(owner, &base);
    woken++;
}

static void setup(void)
{
    base = event_base_new();
    ck_assert_ptr_nonnull(base);
    mailbox = mailbox_new(base, callback_woken, &base);
    ck_assert_ptr_nonnull(mailbox);
    delivered = 0;
    dropped = 0;
    woken = 0;
    reordered = false;
    for (unsigned i = 0; i < THREADS; i++) {
        expected[i] = 0;
    }
}

static void teardown(void)
{
    mailbox_free(mailbox);
    event_base_free(base);
}

static void *post_all(void *arg)
{
    const unsigned *from = arg;

    for (unsigned i = 0; i < LETTERS; i++) {
        post(*from, i);
    }
    return NULL;
}

/* Every letter arrives once, and those of one thread in their order. */
START_TEST(test_threads)
{
    pthread_t threads[THREADS];
    unsigned names[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        names[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, post_all, &names[i]), 0);
    }
    event_base_dispatch(base);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_uint_eq(expected[i], LETTERS);
    }
    ck_assert_uint_eq(delivered, THREADS * LETTERS);
    ck_assert(!reordered);
    ck_assert_uint_gt(woken, 0);
}
END_TEST

START_TEST(test_undelivered_mail_is_freed)
{
    for (unsigned i = 0; i < 3; i++) {
        post(0, i);
    }
    mailbox_free(mailbox);
    mailbox = NULL;
    ck_assert_uint_eq(delivered, 0);
    ck_assert_uint_eq(dropped, 3);
}
END_TEST

START_TEST(test_poke)
{
    mailbox_poke(mailbox);
    mailbox_poke(mailbox);
    event_base_loop(base, EVLOOP_ONCE);
    ck_assert_uint_eq(woken, 1);
    ck_assert_uint_eq(delivered, 0);
    ck_assert_int_eq(event_base_loop(base, EVLOOP_NONBLOCK), 0);
    ck_assert_uint_eq(woken, 1);
}
END_TEST

/* ---- slots ---- */

static struct limits limits = {.name = "test", .max_sessions = 3};

static void *take_and_release(void *arg)
{
    unsigned *most = arg;

    for (unsigned i = 0; i < LETTERS; i++) {
        if (limits_take(&limits)) {
            unsigned left = limits_release(&limits);

            *most = left > *most ? left : *most;
        }
    }
    return NULL;
}

START_TEST(test_slots)
{
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(limits_take(&limits));
    }
    ck_assert(!limits_take(&limits));
    ck_assert_uint_eq(limits_sessions(&limits), 3);
    ck_assert_uint_eq(limits_release(&limits), 2);
    ck_assert(limits_take(&limits));
    for (unsigned i = 3; i > 0; i--) {
        ck_assert_uint_eq(limits_release(&limits), i - 1);
    }
}
END_TEST

START_TEST(test_slots_of_threads)
{
    pthread_t threads[THREADS];
    unsigned most[THREADS] = {0};

    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_release, &most[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        /* Those in the middle of being refused are counted for a moment. */
        ck_assert_uint_lt(most[i], limits.max_sessions + THREADS);
    }
    ck_assert_uint_eq(limits_sessions(&limits), 0);
}
END_TEST

START_TEST(test_descriptors)
{
    struct config_tunnel tunnels[] = {{.role = CONFIG_LOCAL, .subflows = 4, .listen.count = 2},
                                      {.role = CONFIG_REMOTE, .max_subflows = 16}};
    struct config config = {
        .workers = 1, .max_half_open = 4096, .tunnels = tunnels, .tunnel_count = 1};
    unsigned long local_only = limits_descriptors(&config, 1000, true);

    ck_assert_uint_ge(local_only, 5 * 1000);
    ck_assert_uint_eq(limits_descriptors(&config, 1000, false), local_only);
    config.tunnel_count = 2;
    ck_assert_uint_eq(limits_descriptors(&config, 1000, true), local_only + 12 * 1000 + 4096);
    ck_assert_uint_eq(limits_descriptors(&config, 1000, false), local_only + 4096);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mailbox");
    TCase *tcase = tcase_create("mailbox");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_threads);
    tcase_add_test(tcase, test_undelivered_mail_is_freed);
    tcase_add_test(tcase, test_poke);
    tcase_add_test(tcase, test_slots);
    tcase_add_test(tcase, test_slots_of_threads);
    tcase_add_test(tcase, test_descriptors);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
