/* SPDX-License-Identifier: MIT */
/*
 * How a session begins: greetings, joins, refusals.
 */
#include <string.h>

#include "pair.h"
#include "single.h"
#include "suite.h"

static struct single s;

/* The very first bytes of a LOCAL session: preamble, HELLO, and the first data right behind. */
START_TEST(test_first_bytes)
{
    static const uint8_t expected[] = {
        0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 'B', 'R', 'D', 1, 0, 0,
    };
    struct braid_greeting greeting = {0};
    struct braid_hello hello;
    const uint8_t *data;
    size_t used;
    uint64_t id;

    single_init(&s, BRAID_LOCAL);
    single_open(&s);
    ck_assert_str_eq(single_acted(&s), "DIAL");
    ck_assert_uint_eq(single_write(&s, 5), 5);
    ck_assert_int_eq(single_add(&s, 0), 0);
    single_send(&s);
    ck_assert_mem_eq(s.flow[0].out, expected, sizeof expected);
    ck_assert_int_eq(
        braid_greeting_feed(&greeting, s.flow[0].out, s.flow[0].out_len, &used, &id, &hello),
        BRAID_GREETING_DONE);
    ck_assert_uint_eq(id, PAIR_ID);
    ck_assert_uint_eq(hello.subflow, 0);
    ck_assert_uint_eq(hello.flags, BRAID_HELLO_CREATE);
    ck_assert_mem_eq(hello.token, s.config.token, 16);
    ck_assert_uint_eq(hello.ack, 0);
    ck_assert_uint_eq(hello.limit, 524288);
    ck_assert_uint_eq(hello.instance, s.config.instance);
    ck_assert_uint_eq(s.flow[0].out_len - used, 12 + 5);
    data = s.flow[0].out + used;
    ck_assert_mem_eq(data, "\x02\x00\x00\x0d\0\0\0\0\0\0\0\0", 12);
    ck_assert_str_eq(single_said(&s, 0), "HELLO 0 create 0/524288 DATA 0+5");
    single_free(&s);
}
END_TEST

/* Under TLS the preamble is the driver's, and a frame is no longer than a record can be. */
START_TEST(test_first_bytes_of_tls)
{
    size_t at = 0, data = 0;

    single_init(&s, BRAID_LOCAL);
    s.config.tls = true;
    single_open(&s);
    ck_assert_uint_eq(single_write(&s, 60000), 60000);
    ck_assert_int_eq(single_add(&s, 0), 0);
    s.flow[0].greeted = true;
    single_send(&s);
    ck_assert_uint_eq(s.flow[0].out[0], BRAID_FRAME_HELLO);
    while (at < s.flow[0].out_len) {
        const uint8_t *frame = s.flow[0].out + at;
        size_t size = BRAID_FRAME_HEAD + ((size_t)frame[2] << 8 | frame[3]);

        ck_assert_uint_le(size, 16384);
        data += frame[0] == BRAID_FRAME_DATA ? size - 12 : 0;
        at += size;
    }
    ck_assert_uint_eq(at, s.flow[0].out_len);
    ck_assert_uint_eq(data, 60000);
    single_free(&s);
}
END_TEST

START_TEST(test_local_established)
{
    single_init(&s, BRAID_LOCAL);
    s.config.first = 2;
    single_open(&s);
    ck_assert_int_eq(single_add(&s, 0), 0);
    ck_assert_int_eq(single_add(&s, 1), 0);
    single_send(&s);
    /* Whichever comes first makes the session. */
    ck_assert_str_eq(single_said(&s, 0), "HELLO 0 create 0/524288");
    ck_assert_str_eq(single_said(&s, 1), "HELLO 1 create 0/524288");
    ck_assert_str_eq(single_acted(&s), "DIAL");
    ck_assert_int_eq(feed_hello(&s, 1, BRAID_OK, 0, 524288, 5), 0);
    ck_assert_str_eq(single_acted(&s), "ESTABLISHED");
    ck_assert_int_eq(feed_hello(&s, 0, BRAID_OK, 0, 524288, 5), 0);
    ck_assert_str_eq(single_acted(&s), "");
    /* From now on it exists: no later subflow may make it anew. */
    single_lose(&s, 0);
    ck_assert_str_eq(single_acted(&s), "DIAL");
    ck_assert_int_eq(single_add(&s, 0), 0);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "HELLO 2 join 0/524288");
    single_free(&s);
}
END_TEST

