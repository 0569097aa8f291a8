/* SPDX-License-Identifier: MIT */
/*
 * Subflows that die or go silent: what is sent again, where, and when.
 */
#include <string.h>

#include "core/session_internal.h"
#include "pair.h"
#include "single.h"
#include "suite.h"

static struct single s;

/* Lets one subflow alone send n bytes of what was written. */
static void send_on(unsigned i, size_t n)
{
    for (unsigned k = 0; k < SINGLE_FLOWS; k++) {
        if (s.flow[k].subflow != NULL)
            braid_subflow_set_room(s.flow[k].subflow, k == i ? n : 0);
    }
    single_send(&s);
}

static void all_room(void)
{
    for (unsigned k = 0; k < SINGLE_FLOWS; k++) {
        if (s.flow[k].subflow != NULL)
            braid_subflow_set_room(s.flow[k].subflow, 1u << 20);
    }
}

static const char *state(unsigned i)
{
    struct braid_subflow_stats stats;

    braid_subflow_get_stats(s.flow[i].subflow, &stats);
    return stats.state;
}

/* A session with subflows that have all delivered something. */
static void proven_local(unsigned n)
{
    single_local(&s, n);
    for (unsigned i = 0; i < n; i++)
        s.flow[i].subflow->proven = true;
}

/* ---- death ---- */

/* What the dead subflow had not delivered is sent again: exactly that, once. */
START_TEST(test_death)
{
    struct braid_session_stats stats;

    proven_local(2);
    single_write(&s, 30000);
    send_on(0, 10000); /* 0+10000 */
    send_on(1, 10000); /* 10000+10000 */
    send_on(0, 10000); /* 20000+10000 */
    ck_assert_str_eq(single_said(&s, 0), "DATA 0+10000 DATA 20000+10000");
    ck_assert_str_eq(single_said(&s, 1), "DATA 10000+10000");
    /* It had delivered 14000: all of the first part, 4000 of the second. */
    ck_assert_int_eq(feed_ack(&s, 1, 10000, 524288, 1, (uint64_t[]){0, 14000}), 0);
    single_lose(&s, 0);
    ck_assert_str_eq(single_acted(&s), "DIAL");
    all_room();
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "ACK 0/524288 AGAIN 24000+6000");
    /* Dies this one too, its own bytes go again, and nothing that has arrived. */
    ck_assert_int_eq(single_add(&s, 2), 0);
    single_send(&s);
    ck_assert_int_eq(feed_hello(&s, 2, BRAID_OK, 20000, 524288, SINGLE_INSTANCE), 0);
    single_said(&s, 2);
    ck_assert_int_eq(feed_ack(&s, 1, 24000, 524288, 1, (uint64_t[]){1, 10000}), 0);
    single_lose(&s, 1);
    all_room();
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 2), "ACK 0/524288 AGAIN 24000+6000");
    braid_session_get_stats(s.session, &stats);
    ck_assert_uint_eq(stats.bytes_resent, 12000);
    ck_assert_uint_eq(stats.subflows_lost, 2);
    single_free(&s);
}
END_TEST

/* Parts of a range that arrived out of order are not sent again. */
START_TEST(test_death_with_holes)
{
    proven_local(2);
    single_write(&s, 4000);
    send_on(0, 4000);
    ck_assert_str_eq(single_said(&s, 0), "DATA 0+4000");
    single_lose(&s, 0);
    send_on(1, 4000);
    ck_assert_str_eq(single_said(&s, 1), "ACK 0/524288 AGAIN 0+4000");
    ck_assert_int_eq(single_add(&s, 0), 0);
    single_send(&s);
    ck_assert_int_eq(feed_hello(&s, 0, BRAID_OK, 0, 524288, SINGLE_INSTANCE), 0);
    s.flow[0].subflow->proven = true;
    single_write(&s, 1000);
    send_on(0, 1000); /* 4000+1000 */
    single_said(&s, 0);
    ck_assert_int_eq(feed_ack(&s, 0, 0, 524288, 1, (uint64_t[]){2, 1000}), 0);
    single_lose(&s, 1);
    all_room();
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "ACK 0/524288 AGAIN 0+4000");
    single_lose(&s, 0);
    ck_assert_int_eq(single_add(&s, 0), 0);
    all_room();
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "HELLO 3 join 0/524288 ACK 0/524288 AGAIN 0+4000");
    single_free(&s);
}
END_TEST

