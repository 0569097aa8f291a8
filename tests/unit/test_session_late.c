/* SPDX-License-Identifier: MIT */
/*
 * Subflows on probation, bytes that are late, and subflows that one end alone finds silent.
 */
#include <string.h>

#include "core/session_internal.h"
#include "single.h"
#include "suite.h"

static struct single s;

static const char *state(unsigned i)
{
    struct braid_subflow_stats stats;

    braid_subflow_get_stats(s.flow[i].subflow, &stats);
    return stats.state;
}

/* What the driver would see of the socket of subflow i: a path of that rate and round trip. */
static void look(unsigned i, uint32_t round_trip, uint32_t outq, uint64_t arrived)
{
    struct braid_sample sample = {
        .rtt = round_trip,
        .min_rtt = round_trip,
        .rttvar = 1000,
        .cwnd = 10,
        .mss = 1000,
        .outq = outq,
        .unacked = outq > 10000 ? 10 : (outq + 999) / 1000,
        .bytes_acked = arrived,
        .delivered = arrived / 1000 + 1,
    };

    braid_subflow_sample(s.flow[i].subflow, &sample, s.now);
}

static void all_room(void)
{
    for (unsigned i = 0; i < 2; i++) {
        if (s.flow[i].subflow != NULL)
            braid_subflow_set_room(s.flow[i].subflow, 1u << 20);
    }
}

/* The second one begins with a copy of what the first carries, and gets no more before its answer.
 */
START_TEST(test_probe)
{
    single_local(&s, 2);
    look(0, 10000, 0, 0);
    look(1, 10000, 0, 0);
    single_write(&s, 100000);
    all_room();
    single_send(&s);
    ck_assert_int_eq(strncmp(single_said(&s, 0), "DATA 0+", 7), 0);
    ck_assert_str_eq(single_said(&s, 1), "AGAIN 0+8192 DATA 16372+8180");
    all_room();
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "");
    single_sleep(&s, 10000);
    ck_assert_int_eq(feed_ack(&s, 1, 8192, 524288, 1, (uint64_t[]){1, 8192}), 0);
    look(1, 10000, 0, 8192);
    all_room();
    single_send(&s);
    ck_assert_int_eq(strncmp(single_said(&s, 1), "DATA ", 5), 0);
    single_free(&s);
}
END_TEST

/* Before its answer nothing new goes there: of a path that nobody knows, the copy fills a flight.
 */
START_TEST(test_probe_before_the_answer)
{
    single_local(&s, 1);
    look(0, 10000, 0, 0);
    single_write(&s, 100000);
    ck_assert_int_eq(single_add(&s, 1), 0);
    braid_subflow_set_path(s.flow[1].subflow, _i == 0 ? 1 : 0);
    look(1, 10000, 0, 0);
    all_room();
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1),
                     _i == 0 ? "HELLO 1 join 0/524288 AGAIN 0+10000 AGAIN 10000+4000"
                             : "HELLO 1 join 0/524288 AGAIN 0+8192");
    single_free(&s);
}
END_TEST

/* A first burst that took long was no fast one, whatever the window says. */
START_TEST(test_first_burst)
{
    struct braid_estimator *e;

    single_local(&s, 2);
    look(0, 2000, 0, 0);
    single_write(&s, 10000);
    braid_subflow_set_room(s.flow[0].subflow, 1u << 20);
    braid_subflow_set_room(s.flow[1].subflow, 0);
    single_send(&s);
    e = &s.flow[0].subflow->estimator;
    ck_assert_uint_eq(braid_estimator_rate(e), 5000000);
    single_sleep(&s, 22000);
    ck_assert_int_eq(feed_ack(&s, 0, 5000, 524288, 1, (uint64_t[]){0, 5000}), 0);
    ck_assert_uint_eq(braid_estimator_rate(e), 250000);
    single_free(&s);
}
END_TEST

/* With nothing else to do, a fast subflow carries again what a slow one would take long for. */
START_TEST(test_late)
{
    struct braid_session_stats stats;

    single_local(&s, 2);
    s.flow[0].subflow->proven = true; /* and the other path is not, as yet */
    braid_subflow_set_path(s.flow[1].subflow, 1);
    look(0, 200000, 0, 0);
    look(1, 10000, 0, 0);
    single_write(&s, 10000);
    braid_subflow_set_room(s.flow[0].subflow, 1u << 20);
    braid_subflow_set_blocked(s.flow[1].subflow, true);
    single_send(&s);
    ck_assert_int_eq(strncmp(single_said(&s, 0), "DATA 0+", 7), 0);
    braid_subflow_set_blocked(s.flow[1].subflow, false);
    s.flow[1].subflow->proven = true;
    look(0, 200000, 10000, 0);
    all_room();
    single_send(&s);
    ck_assert_int_eq(strncmp(single_said(&s, 1), "AGAIN 0+", 8), 0);
    braid_session_get_stats(s.session, &stats);
    ck_assert_uint_eq(stats.bytes_resent, 10000);
    /* Nothing of it a third time, on either. */
    all_room();
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "");
    ck_assert_str_eq(single_said(&s, 1), "");
    single_free(&s);
}
END_TEST

