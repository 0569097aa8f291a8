/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/status.h"
#include "cli/status_print.h"
#include "daemon/record.h"

static struct status *status;

static void setup(void)
{
    status = status_new();
    ck_assert_ptr_nonnull(status);
}

static void teardown(void)
{
    status_free(status);
}

static const char *take(const char *line)
{
    char copy[1024];

    ck_assert_uint_lt(strlen(line), sizeof(copy));
    strcpy(copy, line);
    return status_take_line(status, copy);
}

static void take_all(const char *const *lines)
{
    for (; *lines != NULL; lines++) {
        const char *wrong = take(*lines);

        ck_assert_msg(wrong == NULL, "%s: %s", *lines, wrong);
    }
}

/* The same session at both ends of one daemon: only the role tells them apart. */
static const char *const whole[] = {
    "daemon version=1.2 pid=7 uptime=61000000 workers=2 state=running sessions=2 max-sessions=10 "
    "memory=1048576 max-memory=4194304 rss=2097152 half-open=3 "
    "half-open-memory=2048 turned-away=40 turned-away-source=1 turned-away-failures=2 "
    "turned-away-key=0 join-failures=5 config=/a%20b",
    "tunnel name=web role=local listen=127.0.0.1:80,unix:/a%2Cb remote=127.0.0.1:7000 subflows=4 "
    "mode=aggregate grace=60000000 security=none protocol=braid sessions=1 total=5",
    "path tunnel=web name=dsl%2C1 interface=eth0 source=192.0.2.7 remote=127.0.0.1:7000,[::1]:7 "
    "priority=primary state=up age=3000000 subflows=1 rtt=85 rate=125000",
    "path tunnel=web name=lte remote=127.0.0.1:7000 priority=backup state=down age=61000000 "
    "subflows=0 rtt=0 rate=0 error=refused",
    "tunnel name=web role=remote listen=127.0.0.1:7000 target=127.0.0.1:81 max-subflows=16 "
    "security=none protocol=either sessions=1 total=5",
    "session id=00000000000000ff tunnel=web role=local client=127.0.0.1:5 target=127.0.0.1:7000 "
    "state=open sent=1 received=2 resent=3 age=4000000 key=laptop protocol=braid future=x",
    "subflow session=00000000000000ff index=0 path=0 path-name=dsl local=127.0.0.1:6 "
    "peer=127.0.0.1:7000 "
    "state=active sent=1 received=2 resent=0 rtt=85 rate=125000",
    "weather kind=unknown",
    "session id=00000000000000ff tunnel=web role=remote client=127.0.0.1:6 target=127.0.0.1:81 "
    "state=open sent=2 received=1 resent=0 age=4000000 protocol=seed",
    "subflow session=00000000000000ff index=0 path=0 local=127.0.0.1:7000 peer=127.0.0.1:6 "
    "state=active sent=2 received=1 resent=0 rtt=0 rate=0",
    NULL,
};

static char *print(void (*printer)(const struct status *, FILE *))
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    ck_assert_ptr_nonnull(out);
    printer(status, out);
    fclose(out);
    return text;
}

