/* SPDX-License-Identifier: MIT */
/*
 * How a session ends: half-close, orderly end, reset, refusal; the exact frames and actions.
 */
#include <stdio.h>

#include "pair.h"
#include "single.h"
#include "suite.h"

static struct single s;

/* Both halves finished and acknowledged at our end: CLOSE is what is left to say. */
static void finish_both(void)
{
    braid_session_shutdown(s.session, s.now);
    single_send(&s);
    feed_fin(&s, 0, 0);
    feed_ack(&s, 0, 1, 524288, 0, NULL);
}

START_TEST(test_half_close)
{
    single_local(&s, 1);
    single_write(&s, 100);
    braid_session_shutdown(s.session, s.now);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "DATA 0+100 FIN 100");
    ck_assert_uint_eq(single_write(&s, 10), 0);
    /* The other half goes on. */
    ck_assert_int_eq(feed_ack(&s, 0, 101, 524288, 1, (uint64_t[]){0, 100}), 0);
    ck_assert_str_eq(single_acted(&s), "");
    ck_assert_int_eq(feed_data(&s, 0, 0, 50, 0), 0);
    ck_assert_str_eq(single_acted(&s), "READABLE");
    ck_assert_int_eq(feed_fin(&s, 0, 50), 0);
    ck_assert_str_eq(single_acted(&s), "READABLE");
    ck_assert_uint_eq(single_read(&s, 20), 20);
    ck_assert_str_eq(single_acted(&s), "");
    ck_assert_uint_eq(single_read(&s, 30), 30);
    ck_assert_str_eq(single_acted(&s), "EOF");
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "ACK 51/524338 0:50 CLOSE 0");
    ck_assert_str_eq(single_acted(&s), "CLOSE_SUBFLOW 0:0 CLOSED 0");
    single_free(&s);
}
END_TEST

START_TEST(test_fin_alone)
{
    single_local(&s, 1);
    braid_session_shutdown(s.session, s.now);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "FIN 0");
    braid_session_shutdown(s.session, s.now); /* again: no effect */
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "");
    single_free(&s);
}
END_TEST

/* FIN comes before the last bytes: end of file is told when all is there and drained. */
START_TEST(test_fin_overtakes)
{
    single_local(&s, 2);
    ck_assert_int_eq(feed_fin(&s, 1, 100), 0);
    ck_assert_str_eq(single_acted(&s), "");
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "ACK 0/524288");
    ck_assert_int_eq(feed_data(&s, 0, 40, 60, 0), 0);
    ck_assert_str_eq(single_acted(&s), "");
    ck_assert_int_eq(feed_data(&s, 0, 0, 40, 0), 0);
    ck_assert_str_eq(single_acted(&s), "READABLE");
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "ACK 101/524288 0:100");
    ck_assert_uint_eq(single_read(&s, 100), 100);
    ck_assert_str_eq(single_acted(&s), "EOF");
    single_free(&s);
}
END_TEST

START_TEST(test_fin_errors)
{
    int expected = -BRAID_ERR_PROTOCOL;

    single_local(&s, 1);
    ck_assert_int_eq(feed_data(&s, 0, 0, 100, 0), 0);
    switch (_i) {
    case 0: /* below what came */
        feed_fin(&s, 0, 99);
        break;
    case 1: /* data past it */
        ck_assert_int_eq(feed_fin(&s, 0, 150), 0);
        feed_data(&s, 0, 150, 1, 0);
        break;
    case 2: /* a second one that differs */
        ck_assert_int_eq(feed_fin(&s, 0, 150), 0);
        feed_fin(&s, 0, 151);
        break;
    case 3: /* beyond what may be sent at all */
        feed_fin(&s, 0, 524289);
        break;
    case 4:
        feed_fin(&s, 0, UINT64_MAX);
        break;
    case 5:
        feed_fin(&s, 0, UINT64_MAX - 1);
        break;
    case 6: /* the same again is the same */
        ck_assert_int_eq(feed_fin(&s, 0, 150), 0);
        ck_assert_int_eq(feed_fin(&s, 0, 150), 0);
        feed_data(&s, 0, 100, 50, 0);
        expected = 0;
        break;
    case 7:
        feed_fin(&s, 0, 524288);
        expected = 0;
        break;
    }
    ck_assert_int_eq(s.feed_error, expected);
    single_free(&s);
}
END_TEST