START_TEST(test_remote_established)
{
    single_init(&s, BRAID_REMOTE);
    single_open(&s);
    ck_assert_str_eq(single_acted(&s), "");
    ck_assert_int_eq(single_add(&s, 0), 0);
    ck_assert_str_eq(single_acted(&s), "ESTABLISHED");
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "HELLO 0 reply 0/524288");
    ck_assert_int_eq(single_add(&s, 1), 0);
    ck_assert_str_eq(single_acted(&s), "");
    braid_session_answer(s.session, BRAID_OK, s.now);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "HELLO 1 reply 0/524288 RESULT 0");
    single_free(&s);
}
END_TEST

/* The token is for the peer alone, who knows it: the answer does not repeat it. */
START_TEST(test_reply_without_token)
{
    struct braid_hello hello;

    single_init(&s, BRAID_REMOTE);
    single_open(&s);
    ck_assert_int_eq(single_add(&s, 0), 0);
    single_send(&s);
    ck_assert_int_eq(braid_wire_read_hello(s.flow[0].out + 4, s.flow[0].out_len - 4, &hello), 0);
    for (int i = 0; i < 16; i++)
        ck_assert_uint_eq(hello.token[i], 0);
    single_free(&s);
}
END_TEST

START_TEST(test_joins_refused)
{
    struct braid_hello hello = {
        .max_version = 1, .session = PAIR_ID, .token = "0123456789abcde", .limit = 524288};

    single_remote(&s, 2); /* indices 0 and 1 */
    hello.subflow = 9;
    for (int i = 0; i < 16; i++) {
        hello.token[i] ^= 0x80;
        ck_assert_int_eq(single_join(&s, 2, &hello), BRAID_ERR_TOKEN);
        hello.token[i] ^= 0x80;
    }
    hello.subflow = 1;
    ck_assert_int_eq(single_join(&s, 2, &hello), BRAID_ERR_PROTOCOL);
    single_lose(&s, 1);
    ck_assert_int_eq(single_join(&s, 2, &hello), BRAID_ERR_PROTOCOL); /* not even when it is gone */
    hello.subflow = 9;
    hello.ack = 1; /* of a byte that was never sent */
    ck_assert_int_eq(single_join(&s, 2, &hello), BRAID_ERR_PROTOCOL);
    hello.ack = 0;
    ck_assert_int_eq(single_join(&s, 2, &hello), BRAID_OK);
    for (hello.subflow = 10; hello.subflow < 12; hello.subflow++)
        ck_assert_int_eq(single_join(&s, hello.subflow - 7u, &hello), BRAID_OK);
    ck_assert_int_eq(single_join(&s, 5, &hello), BRAID_ERR_LIMIT);
    hello.subflow = 65535;
    single_lose(&s, 0);
    ck_assert_int_eq(single_join(&s, 5, &hello), BRAID_OK);
    single_free(&s);
}
END_TEST

START_TEST(test_join_when_over)
{
    struct braid_hello hello = {
        .max_version = 1, .subflow = 9, .session = PAIR_ID, .token = "0123456789abcde"};

    single_remote(&s, 1);
    braid_session_reset(s.session, BRAID_ERR_RESET, s.now);
    ck_assert_int_eq(single_join(&s, 1, &hello), BRAID_ERR_UNKNOWN_SESSION);
    single_send(&s);
    ck_assert_int_eq(single_join(&s, 1, &hello), BRAID_ERR_UNKNOWN_SESSION);
    single_free(&s);
    single_remote(&s, 1);
    braid_session_shutdown(s.session, s.now);
    single_send(&s);
    ck_assert_int_eq(feed_fin(&s, 0, 0), 0);
    ck_assert_int_eq(feed_ack(&s, 0, 1, 524288, 0, NULL), 0);
    single_send(&s);
    ck_assert_int_eq(single_join(&s, 1, &hello), BRAID_ERR_FINISHED);
    hello.token[0] ^= 1; /* strangers learn nothing */
    ck_assert_int_eq(single_join(&s, 1, &hello), BRAID_ERR_TOKEN);
    single_free(&s);
}
END_TEST