START_TEST(test_json)
{
    char *text;

    take_all(whole);
    text = print(status_print_json);
    ck_assert_str_eq(
        text,
        "{\"version\":1,\"daemon\":{\"version\":\"1.2\",\"pid\":7,\"uptime\":61000000,"
        "\"workers\":2,\"state\":\"running\",\"sessions\":2,\"max_sessions\":10,"
        "\"memory\":1048576,\"max_memory\":4194304,\"rss\":2097152,\"half_open\":3,"
        "\"half_open_memory\":2048,\"turned_away\":40,\"turned_away_source\":1,"
        "\"turned_away_failures\":2,\"turned_away_key\":0,\"join_failures\":5,\"config\":\"/a "
        "b\"},\"tunnels\":["
        "{\"name\":\"web\",\"role\":\"local\",\"listen\":[\"127.0.0.1:80\",\"unix:/a,b\"],"
        "\"remote\":[\"127.0.0.1:7000\"],\"subflows\":4,\"mode\":\"aggregate\","
        "\"grace\":60000000,\"security\":\"none\",\"protocol\":\"braid\","
        "\"session_count\":1,\"total\":5,\"paths\":["
        "{\"name\":\"dsl,1\",\"interface\":\"eth0\",\"source\":\"192.0.2.7\","
        "\"remote\":[\"127.0.0.1:7000\",\"[::1]:7\"],\"priority\":\"primary\","
        "\"state\":\"up\",\"age\":3000000,\"subflows\":1,\"rtt\":85,\"rate\":125000},"
        "{\"name\":\"lte\",\"remote\":[\"127.0.0.1:7000\"],\"priority\":\"backup\","
        "\"state\":\"down\",\"age\":61000000,\"subflows\":0,\"rtt\":0,\"rate\":0,"
        "\"error\":\"refused\"}],\"sessions\":["
        "{\"id\":\"00000000000000ff\",\"client\":\"127.0.0.1:5\",\"target\":\"127.0.0.1:7000\","
        "\"state\":\"open\",\"sent\":1,\"received\":2,\"resent\":3,\"age\":4000000,\"key\":"
        "\"laptop\",\"protocol\":\"braid\","
        "\"subflows\":["
        "{\"index\":0,\"path\":0,\"path_name\":\"dsl\",\"local\":\"127.0.0.1:6\",\"peer\":\"127.0."
        "0.1:7000\","
        "\"state\":\"active\",\"sent\":1,\"received\":2,\"resent\":0,\"rtt\":85,"
        "\"rate\":125000}]}]},"
        "{\"name\":\"web\",\"role\":\"remote\",\"listen\":[\"127.0.0.1:7000\"],"
        "\"target\":\"127.0.0.1:81\",\"max_subflows\":16,\"security\":\"none\","
        "\"protocol\":\"either\","
        "\"session_count\":1,\"total\":5,\"paths\":[],\"sessions\":["
        "{\"id\":\"00000000000000ff\",\"client\":\"127.0.0.1:6\",\"target\":\"127.0.0.1:81\","
        "\"state\":\"open\",\"sent\":2,\"received\":1,\"resent\":0,\"age\":4000000,"
        "\"protocol\":\"seed\",\"subflows\":["
        "{\"index\":0,\"path\":0,\"local\":\"127.0.0.1:7000\",\"peer\":\"127.0.0.1:6\","
        "\"state\":\"active\",\"sent\":2,\"received\":1,\"resent\":0,\"rtt\":0,\"rate\":0}]}]}"
        "]}\n");
    free(text);
}
END_TEST

static void print_table(const struct status *tree, FILE *out)
{
    ck_assert_int_eq(status_print_table(tree, out), 0);
}

START_TEST(test_table)
{
    char *text;

    take_all(whole);
    text = print(print_table);
    ck_assert_str_eq(
        text,
        "braidd 1.2, pid 7, running, up 1m 01s, 2 workers\n"
        "2 of 10 sessions, 1.00 MiB of 4.00 MiB in buffers, 2.00 MiB resident\n"
        "3 half-open with 2.00 KiB, 43 turned away so far, 5 failed\n"
        "\n"
        "local web: 127.0.0.1:80, unix:/a,b > 127.0.0.1:7000, 4 subflows, aggregate, security none,"
        " protocol braid; 1 session, 5 in all\n"
        "  path dsl,1: up for 3s, 1 subflow, 85 us, 1.00 Mbit/s; eth0 192.0.2.7 > 127.0.0.1:7000,"
        " [::1]:7\n"
        "  path lte: backup, down for 1m 01s (refused), 0 subflows; > 127.0.0.1:7000\n"
        "SESSION           ADDRESS                       STATE  SENT RECEIVED RESENT   RTT"
        "        RATE AGE  KEY     PROTOCOL\n"
        "00000000000000ff  127.0.0.1:5                   open    1 B      2 B    3 B"
        "                    4s  laptop  braid\n"
        "  0 path dsl      127.0.0.1:6 > 127.0.0.1:7000  active  1 B      2 B    0 B 85 us"
        " 1.00 Mbit/s\n"
        "\n"
        "remote web: 127.0.0.1:7000 > 127.0.0.1:81, at most 16 subflows, security none,"
        " protocol either; 1 session, 5 in all\n"
        "SESSION           ADDRESS                       STATE  SENT RECEIVED RESENT   RTT"
        "        RATE AGE  KEY     PROTOCOL\n"
        "00000000000000ff  127.0.0.1:6                   open    2 B      1 B    0 B"
        "                    4s          seed\n"
        "  0 path 0        127.0.0.1:7000 > 127.0.0.1:6  active  2 B      1 B    0 B\n");
    free(text);
}
END_TEST