/* Nothing was lost that had arrived: only the acknowledgement is said anew. */
START_TEST(test_death_after_delivery)
{
    single_local(&s, 2);
    single_write(&s, 4000);
    send_on(0, 4000);
    ck_assert_int_eq(feed_ack(&s, 1, 4000, 524288, 1, (uint64_t[]){0, 4000}), 0);
    ck_assert_int_eq(feed_data(&s, 0, 0, 100, 0), 0);
    single_sleep(&s, 10000);
    single_send(&s);
    single_said(&s, 0);
    single_said(&s, 1);
    single_lose(&s, 0);
    all_room();
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "ACK 100/524288");
    single_free(&s);
}
END_TEST

/* FIN dies with its subflow and is said again; so is the acknowledgement of the peer's. */
START_TEST(test_fin_dies)
{
    single_local(&s, 2);
    braid_session_shutdown(s.session, s.now);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "FIN 0");
    ck_assert_int_eq(feed_fin(&s, 1, 0), 0);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "ACK 1/524288");
    single_lose(&s, 0);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "ACK 1/524288 FIN 0");
    single_free(&s);
}
END_TEST

/* A frame of which a part was written dies with the subflow; all of it goes again. */
START_TEST(test_death_in_mid_frame)
{
    for (size_t n = 1; n < 120; n++) {
        single_local(&s, 2);
        single_write(&s, 100);
        ck_assert(single_send_some(&s, n, 64));
        single_lose(&s, 0);
        all_room();
        single_send(&s);
        ck_assert_str_eq(single_said(&s, 1), "ACK 0/524288 AGAIN 0+100");
        single_free(&s);
    }
}
END_TEST

/* Rescued bytes that were confirmed later do not hide others behind them. */
START_TEST(test_death_after_recovery)
{
    single_local(&s, 2);
    single_write(&s, 16000);
    send_on(0, 1u << 20);
    single_said(&s, 0);
    while (strcmp(state(0), "stale") != 0) {
        ck_assert_uint_lt(s.now, SINGLE_START + 2000000);
        s.now = braid_session_deadline(s.session);
        single_sleep(&s, 0);
    }
    send_on(1, 1u << 20);
    single_said(&s, 1);
    /* Back to life: 10000 arrived here too, and 1000 new ones are sent here. */
    ck_assert_int_eq(feed_ack(&s, 0, 10000, 524288, 1, (uint64_t[]){0, 10000}), 0);
    single_write(&s, 1000);
    send_on(0, 1u << 20);
    ck_assert_ptr_nonnull(strstr(single_said(&s, 0), "DATA 16000+1000"));
    single_lose(&s, 0);
    send_on(1, 1u << 20);
    ck_assert_str_eq(single_said(&s, 1), "ACK 0/524288 AGAIN 16000+1000");
    single_free(&s);
}
END_TEST

/* ---- grace ---- */

START_TEST(test_grace)
{
    single_local(&s, 1);
    single_lose(&s, 0);
    ck_assert_str_eq(single_acted(&s), "DIAL");
    single_sleep(&s, 59999999);
    ck_assert_str_eq(single_acted(&s), "");
    if (_i == 0) {
        single_sleep(&s, 1);
        ck_assert_str_eq(single_acted(&s), "CLOSED 9");
    } else { /* at the last moment */
        ck_assert_int_eq(single_add(&s, 0), 0);
        single_sleep(&s, 1);
        ck_assert_str_eq(single_acted(&s), "");
    }
    single_free(&s);
}
END_TEST

START_TEST(test_grace_of_the_remote)
{
    single_init(&s, BRAID_REMOTE);
    single_open(&s);
    single_sleep(&s, 60000000);
    ck_assert_str_eq(single_acted(&s), "CLOSED 9"); /* nobody ever came */
    single_free(&s);
    single_remote(&s, 2);
    single_lose(&s, 0);
    single_lose(&s, 1);
    single_sleep(&s, 60000000);
    ck_assert_str_eq(single_acted(&s), "CLOSED 9");
    single_free(&s);
}
END_TEST

START_TEST(test_no_grace)
{
    single_init(&s, BRAID_REMOTE);
    s.config.grace = 0;
    single_open(&s);
    ck_assert_int_eq(single_add(&s, 0), 0);
    single_acted(&s);
    single_lose(&s, 0);
    single_sleep(&s, 0);
    ck_assert_str_eq(single_acted(&s), "CLOSED 9");
    single_free(&s);
}
END_TEST

/* ---- silence ---- */