/* What is as soon there stays where it is. */
START_TEST(test_not_late)
{
    struct braid_session_stats stats;

    single_local(&s, 2);
    for (unsigned i = 0; i < 2; i++) {
        s.flow[i].subflow->proven = true;
        look(i, 10000, 0, 0);
    }
    single_write(&s, 20000);
    all_room();
    single_send(&s);
    single_sleep(&s, 5000);
    all_room();
    single_send(&s);
    braid_session_get_stats(s.session, &stats);
    ck_assert_uint_eq(stats.bytes_resent, 0);
    single_free(&s);
}
END_TEST

/* The peer has found a subflow silent that only seems idle here: it is dialled anew. */
START_TEST(test_peer_gives_up)
{
    single_local(&s, 2);
    ck_assert_int_eq(feed_subflow_close(&s, 0, 1, BRAID_ERR_SILENT), 0);
    ck_assert_str_eq(single_acted(&s), "DIAL CLOSE_SUBFLOW 1:12");
    /* Of one that is unknown by now, or itself: nothing. */
    ck_assert_int_eq(feed_subflow_close(&s, 0, 1, BRAID_ERR_SILENT), 0);
    ck_assert_int_eq(feed_subflow_close(&s, 0, 0, BRAID_ERR_SILENT), 0);
    ck_assert_str_eq(single_acted(&s), "");
    ck_assert_str_eq(state(0), "active");
    single_free(&s);
}
END_TEST

/* And is told, on a lively one, of a subflow that is given up here. */
START_TEST(test_tells_what_it_gives_up)
{
    const char *acted = "";

    single_local(&s, 2);
    s.flow[1].subflow->proven = true;
    single_write(&s, 100);
    braid_subflow_set_room(s.flow[0].subflow, 1u << 20);
    single_send(&s);
    for (unsigned i = 0; strstr(acted, "CLOSE_SUBFLOW 0:12") == NULL; i++) {
        ck_assert_uint_lt(s.now, SINGLE_START + 20000000);
        s.now = braid_session_deadline(s.session);
        single_said(&s, 1);
        single_sleep(&s, 0);
        ck_assert_int_eq(feed_pong(&s, 1, s.flow[1].ping, 0), 0);
        acted = single_acted(&s);
        all_room();
        single_send(&s);
    }
    ck_assert_ptr_nonnull(strstr(single_said(&s, 1), "GONE 0:12"));
    single_send(&s);
    ck_assert_ptr_null(strstr(single_said(&s, 1), "GONE"));
    single_free(&s);
}
END_TEST

/* A primary that comes back while a backup carries the session, and nothing is on its way. */
START_TEST(test_primary_returns)
{
    single_local(&s, 2);
    braid_subflow_set_path(s.flow[1].subflow, 1);
    braid_subflow_set_backup(s.flow[1].subflow, true);
    single_lose(&s, 0);
    single_write(&s, 100);
    all_room();
    single_send(&s);
    ck_assert_int_eq(feed_ack(&s, 1, 100, 524288, 1, (uint64_t[]){1, 100}), 0);
    ck_assert_int_eq(single_add(&s, 2), 0);
    single_send(&s);
    single_said(&s, 1);
    single_said(&s, 2);
    /* Not before its answer. */
    single_write(&s, 100);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "DATA 100+100");
    ck_assert_int_eq(feed_ack(&s, 1, 200, 524288, 1, (uint64_t[]){1, 200}), 0);
    ck_assert_int_eq(feed_hello(&s, 2, BRAID_OK, 200, 524288, SINGLE_INSTANCE), 0);
    single_write(&s, 100);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 2), "DATA 200+100");
    single_free(&s);
}
END_TEST