START_TEST(test_many_children)
{
    take("tunnel name=a role=local");
    for (int i = 0; i < 100; i++) {
        char line[128];

        snprintf(line, sizeof(line), "session id=%d tunnel=a role=local sent=%d", i, i);
        ck_assert_ptr_null(take(line));
        snprintf(line, sizeof(line), "subflow session=%d index=%d", i, i);
        ck_assert_ptr_null(take(line));
    }
    ck_assert_uint_eq(status->daemon.children[0].child_count, 100);
    for (size_t i = 0; i < 100; i++) {
        const struct status_record *session = &status->daemon.children[0].children[i];

        ck_assert_uint_eq(status_number(session, SESSION_SENT), i);
        ck_assert_uint_eq(session->child_count, 1);
        ck_assert_uint_eq(status_number(&session->children[0], SUBFLOW_INDEX), i);
    }
}
END_TEST

static const char *const broken[] = {
    "",
    " ",
    "tunnel name",
    "daemon pid=",
    "daemon pid=x",
    "daemon pid=-1",
    "daemon pid=1x",
    "daemon pid=18446744073709551616",
    "daemon version=%",
    "daemon version=%4",
    "daemon version=%zz",
    "daemon version=%00",
    "tunnel name=b listen=a,%",
    "session id=1 tunnel=none role=local",
    "session id=1 tunnel=a role=remote",
    "subflow session=2 index=0",
};

START_TEST(test_broken_lines)
{
    ck_assert_ptr_null(take("tunnel name=a role=local"));
    ck_assert_ptr_null(take("session id=1 tunnel=a role=local"));
    ck_assert_ptr_nonnull(take(broken[_i]));
}
END_TEST

START_TEST(test_subflow_before_any_session)
{
    ck_assert_ptr_null(take("tunnel name=a role=local"));
    ck_assert_ptr_nonnull(take("subflow session=1 index=0"));
}
END_TEST

/* What the daemon encodes is what the program decodes, whatever bytes there are. */
START_TEST(test_encoding_round_trip)
{
    char value[256];
    char *line = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&line, &length);

    for (int i = 0; i < 255; i++) {
        value[i] = (char)(i + 1);
    }
    value[255] = '\0';
    ck_assert_ptr_nonnull(out);
    fputs("daemon", out);
    record_value(out, "config", value);
    fclose(out);
    for (size_t i = 0; i < length; i++) {
        ck_assert(line[i] >= ' ' && line[i] < 0x7f);
    }
    ck_assert_ptr_null(status_take_line(status, line));
    ck_assert_str_eq(status_text(&status->daemon, DAEMON_CONFIG), value);
    free(line);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status");
    TCase *tcase = tcase_create("status");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_json);
    tcase_add_test(tcase, test_table);
    tcase_add_test(tcase, test_many_children);
    tcase_add_loop_test(tcase, test_broken_lines, 0, (int)(sizeof(broken) / sizeof(broken[0])));
    tcase_add_test(tcase, test_subflow_before_any_session);
    tcase_add_test(tcase, test_encoding_round_trip);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