/* Refusals before and after the session was established, and what the application hears. */
START_TEST(test_refusals)
{
    static const struct {
        int status;
        const char *before;
        const char *after; /* of one subflow of two */
    } cases[] = {
        {BRAID_ERR_LIMIT, "DIAL CLOSE_SUBFLOW 0:0 CLOSED 5", "DIAL CLOSE_SUBFLOW 1:5"},
        {BRAID_ERR_TOKEN, "DIAL CLOSE_SUBFLOW 0:0 CLOSED 4", "DIAL CLOSE_SUBFLOW 1:4"},
        {BRAID_ERR_MEMORY, "DIAL CLOSE_SUBFLOW 0:0 CLOSED 7", "DIAL CLOSE_SUBFLOW 1:7"},
        {BRAID_ERR_SHUTDOWN, "DIAL CLOSE_SUBFLOW 0:0 CLOSED 10", "DIAL CLOSE_SUBFLOW 1:10"},
        {BRAID_ERR_UNKNOWN_SESSION, "DIAL CLOSE_SUBFLOW 0:0 CLOSED 3",
         "CLOSE_SUBFLOW 1:0 CLOSE_SUBFLOW 0:0 CLOSED 3"},
        {BRAID_ERR_FINISHED, "DIAL CLOSE_SUBFLOW 0:0 CLOSED 6",
         "CLOSE_SUBFLOW 1:0 CLOSE_SUBFLOW 0:0 CLOSED 6"},
    };

    single_init(&s, BRAID_LOCAL);
    single_open(&s);
    ck_assert_int_eq(single_add(&s, 0), 0);
    single_send(&s);
    ck_assert_int_eq(feed_hello(&s, 0, cases[_i].status, 0, 0, SINGLE_INSTANCE), 0);
    ck_assert_str_eq(single_acted(&s), cases[_i].before);
    single_free(&s);

    single_local(&s, 2);
    single_lose(&s, 1);
    ck_assert_str_eq(single_acted(&s), "DIAL");
    ck_assert_int_eq(single_add(&s, 1), 0);
    single_send(&s);
    ck_assert_int_eq(feed_hello(&s, 1, cases[_i].status, 0, 0, SINGLE_INSTANCE), 0);
    ck_assert_str_eq(single_acted(&s), cases[_i].after);
    single_free(&s);
}
END_TEST

/* One of the first subflows is refused: the others may still be let in. */
START_TEST(test_refusal_overtakes)
{
    single_init(&s, BRAID_LOCAL);
    s.config.first = 2;
    single_open(&s);
    ck_assert_int_eq(single_add(&s, 0), 0);
    ck_assert_int_eq(single_add(&s, 1), 0);
    single_send(&s);
    single_acted(&s);
    ck_assert_int_eq(feed_hello(&s, 1, BRAID_ERR_LIMIT, 0, 0, 5), 0);
    ck_assert_str_eq(single_acted(&s), "DIAL CLOSE_SUBFLOW 1:5");
    ck_assert_uint_eq(braid_session_subflows_wanted(s.session), 1);
    ck_assert_int_eq(feed_hello(&s, 0, BRAID_OK, 0, 524288, 5), 0);
    ck_assert_str_eq(single_acted(&s), "ESTABLISHED");
    single_free(&s);
}
END_TEST

/* Time passes, and subflow 0 is kept alive. */
static void live_on(uint64_t microseconds)
{
    uint64_t end = s.now + microseconds;

    while (s.now < end) {
        uint64_t left = end - s.now;

        single_sleep(&s, left < 5000000 ? left : 5000000);
        single_send(&s);
        single_said(&s, 0);
        ck_assert_int_eq(feed_pong(&s, 0, s.flow[0].ping, 0), 0);
    }
}

/*
 * What the remote endpoint will not take may be due to subflows that it does not know to be dead:
 * it is tried again, later and later.
 */