/* An ACK of FIN when there is none, or of one that could not be sent. */
START_TEST(test_ack_of_no_fin)
{
    single_local(&s, 1);
    single_write(&s, 100);
    single_send(&s);
    ck_assert_int_eq(feed_ack(&s, 0, 101, 524288, 0, NULL), -BRAID_ERR_PROTOCOL);
    single_free(&s);
    single_local(&s, 1);
    single_write(&s, 100);
    braid_session_shutdown(s.session, s.now);
    ck_assert_int_eq(feed_ack(&s, 0, 101, 524288, 0, NULL), -BRAID_ERR_PROTOCOL);
    single_free(&s);
}
END_TEST

/* CLOSE goes out on every subflow; each is closed in order. */
START_TEST(test_orderly_end)
{
    single_local(&s, 2);
    finish_both();
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "FIN 0 ACK 1/524288 CLOSE 0");
    ck_assert_str_eq(single_said(&s, 1), "CLOSE 0");
    ck_assert_str_eq(single_acted(&s), "EOF CLOSE_SUBFLOW 1:0 CLOSE_SUBFLOW 0:0 CLOSED 0");
    ck_assert_uint_eq(braid_session_deadline(s.session), BRAID_NEVER);
    single_free(&s);
}
END_TEST

/* The peer knows before we do that all is done. */
START_TEST(test_peer_closes_first)
{
    single_local(&s, 2);
    braid_session_shutdown(s.session, s.now);
    single_send(&s);
    ck_assert_int_eq(feed_fin(&s, 0, 0), 0);
    ck_assert_int_eq(feed_code(&s, 1, BRAID_FRAME_CLOSE, 0), 0);
    ck_assert_str_eq(single_acted(&s), "EOF CLOSE_SUBFLOW 1:0 CLOSE_SUBFLOW 0:0 CLOSED 0");
    single_free(&s);
}
END_TEST

START_TEST(test_close_too_early)
{
    single_local(&s, 1);
    switch (_i) {
    case 0: /* nothing is finished */
        break;
    case 1: /* ours is not */
        feed_fin(&s, 0, 0);
        break;
    case 2: /* theirs is not */
        braid_session_shutdown(s.session, s.now);
        single_send(&s);
        break;
    case 3: /* bytes of theirs are missing */
        braid_session_shutdown(s.session, s.now);
        single_send(&s);
        feed_fin(&s, 0, 10);
        break;
    }
    ck_assert_int_eq(feed_code(&s, 0, BRAID_FRAME_CLOSE, 0), -BRAID_ERR_PROTOCOL);
    single_free(&s);
}
END_TEST

/* CLOSED waits until the application has seen the end of the stream. */
START_TEST(test_closed_after_the_last_byte)
{
    single_local(&s, 1);
    ck_assert_int_eq(feed_data(&s, 0, 0, 100, 0), 0);
    ck_assert_int_eq(feed_fin(&s, 0, 100), 0);
    braid_session_shutdown(s.session, s.now);
    single_send(&s);
    ck_assert_int_eq(feed_ack(&s, 0, 1, 524288, 0, NULL), 0);
    single_send(&s);
    ck_assert_str_eq(single_acted(&s), "READABLE CLOSE_SUBFLOW 0:0");
    ck_assert_uint_eq(single_read(&s, 60), 60);
    ck_assert_str_eq(single_acted(&s), "");
    ck_assert_uint_eq(single_read(&s, 40), 40);
    ck_assert_str_eq(single_acted(&s), "EOF CLOSED 0");
    single_free(&s);
}
END_TEST