/* Silent, suspect, stale, and back. */
START_TEST(test_silence)
{
    single_local(&s, 2);
    single_write(&s, 100000);
    send_on(0, 100000);
    single_said(&s, 0);
    ck_assert_str_eq(state(0), "active");
    single_sleep(&s, 250000);
    ck_assert_str_eq(state(0), "active");
    single_sleep(&s, 62500);
    ck_assert_str_eq(state(0), "suspect");
    /* The head of the line goes elsewhere, no new data comes here, and it is asked. */
    all_room();
    single_send(&s);
    ck_assert_int_eq(strncmp(single_said(&s, 1), "AGAIN 0+", 8), 0);
    ck_assert_str_eq(single_said(&s, 0), "PING");
    single_write(&s, 50);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "");
    while (strcmp(state(0), "stale") != 0) {
        ck_assert_uint_lt(s.now, SINGLE_START + 2000000);
        ck_assert_int_eq(feed_pong(&s, 1, 0, 0), 0);
        ck_assert_int_eq(feed_ack(&s, 1, 0, 524288, 1, (uint64_t[]){1, 100}), 0);
        s.now = braid_session_deadline(s.session);
        single_sleep(&s, 0);
        all_room();
        single_send(&s);
    }
    /* Whatever it held is on its way elsewhere now: when it dies, nothing is sent again. */
    single_said(&s, 1);
    if (_i == 0) {
        ck_assert_int_eq(feed_pong(&s, 0, s.flow[0].ping, 0), 0);
        ck_assert_str_eq(state(0), "active");
    } else if (_i == 1) {
        ck_assert_int_eq(feed_ack(&s, 0, 0, 524288, 1, (uint64_t[]){0, 1}), 0);
        ck_assert_str_eq(state(0), "active");
    } else if (_i == 2) { /* that may have arrived before it fell silent */
        ck_assert_int_eq(feed_ack(&s, 1, 0, 524288, 1, (uint64_t[]){0, 1}), 0);
        ck_assert_str_eq(state(0), "stale");
    }
    single_lose(&s, 0);
    all_room();
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "ACK 0/524288");
    single_free(&s);
}
END_TEST

/* What a silent subflow held is to be sent again, but then it arrives after all: it is not. */
START_TEST(test_arrives_after_all)
{
    proven_local(2);
    single_write(&s, 12000);
    send_on(0, 1u << 20);
    ck_assert_str_eq(single_said(&s, 0), "DATA 0+12000");
    single_sleep(&s, 250000);
    single_sleep(&s, 62500);
    ck_assert_str_eq(state(0), "suspect");
    ck_assert_int_eq(feed_ack(&s, 0, 5000, 524288, 1, (uint64_t[]){0, 10000}), 0);
    ck_assert_str_eq(state(0), "active");
    braid_subflow_set_room(s.flow[0].subflow, 0);
    braid_subflow_set_room(s.flow[1].subflow, 1u << 20);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "AGAIN 10000+2000");
    single_free(&s);
}
END_TEST

/* The driver knows that the link is gone: what was on it goes elsewhere at once. */
START_TEST(test_cut)
{
    uint64_t since;

    single_local(&s, 2);
    single_write(&s, 9000);
    send_on(0, 1u << 20);
    ck_assert_str_eq(single_said(&s, 0), "DATA 0+9000");
    braid_subflow_cut(s.flow[0].subflow, s.now);
    ck_assert_str_eq(state(0), "stale");
    all_room();
    single_write(&s, 50);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "AGAIN 0+9000 DATA 9000+50");
    ck_assert_str_eq(single_said(&s, 0), "PING");
    /* Where the other one is gone too, there is nothing better than to wait. */
    braid_subflow_cut(s.flow[1].subflow, s.now);
    ck_assert_str_eq(state(1), "active");
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "PING");
    /* It is back before long; that was no reason to be more patient with silence from now on. */
    single_sleep(&s, 1000);
    ck_assert_int_eq(feed_pong(&s, 1, s.flow[1].ping, 0), 0);
    ck_assert_int_eq(feed_pong(&s, 0, s.flow[0].ping, 0), 0);
    ck_assert_str_eq(state(0), "active");
    ck_assert_int_eq(feed_ack(&s, 0, 9050, 524288, 2, (uint64_t[]){0, 9000, 1, 9050}), 0);
    single_write(&s, 100);
    send_on(0, 1u << 20);
    ck_assert_str_eq(single_said(&s, 0), "DATA 9050+100");
    since = s.now;
    while (strcmp(state(0), "suspect") != 0) {
        ck_assert_uint_lt(s.now, since + 400000);
        s.now = braid_session_deadline(s.session);
        single_sleep(&s, 0);
    }
    single_free(&s);
}
END_TEST