START_TEST(test_limit_is_tried_again)
{
    uint64_t wait = 2000000;

    single_local(&s, 2);
    single_lose(&s, 1);
    single_acted(&s);
    for (int i = 0; i < 10; i++) {
        ck_assert_uint_eq(braid_session_subflows_wanted(s.session), 2);
        ck_assert_int_eq(single_add(&s, 1), 0);
        single_send(&s);
        ck_assert_int_eq(feed_hello(&s, 1, BRAID_ERR_LIMIT, 0, 0, SINGLE_INSTANCE), 0);
        ck_assert_str_eq(single_acted(&s), "DIAL CLOSE_SUBFLOW 1:5");
        ck_assert_uint_eq(braid_session_subflows_wanted(s.session), 1);
        live_on(wait - 1);
        ck_assert_uint_eq(braid_session_subflows_wanted(s.session), 1);
        ck_assert_str_eq(single_acted(&s), "");
        single_sleep(&s, 1);
        ck_assert_str_eq(single_acted(&s), "DIAL");
        wait = wait < 256000000 ? 2 * wait : wait;
    }
    /* Let in once, it starts with the shortest wait again. */
    ck_assert_int_eq(single_add(&s, 1), 0);
    single_send(&s);
    ck_assert_int_eq(feed_hello(&s, 1, BRAID_OK, 0, 524288, SINGLE_INSTANCE), 0);
    single_lose(&s, 1);
    ck_assert_int_eq(single_add(&s, 1), 0);
    single_send(&s);
    ck_assert_int_eq(feed_hello(&s, 1, BRAID_ERR_LIMIT, 0, 0, SINGLE_INSTANCE), 0);
    single_acted(&s);
    single_sleep(&s, 2000000);
    ck_assert_uint_eq(braid_session_subflows_wanted(s.session), 2);
    single_free(&s);
}
END_TEST

/* With as many as there may be, one that is silent has to go for one that is there. */
START_TEST(test_join_replaces_a_silent_one)
{
    struct braid_hello hello = {
        .max_version = 1, .session = PAIR_ID, .token = "0123456789abcde", .limit = 524288};

    single_remote(&s, 4);
    hello.subflow = 4;
    ck_assert_int_eq(single_join(&s, 4, &hello), BRAID_ERR_LIMIT);
    /* None was silent; now they are all asked, and the one that died is found. */
    single_send(&s);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_str_eq(single_said(&s, i), "PING");
    for (unsigned i = 1; i < 4; i++)
        ck_assert_int_eq(feed_pong(&s, i, s.flow[i].ping, 0), 0);
    hello.subflow = 5;
    ck_assert_int_eq(single_join(&s, 4, &hello), BRAID_ERR_LIMIT); /* too soon to tell */
    single_sleep(&s, 260000);
    single_acted(&s);
    hello.subflow = 6;
    ck_assert_int_eq(single_join(&s, 4, &hello), BRAID_OK);
    ck_assert_str_eq(single_acted(&s), "CLOSE_SUBFLOW 0:12");
    hello.subflow = 7;
    ck_assert_int_eq(single_join(&s, 0, &hello), BRAID_ERR_LIMIT);
    single_free(&s);
}
END_TEST

/* The remote endpoint was restarted: another instance answers. */
START_TEST(test_instance)
{
    single_local(&s, 1);
    single_lose(&s, 0);
    ck_assert_int_eq(single_add(&s, 0), 0);
    single_send(&s);
    ck_assert_int_eq(feed_hello(&s, 0, BRAID_OK, 0, 524288, SINGLE_INSTANCE + 1), 0);
    ck_assert_str_eq(single_acted(&s), "DIAL CLOSE_SUBFLOW 0:0 CLOSED 11");
    single_free(&s);

    single_local(&s, 1);
    single_lose(&s, 0);
    ck_assert_int_eq(single_add(&s, 0), 0);
    single_send(&s);
    ck_assert_int_eq(feed_hello(&s, 0, BRAID_ERR_UNKNOWN_SESSION, 0, 0, SINGLE_INSTANCE + 1), 0);
    ck_assert_str_eq(single_acted(&s), "DIAL CLOSE_SUBFLOW 0:0 CLOSED 11");
    single_free(&s);
}
END_TEST

/* What may not come instead of, or in, the answer to HELLO. */
START_TEST(test_wrong_answers)
{
    struct braid_hello hello = {.max_version = 1,
                                .flags = BRAID_HELLO_REPLY,
                                .session = PAIR_ID,
                                .limit = 524288,
                                .instance = SINGLE_INSTANCE};
    uint8_t bytes[200];
    struct braid_writer w = {bytes, sizeof bytes, false};
    int expected = -BRAID_ERR_PROTOCOL;

    single_init(&s, BRAID_LOCAL);
    single_open(&s);
    ck_assert_int_eq(single_add(&s, 0), 0);
    single_send(&s);
    switch (_i) {
    case 0:
        feed_data(&s, 0, 0, 10, 0);
        break;
    case 1:
        feed_ping(&s, 0, 7);
        break;
    case 2:
        feed_code(&s, 0, BRAID_FRAME_RESET, 96);
        break;
    case 3:
        hello.subflow = 1;
        break;
    case 4:
        hello.session++;
        break;
    case 5:
        hello.flags = 0;
        break;
    case 6:
        hello.ack = 1;
        break;
    case 7:
        hello.max_version = 0;
        expected = -BRAID_ERR_VERSION;
        break;
    case 8: /* what is to be ignored may come before */
        single_feed(&s, 0, "\x00\x00\x00\x01x\x99\x00\x00\x00", 9);
        expected = 0;
        break;
    }
    if (s.feed_error == 0) {
        braid_wire_write_hello(&w, &hello, 0);
        single_feed(&s, 0, bytes, sizeof bytes - w.left);
    }
    ck_assert_int_eq(s.feed_error, expected);
    single_free(&s);
}
END_TEST