/* And who does not want the rest any more gets it at once. */
START_TEST(test_reset_of_what_is_not_read)
{
    single_local(&s, 1);
    ck_assert_int_eq(feed_data(&s, 0, 0, 100, 0), 0);
    ck_assert_int_eq(feed_fin(&s, 0, 100), 0);
    braid_session_shutdown(s.session, s.now);
    single_send(&s);
    ck_assert_int_eq(feed_ack(&s, 0, 1, 524288, 0, NULL), 0);
    single_send(&s);
    ck_assert_str_eq(single_acted(&s), "READABLE CLOSE_SUBFLOW 0:0");
    braid_session_reset(s.session, BRAID_ERR_RESET, s.now);
    ck_assert_str_eq(single_acted(&s), "CLOSED 0");
    single_free(&s);
}
END_TEST

/* CLOSE cannot be written: two seconds, then it is over all the same. */
START_TEST(test_close_is_not_waited_for)
{
    single_local(&s, 1);
    finish_both();
    ck_assert(single_send_some(&s, 14, 64)); /* part of the ACK */
    single_send(&s);
    single_free(&s);
    single_local(&s, 2);
    finish_both();
    braid_subflow_set_blocked(s.flow[1].subflow, true);
    single_send(&s);
    ck_assert_str_eq(single_acted(&s), "EOF CLOSE_SUBFLOW 0:0");
    single_sleep(&s, 1999999);
    ck_assert_str_eq(single_acted(&s), "");
    single_sleep(&s, 1);
    ck_assert_str_eq(single_acted(&s), "CLOSE_SUBFLOW 1:0 CLOSED 0");
    single_free(&s);
}
END_TEST

/* Nor is a subflow that is silent, beside one that CLOSE went out on. */
START_TEST(test_close_is_not_waited_for_on_a_dead_path)
{
    single_local(&s, 2);
    single_write(&s, 100);
    braid_subflow_set_room(s.flow[0].subflow, 0);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "DATA 0+100");
    braid_session_shutdown(s.session, s.now);
    braid_subflow_set_blocked(s.flow[1].subflow, true);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "FIN 100");
    /* All of it has arrived in the end, but of subflow 1 nothing is heard. */
    feed_fin(&s, 0, 0);
    feed_ack(&s, 0, 101, 524288, 0, NULL);
    single_send(&s);
    ck_assert_str_eq(single_acted(&s), "EOF CLOSE_SUBFLOW 0:0");
    single_sleep(&s, 50000);
    ck_assert_str_eq(single_acted(&s), ""); /* it may only be slow */
    while (!s.closed) {
        ck_assert_uint_lt(s.now, SINGLE_START + 500000);
        s.now = braid_session_deadline(s.session);
        single_sleep(&s, 0);
        single_acted(&s);
    }
    ck_assert_int_eq(s.error, BRAID_OK);
    single_free(&s);
}
END_TEST

/* A subflow is not given back before the last frame on it was written to its end. */
START_TEST(test_last_frame_in_pieces)
{
    single_local(&s, 1);
    if (_i == 0) {
        finish_both();
        ck_assert(single_send_some(&s, SIZE_MAX, 64)); /* the ACK */
        ck_assert(single_send_some(&s, 1, 64));
        ck_assert_str_eq(single_acted(&s), "EOF");
        single_send(&s);
        ck_assert_str_eq(single_said(&s, 0), "FIN 0 ACK 1/524288 CLOSE 0");
        ck_assert_str_eq(single_acted(&s), "CLOSE_SUBFLOW 0:0 CLOSED 0");
    } else {
        braid_session_reset(s.session, BRAID_ERR_RESET, s.now);
        for (int i = 0; i < 5; i++) {
            ck_assert(single_send_some(&s, 1, 64));
            ck_assert_str_eq(single_acted(&s), "");
        }
        single_send(&s);
        ck_assert_str_eq(single_said(&s, 0), "RESET 96");
        ck_assert_str_eq(single_acted(&s), "CLOSE_SUBFLOW 0:0 CLOSED 96");
    }
    single_free(&s);
}
END_TEST

/* ---- reset ---- */