/* All silent at once: no path's fault. They are asked, and nothing is sent twice. */
START_TEST(test_all_silent)
{
    struct braid_session_stats stats;

    proven_local(2);
    single_write(&s, 20000);
    send_on(0, 10000);
    send_on(1, 10000);
    for (uint64_t end = s.now + 10000000; s.now < end;) {
        s.now = braid_session_deadline(s.session);
        single_sleep(&s, 0);
        all_room();
        single_send(&s);
    }
    ck_assert_str_eq(state(0), "active");
    ck_assert_str_eq(state(1), "active");
    braid_session_get_stats(s.session, &stats);
    ck_assert_uint_eq(stats.bytes_resent, 0);
    ck_assert_ptr_nonnull(strstr(single_said(&s, 0), "PING"));
    ck_assert_ptr_nonnull(strstr(single_said(&s, 1), "PING"));
    single_free(&s);
}
END_TEST

/* The only one, of a session that has not needed more, is silent: now it needs the others. */
START_TEST(test_silent_alone)
{
    single_init(&s, BRAID_LOCAL);
    s.config.subflows = 2;
    s.config.first = 1;
    single_open(&s);
    ck_assert_int_eq(single_add(&s, 0), 0);
    single_send(&s);
    ck_assert_int_eq(feed_hello(&s, 0, BRAID_OK, 0, 524288, SINGLE_INSTANCE), 0);
    single_write(&s, 100);
    single_send(&s);
    single_acted(&s);
    ck_assert_uint_eq(braid_session_subflows_wanted(s.session), 1);
    single_sleep(&s, 250000);
    single_sleep(&s, 62500);
    ck_assert_str_eq(single_acted(&s), "DIAL");
    ck_assert_uint_eq(braid_session_subflows_wanted(s.session), 2);
    ck_assert_str_eq(state(0), "active"); /* it may be the peer's fault */
    ck_assert_int_eq(single_add(&s, 1), 0);
    single_send(&s);
    ck_assert_int_eq(feed_hello(&s, 1, BRAID_OK, 0, 524288, SINGLE_INSTANCE), 0);
    single_sleep(&s, 62500);
    ck_assert_str_eq(state(0), "suspect");
    all_room();
    single_send(&s);
    ck_assert_ptr_nonnull(strstr(single_said(&s, 1), "AGAIN 0+100"));
    single_free(&s);
}
END_TEST

/* Silent for 15 s: given up, whatever the others do. */
START_TEST(test_silent_for_good)
{
    const char *acted;

    single_local(&s, 1);
    single_write(&s, 100);
    single_send(&s);
    for (acted = single_acted(&s); acted[0] == '\0'; acted = single_acted(&s)) {
        ck_assert_uint_lt(s.now, SINGLE_START + 16000000);
        s.now = braid_session_deadline(s.session);
        single_sleep(&s, 0);
        single_send(&s);
    }
    ck_assert_str_eq(acted, "DIAL CLOSE_SUBFLOW 0:12");
    ck_assert_uint_gt(s.now, SINGLE_START + 15000000);
    ck_assert_uint_lt(s.now, SINGLE_START + 16000000);
    single_free(&s);
}
END_TEST

START_TEST(test_keep_alive)
{
    uint64_t idle;

    single_local(&s, 1);
    idle = s.now;
    for (int i = 0; i < 5; i++) {
        while (single_said(&s, 0)[0] == '\0') {
            ck_assert_uint_lt(s.now, idle + 25000000);
            s.now = braid_session_deadline(s.session);
            single_sleep(&s, 0);
            single_send(&s);
        }
        ck_assert_uint_eq(s.now, idle + 25000000);
        ck_assert_str_eq(s.said, "PING");
        idle = s.now;
        ck_assert_int_eq(feed_pong(&s, 0, s.flow[0].ping, 0), 0);
    }
    single_free(&s);
}
END_TEST

/* A socket that takes nothing while a PING is due: time passes in steps, not in a spin. */
START_TEST(test_blocked_does_not_spin)
{
    int turns = 0;

    single_local(&s, 1);
    braid_subflow_set_blocked(s.flow[0].subflow, true);
    for (uint64_t end = s.now + 60000000; s.now < end; turns++) {
        s.now = braid_session_deadline(s.session);
        if (s.now == BRAID_NEVER)
            break;
        single_sleep(&s, 0);
        single_send(&s);
        single_acted(&s);
    }
    ck_assert_int_lt(turns, 1000);
    single_free(&s);
}
END_TEST

/* ---- where control goes ---- */