/* The first flight is on the path that seemed the shorter one, which answers nothing. */
START_TEST(test_no_answer_to_hello)
{
    const char *said = "";

    single_init(&s, BRAID_LOCAL);
    s.config.first = 2;
    s.config.subflows = 2;
    single_open(&s);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(single_add(&s, i), 0);
    braid_subflow_set_path(s.flow[1].subflow, 1);
    look(0, 10000, 0, 0);
    look(1, 50000, 0, 0);
    single_write(&s, 2000);
    single_send(&s);
    ck_assert_ptr_nonnull(strstr(single_said(&s, 0), "DATA 0+2000"));
    single_said(&s, 1);
    single_sleep(&s, 50000);
    look(0, 10000, 2000, 0);
    ck_assert_int_eq(feed_hello(&s, 1, BRAID_OK, 0, 524288, SINGLE_INSTANCE), 0);
    while (strstr(said, "AGAIN 0+2000") == NULL) {
        ck_assert_uint_lt(s.now, SINGLE_START + 400000);
        s.now = braid_session_deadline(s.session);
        single_sleep(&s, 0);
        single_send(&s);
        said = single_said(&s, 1);
    }
    /* What follows goes where somebody answers. */
    single_write(&s, 100);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "");
    ck_assert_str_eq(single_said(&s, 1), "DATA 2000+100");
    single_free(&s);
}
END_TEST

/* Without samples, nothing says that bytes are still in the socket that were acknowledged. */
START_TEST(test_blind_is_not_late)
{
    struct braid_session_stats stats;
    uint64_t sent[2] = {0, 0};

    single_local(&s, 2);
    for (unsigned i = 0; i < 100; i++) {
        single_write(&s, 200000);
        for (unsigned f = 0; f < 2; f++)
            braid_subflow_set_room(s.flow[f].subflow, 50000);
        single_send(&s);
        single_said(&s, 0);
        single_said(&s, 1);
        single_sleep(&s, 5000);
        for (unsigned f = 0; f < 2; f++)
            sent[f] = s.flow[f].subflow->sent;
        ck_assert_int_eq(feed_ack(&s, 0, s.session->next, s.session->next + 524288, 2,
                                  (uint64_t[]){0, sent[0], 1, sent[1]}),
                         0);
    }
    ck_assert_uint_gt(sent[0], 0);
    ck_assert_uint_gt(sent[1], 0);
    braid_session_get_stats(s.session, &stats);
    ck_assert_uint_le(stats.bytes_resent, 8192); /* the copy it began with */
    single_free(&s);
}
END_TEST

/* Every byte is on both, and there is nothing to be in a hurry for. */
START_TEST(test_redundant_waits)
{
    single_init(&s, BRAID_LOCAL);
    s.config.mode = BRAID_MODE_REDUNDANT;
    s.config.first = 2;
    s.config.subflows = 2;
    single_open(&s);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(single_add(&s, i), 0);
        single_send(&s);
        ck_assert_int_eq(feed_hello(&s, i, BRAID_OK, 0, 524288, SINGLE_INSTANCE), 0);
    }
    single_write(&s, 1000);
    all_room();
    single_send(&s);
    ck_assert_ptr_nonnull(strstr(single_said(&s, 0), "DATA 0+1000"));
    ck_assert_ptr_nonnull(strstr(single_said(&s, 1), "AGAIN 0+1000"));
    ck_assert_uint_ge(braid_session_deadline(s.session), s.now + 10000);
    single_free(&s);
}
END_TEST

/* One on probation seems the fastest, but not to help; then who is trusted sends at once. */
START_TEST(test_slow_both)
{
    single_local(&s, 2);
    braid_subflow_set_path(s.flow[1].subflow, 1);
    for (unsigned i = 0; i < 2; i++) {
        look(i, 1000, 0, 0);
        s.flow[i].subflow->proven = i == 0;
        s.flow[i].subflow->sent = 1; /* it recovered, or its copy has arrived */
        s.flow[i].subflow->estimator.best = 1000 + i;
        s.flow[i].subflow->estimator.rate = 1000 + i;
    }
    single_write(&s, 30000);
    all_room();
    single_send(&s);
    ck_assert_int_eq(strncmp(single_said(&s, 0), "DATA 0+", 7), 0);
    single_free(&s);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_probe, 0},
        {test_probe_before_the_answer, 2},
        {test_first_burst, 0},
        {test_late, 0},
        {test_not_late, 0},
        {test_peer_gives_up, 0},
        {test_tells_what_it_gives_up, 0},
        {test_primary_returns, 0},
        {test_no_answer_to_hello, 0},
        {test_blind_is_not_late, 0},
        {test_redundant_waits, 0},
        {test_slow_both, 0},
    };

    return SUITE_RUN("session_late", tests);
}