START_TEST(test_reset_goes_out_twice)
{
    single_local(&s, 3);
    single_write(&s, 100);
    braid_session_reset(s.session, BRAID_ERR_RESET, s.now);
    ck_assert_str_eq(single_acted(&s), "");
    ck_assert_uint_eq(single_write(&s, 10), 0);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "RESET 96");
    ck_assert_str_eq(single_said(&s, 1), "RESET 96");
    ck_assert_str_eq(single_said(&s, 2), "");
    ck_assert_str_eq(single_acted(&s),
                     "CLOSE_SUBFLOW 2:0 CLOSE_SUBFLOW 1:0 CLOSE_SUBFLOW 0:0 CLOSED 96");
    single_free(&s);
}
END_TEST

START_TEST(test_reset_from_the_peer)
{
    static const int codes[][2] = {{96, 96}, {98, 98}, {0, 96}, {7, 7}, {60000, 60000}};

    single_local(&s, 2);
    ck_assert_int_eq(feed_data(&s, 0, 0, 100, 0), 0);
    ck_assert_int_eq(feed_code(&s, 1, BRAID_FRAME_RESET, codes[_i][0]), 0);
    if (codes[_i][1] < 100) {
        char expected[80];

        snprintf(expected, sizeof expected, "CLOSE_SUBFLOW 1:0 CLOSE_SUBFLOW 0:0 CLOSED %d",
                 codes[_i][1]);
        ck_assert_str_eq(single_acted(&s), expected);
    }
    single_acted(&s);
    ck_assert_int_eq(s.error, codes[_i][1]);
    single_free(&s);
}
END_TEST

/* What comes behind RESET in the same bytes is not looked at. */
START_TEST(test_nothing_behind_the_end)
{
    static const uint8_t bytes[] = {7, 0, 0, 2, 0, 96, 0x0e, 0, 0, 0, 1, 2, 3, 4, 5, 6};

    single_local(&s, 1);
    ck_assert_int_eq(single_feed(&s, 0, bytes, sizeof bytes), 0);
    ck_assert_int_eq(single_feed(&s, 0, bytes, sizeof bytes), 0); /* the driver has more of them */
    ck_assert_str_eq(single_acted(&s), "CLOSE_SUBFLOW 0:0 CLOSED 96");
    single_free(&s);
}
END_TEST

/* A driver may find the transport broken before it has asked for the actions. */
START_TEST(test_lost_before_it_is_given_back)
{
    single_local(&s, 2);
    ck_assert_int_eq(feed_code(&s, 0, BRAID_FRAME_RESET, 96), 0);
    single_lose(&s, 0);
    ck_assert_str_eq(single_acted(&s), "CLOSE_SUBFLOW 1:0 CLOSED 96");
    single_free(&s);
}
END_TEST

START_TEST(test_reset_cannot_be_written)
{
    single_local(&s, 1);
    braid_subflow_set_blocked(s.flow[0].subflow, true);
    braid_session_reset(s.session, BRAID_ERR_RESET, s.now);
    single_send(&s);
    ck_assert_str_eq(single_acted(&s), "");
    single_sleep(&s, 1999999);
    ck_assert_str_eq(single_acted(&s), "");
    single_sleep(&s, 1);
    ck_assert_str_eq(single_acted(&s), "CLOSE_SUBFLOW 0:0 CLOSED 96");
    single_free(&s);
}
END_TEST

/* RESET with no subflow left: one is dialled to say it. */
START_TEST(test_reset_without_a_subflow)
{
    single_local(&s, 1);
    single_lose(&s, 0);
    single_acted(&s);
    braid_session_reset(s.session, BRAID_ERR_RESET, s.now);
    ck_assert_uint_eq(braid_session_subflows_wanted(s.session), 1);
    ck_assert_str_eq(single_acted(&s), "DIAL");
    ck_assert_int_eq(single_add(&s, 0), 0);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "HELLO 1 join 0/524288 RESET 96");
    ck_assert_str_eq(single_acted(&s), "CLOSE_SUBFLOW 0:0 CLOSED 96");
    single_free(&s);
}
END_TEST