START_TEST(test_second_hello)
{
    single_local(&s, 1);
    ck_assert_int_eq(feed_hello(&s, 0, BRAID_OK, 0, 524288, SINGLE_INSTANCE), -BRAID_ERR_PROTOCOL);
    single_free(&s);
    single_remote(&s, 1);
    ck_assert_int_eq(feed_hello(&s, 0, BRAID_OK, 0, 524288, SINGLE_INSTANCE), -BRAID_ERR_PROTOCOL);
    single_free(&s);
}
END_TEST

START_TEST(test_nobody_answers)
{
    single_init(&s, BRAID_LOCAL);
    single_open(&s);
    single_acted(&s);
    single_sleep(&s, 4999999);
    ck_assert_str_eq(single_acted(&s), "DIAL"); /* grown old: it wants all its subflows */
    single_sleep(&s, 1);
    ck_assert_str_eq(single_acted(&s), "CLOSED 8");
    ck_assert_uint_eq(braid_session_deadline(s.session), BRAID_NEVER);
    single_free(&s);
}
END_TEST

/* One subflow is not answered; the session goes on without it. */
START_TEST(test_one_is_not_answered)
{
    single_local(&s, 2);
    single_lose(&s, 1);
    ck_assert_int_eq(single_add(&s, 1), 0);
    single_send(&s);
    single_acted(&s);
    single_sleep(&s, 4999999);
    ck_assert_str_eq(single_acted(&s), "");
    single_sleep(&s, 1);
    ck_assert_str_eq(single_acted(&s), "DIAL CLOSE_SUBFLOW 1:8");
    single_free(&s);
}
END_TEST

START_TEST(test_wants_few_then_all)
{
    single_init(&s, BRAID_LOCAL);
    s.config.first = 2;
    single_open(&s);
    ck_assert_uint_eq(braid_session_subflows_wanted(s.session), 2);
    single_acted(&s);
    if (_i == 0) { /* a second old */
        single_sleep(&s, 999999);
        ck_assert_uint_eq(braid_session_subflows_wanted(s.session), 2);
        single_sleep(&s, 1);
    } else { /* more than a first flight */
        ck_assert_uint_eq(single_write(&s, 10000), 10000);
        ck_assert_uint_eq(braid_session_subflows_wanted(s.session), 2);
        single_write(&s, 1);
    }
    ck_assert_uint_eq(braid_session_subflows_wanted(s.session), 4);
    ck_assert_str_eq(single_acted(&s), "DIAL");
    single_free(&s);
}
END_TEST

START_TEST(test_remote_wants_none)
{
    single_remote(&s, 1);
    ck_assert_uint_eq(braid_session_subflows_wanted(s.session), 0);
    ck_assert_ptr_null(braid_subflow_add(s.session, 0, NULL, s.now));
    single_lose(&s, 0);
    ck_assert_str_eq(single_acted(&s), "");
    single_free(&s);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_first_bytes, 0},
        {test_first_bytes_of_tls, 0},
        {test_local_established, 0},
        {test_remote_established, 0},
        {test_reply_without_token, 0},
        {test_joins_refused, 0},
        {test_join_when_over, 0},
        {test_refusals, 6},
        {test_refusal_overtakes, 0},
        {test_limit_is_tried_again, 0},
        {test_join_replaces_a_silent_one, 0},
        {test_instance, 0},
        {test_wrong_answers, 9},
        {test_second_hello, 0},
        {test_nobody_answers, 0},
        {test_one_is_not_answered, 0},
        {test_wants_few_then_all, 2},
        {test_remote_wants_none, 0},
    };

    return SUITE_RUN("session_open", tests);
}