/* An ACK must not go where nobody has answered yet: it may lead nowhere. */
START_TEST(test_control_on_answered_subflows)
{
    single_local(&s, 2);
    single_lose(&s, 0);
    ck_assert_int_eq(single_add(&s, 0), 0);
    single_send(&s);
    single_said(&s, 0);
    single_said(&s, 1);
    ck_assert_int_eq(feed_data(&s, 1, 0, 100, 0), 0);
    single_sleep(&s, 10000);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "");
    ck_assert_str_eq(single_said(&s, 1), "ACK 100/524288 1:100");
    braid_session_shutdown(s.session, s.now);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "FIN 0");
    braid_session_reset(s.session, BRAID_ERR_RESET, s.now);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "RESET 96");
    ck_assert_str_eq(single_said(&s, 0), "RESET 96");
    single_free(&s);
}
END_TEST

/* The time of pull and pulled may differ: the PONG is an answer all the same. */
START_TEST(test_ping_pulled_later)
{
    struct braid_subflow *subflow;
    struct iovec v[8];
    uint64_t time;
    int count;

    single_local(&s, 1);
    single_sleep(&s, 25000000);
    subflow = braid_session_next_sender(s.session, s.now);
    ck_assert_ptr_nonnull(subflow);
    count = braid_subflow_pull(subflow, v, 8, s.now);
    ck_assert_int_eq(count, 1);
    ck_assert_int_eq(braid_wire_read_ping((uint8_t *)v[0].iov_base + 4, 8, &time), 0);
    s.now += 3;
    braid_subflow_pulled(subflow, v[0].iov_len, s.now);
    ck_assert_int_eq(feed_pong(&s, 0, time, 0), 0);
    for (uint64_t end = s.now + 20000000; s.now < end;)
        single_sleep(&s, 100000);
    ck_assert_str_eq(single_acted(&s), ""); /* it is not taken for dead */
    single_free(&s);
}
END_TEST

/* ---- joins at the wrong moment ---- */

/* The HELLO of a join may bring the last acknowledgement: the session has then ended in order. */
START_TEST(test_join_that_finishes)
{
    struct braid_hello hello = {.max_version = 1,
                                .subflow = 9,
                                .session = PAIR_ID,
                                .token = "0123456789abcde",
                                .ack = 1,
                                .limit = 524288};

    single_remote(&s, 1);
    braid_session_shutdown(s.session, s.now);
    single_send(&s);
    ck_assert_int_eq(feed_fin(&s, 0, 0), 0);
    single_send(&s);
    ck_assert_int_eq(single_join(&s, 1, &hello), BRAID_ERR_FINISHED);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "FIN 0 ACK 1/524288 CLOSE 0");
    ck_assert_str_eq(single_acted(&s), "EOF CLOSE_SUBFLOW 0:0 CLOSED 0");
    single_free(&s);
}
END_TEST

/* A subflow that is long dead and not buried, no memory for what it held, and one that joins. */
START_TEST(test_join_without_memory)
{
    struct braid_hello hello = {
        .max_version = 1, .subflow = 9, .session = PAIR_ID, .token = "0123456789abcde"};
    int error;

    hello.limit = 524288;
    single_remote(&s, 2);
    single_write(&s, 30000);
    send_on(0, 10000);
    send_on(1, 10000);
    s.now += 16000000;
    braid_pool_fail_after(s.pool, (uint64_t)_i + 1);
    error = single_join(&s, 2, &hello);
    braid_pool_fail_after(s.pool, 0);
    ck_assert(error == BRAID_OK || error == BRAID_ERR_MEMORY);
    if (error == BRAID_OK)
        single_lose(&s, 2);
    single_sleep(&s, 0);
    single_send(&s);
    single_acted(&s);
    single_free(&s);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_death, 0},
        {test_death_with_holes, 0},
        {test_death_after_delivery, 0},
        {test_fin_dies, 0},
        {test_death_in_mid_frame, 0},
        {test_death_after_recovery, 0},
        {test_grace, 2},
        {test_grace_of_the_remote, 0},
        {test_no_grace, 0},
        {test_silence, 4},
        {test_arrives_after_all, 0},
        {test_cut, 0},
        {test_all_silent, 0},
        {test_silent_alone, 0},
        {test_silent_for_good, 0},
        {test_keep_alive, 0},
        {test_blocked_does_not_spin, 0},
        {test_control_on_answered_subflows, 0},
        {test_ping_pulled_later, 0},
        {test_join_that_finishes, 0},
        {test_join_without_memory, 6},
    };

    return SUITE_RUN("session_rescue", tests);
}