/* A remote session has nobody to dial. */
START_TEST(test_remote_reset_without_a_subflow)
{
    single_remote(&s, 1);
    single_lose(&s, 0);
    braid_session_reset(s.session, BRAID_ERR_RESET, s.now);
    ck_assert_str_eq(single_acted(&s), "CLOSED 96");
    single_free(&s);
}
END_TEST

START_TEST(test_reset_when_closing)
{
    single_local(&s, 1);
    finish_both();
    braid_session_reset(s.session, BRAID_ERR_RESET, s.now);
    single_acted(&s);
    single_send(&s);
    single_acted(&s);
    ck_assert(s.closed);
    braid_session_reset(s.session, BRAID_ERR_RESET, s.now); /* again: no effect */
    single_free(&s);
}
END_TEST

/* Before the peer has answered there is nothing to reset over there. */
START_TEST(test_reset_before_the_first_answer)
{
    single_init(&s, BRAID_LOCAL);
    single_open(&s);
    braid_session_reset(s.session, BRAID_ERR_RESET, s.now);
    ck_assert_str_eq(single_acted(&s), "DIAL CLOSED 96");
    ck_assert_uint_eq(braid_session_subflows_wanted(s.session), 0);
    single_free(&s);
    single_init(&s, BRAID_LOCAL);
    single_open(&s);
    ck_assert_int_eq(single_add(&s, 0), 0);
    braid_session_reset(s.session, BRAID_ERR_RESET, s.now);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "HELLO 0 create 0/524288 RESET 96");
    ck_assert_str_eq(single_acted(&s), "DIAL CLOSE_SUBFLOW 0:0 CLOSED 96");
    single_free(&s);
}
END_TEST

/* ---- the target ---- */

/* One subflow, and nothing known of the target. */
static void open_unanswered(enum braid_role role)
{
    single_init(&s, role);
    s.config.subflows = 1;
    single_open(&s);
    ck_assert_int_eq(single_add(&s, 0), 0);
    single_send(&s);
    if (role == BRAID_LOCAL)
        ck_assert_int_eq(feed_hello(&s, 0, BRAID_OK, 0, 524288, SINGLE_INSTANCE), 0);
    single_said(&s, 0);
    single_acted(&s);
}

START_TEST(test_target_refused)
{
    open_unanswered(BRAID_REMOTE);
    braid_session_answer(s.session, BRAID_ERR_REFUSED, s.now);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "RESULT 98 RESET 98");
    ck_assert_str_eq(single_acted(&s), "CLOSE_SUBFLOW 0:0 CLOSED 96");
    single_free(&s);
    open_unanswered(BRAID_LOCAL);
    ck_assert_int_eq(feed_code(&s, 0, BRAID_FRAME_CONNECT_RESULT, 98), 0);
    ck_assert_str_eq(single_acted(&s), "RESULT 98 CLOSE_SUBFLOW 0:0 CLOSED 98");
    single_free(&s);
}
END_TEST

START_TEST(test_target_reached)
{
    open_unanswered(BRAID_REMOTE);
    ck_assert_int_eq(single_add(&s, 1), 0);
    single_send(&s);
    single_said(&s, 1);
    braid_session_answer(s.session, BRAID_OK, s.now);
    braid_session_answer(s.session, BRAID_ERR_REFUSED, s.now); /* only the first counts */
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "RESULT 0");
    /* It may be lost with its subflow. */
    single_lose(&s, 0);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "RESULT 0 ACK 0/524288");
    single_free(&s);
    open_unanswered(BRAID_LOCAL);
    ck_assert_int_eq(feed_code(&s, 0, BRAID_FRAME_CONNECT_RESULT, 0), 0);
    ck_assert_int_eq(feed_code(&s, 0, BRAID_FRAME_CONNECT_RESULT, 98), 0);
    ck_assert_str_eq(single_acted(&s), "RESULT 0");
    single_free(&s);
}
END_TEST

/* The end may overtake the news of the target, which it proves. */
START_TEST(test_end_overtakes_result)
{
    open_unanswered(BRAID_LOCAL);
    finish_both();
    single_send(&s);
    ck_assert_str_eq(single_acted(&s), "RESULT 0 EOF CLOSE_SUBFLOW 0:0 CLOSED 0");
    single_free(&s);
}
END_TEST

/* ---- a peer that has finished and forgotten us ---- */

START_TEST(test_finished)
{
    single_local(&s, 1);
    ck_assert_int_eq(feed_fin(&s, 0, 0), 0);
    braid_session_shutdown(s.session, s.now);
    single_send(&s);
    single_lose(&s, 0); /* with it the CLOSE of the peer */
    single_acted(&s);
    ck_assert_int_eq(single_add(&s, 0), 0);
    single_send(&s);
    ck_assert_int_eq(feed_hello(&s, 0, BRAID_ERR_FINISHED, 0, 0, SINGLE_INSTANCE), 0);
    ck_assert_str_eq(single_acted(&s), "CLOSE_SUBFLOW 0:0 CLOSED 0");
    single_free(&s);
}
END_TEST

/* It says that it finished in order, but bytes are missing here: that is not in order. */
START_TEST(test_finished_without_us)
{
    single_local(&s, 1);
    ck_assert_int_eq(feed_fin(&s, 0, 10), 0);
    braid_session_shutdown(s.session, s.now);
    single_send(&s);
    single_lose(&s, 0);
    single_acted(&s);
    ck_assert_int_eq(single_add(&s, 0), 0);
    single_send(&s);
    ck_assert_int_eq(feed_hello(&s, 0, BRAID_ERR_FINISHED, 0, 0, SINGLE_INSTANCE), 0);
    ck_assert_str_eq(single_acted(&s), "CLOSE_SUBFLOW 0:0 CLOSED 6");
    single_free(&s);
}
END_TEST

/* Two whole sessions: every order of the two shutdowns and of what is still unread ends well. */
START_TEST(test_all_orders)
{
    static struct pair pair;

    pair_init(&pair, 1 + (unsigned)(_i & 3));
    ck_assert(pair_open(&pair));
    pair_settle(&pair, 1000);
    pair_write(&pair, PAIR_LOCAL, (_i & 4) != 0 ? 100000 : 0);
    pair_write(&pair, PAIR_REMOTE, (_i & 8) != 0 ? 100000 : 0);
    pair_shutdown(&pair, (_i & 16) != 0 ? PAIR_LOCAL : PAIR_REMOTE);
    if ((_i & 32) != 0)
        pair_run(&pair, (_i & 64) != 0);
    pair_shutdown(&pair, (_i & 16) != 0 ? PAIR_REMOTE : PAIR_LOCAL);
    pair_run(&pair, false);
    pair_finish(&pair);
    ck_assert_uint_le(pair.now, 1000000 + 3000000);
    pair_free(&pair);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_half_close, 0},
        {test_fin_alone, 0},
        {test_fin_overtakes, 0},
        {test_fin_errors, 8},
        {test_ack_of_no_fin, 0},
        {test_orderly_end, 0},
        {test_peer_closes_first, 0},
        {test_close_too_early, 4},
        {test_closed_after_the_last_byte, 0},
        {test_reset_of_what_is_not_read, 0},
        {test_close_is_not_waited_for, 0},
        {test_close_is_not_waited_for_on_a_dead_path, 0},
        {test_last_frame_in_pieces, 2},
        {test_reset_goes_out_twice, 0},
        {test_reset_from_the_peer, 5},
        {test_nothing_behind_the_end, 0},
        {test_lost_before_it_is_given_back, 0},
        {test_reset_cannot_be_written, 0},
        {test_reset_without_a_subflow, 0},
        {test_remote_reset_without_a_subflow, 0},
        {test_reset_when_closing, 0},
        {test_reset_before_the_first_answer, 0},
        {test_target_refused, 0},
        {test_target_reached, 0},
        {test_end_overtakes_result, 0},
        {test_finished, 0},
        {test_finished_without_us, 0},
        {test_all_orders, 128},
    };

    return SUITE_RUN("session_close", tests);
}
