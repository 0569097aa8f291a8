/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "daemon/log.h"

#define TIME "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3} "

/* Standard error, as packets: what one write(2) writes is read as one. */
static int packets = -1;
static int saved = -1;

static void setup_level(void)
{
    log_set_level(BRAID_LOG_INFO);
}

static void setup(void)
{
    int pair[2];
    struct stat st;
    char stream[64];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    saved = dup(STDERR_FILENO);
    ck_assert_int_ge(saved, 0);
    ck_assert_int_eq(dup2(pair[1], STDERR_FILENO), STDERR_FILENO);
    close(pair[1]);
    packets = pair[0];
    /* Inherited by a process whose standard error is another file since: no journal. */
    ck_assert_int_eq(fstat(packets, &st), 0);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
}

static void teardown(void)
{
    ck_assert_int_eq(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(saved);
    close(packets);
}

/* The next packet; "" when there is none. */
static const char *take(void)
{
    static char line[2 * PIPE_BUF];
    ssize_t n = recv(packets, line, sizeof(line) - 1, MSG_DONTWAIT);

    line[n > 0 ? n : 0] = '\0';
    return line;
}

static void assert_match(const char *line, const char *pattern)
{
    regex_t regex;

    ck_assert_int_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    ck_assert_msg(regexec(&regex, line, 0, NULL, 0) == 0, "\"%s\" is not %s", line, pattern);
    regfree(&regex);
}

START_TEST(a_line_is_one_write)
{
    log_line(BRAID_LOG_INFO, "%s %d", "ready", 7);
    log_line(BRAID_LOG_ERR, "second");
    assert_match(take(), TIME "info ready 7\n$");
    assert_match(take(), TIME "error second\n$");
    ck_assert_str_eq(take(), "");
}
END_TEST

START_TEST(the_time_is_local)
{
    char before[32];
    char after[32];
    time_t now;
    const char *line;

    ck_assert_int_eq(setenv("TZ", "XXX-05:30", 1), 0);
    tzset();
    now = time(NULL);
    ck_assert_uint_eq(strftime(before, sizeof(before), "%Y-%m-%d %H:%M:%S", localtime(&now)), 19);
    log_line(BRAID_LOG_INFO, "x");
    now = time(NULL);
    ck_assert_uint_eq(strftime(after, sizeof(after), "%Y-%m-%d %H:%M:%S", localtime(&now)), 19);
    line = take();
    ck_assert_int_ge(strncmp(line, before, 19), 0);
    ck_assert_int_le(strncmp(line, after, 19), 0);
}
END_TEST

START_TEST(the_journal_gets_priorities)
{
    struct stat st;
    char stream[64];

    ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
    log_set_level(BRAID_LOG_DEBUG);
    log_line(BRAID_LOG_ERR, "a");
    ck_assert_str_eq(take(), "<3>a\n");
    log_line(BRAID_LOG_WARNING, "a");
    ck_assert_str_eq(take(), "<4>a\n");
    log_line(BRAID_LOG_NOTICE, "a");
    ck_assert_str_eq(take(), "<5>a\n");
    log_line(BRAID_LOG_INFO, "a\n<0>b");
    ck_assert_str_eq(take(), "<6>a\\x0a<0>b\n");
    log_line(BRAID_LOG_DEBUG, "a");
    ck_assert_str_eq(take(), "<7>a\n");
}
END_TEST

START_TEST(levels_are_kept_to)
{
    for (int level = BRAID_LOG_ERR; level <= BRAID_LOG_DEBUG; level++) {
        log_set_level((enum braid_severity)level);
        for (int severity = BRAID_LOG_ERR; severity <= BRAID_LOG_DEBUG; severity++) {
            log_line((enum braid_severity)severity, "a");
            ck_assert_int_eq(*take() != '\0', severity <= level);
            log_from_library((enum braid_severity)severity, "a", NULL);
            ck_assert_int_eq(*take() != '\0', severity <= level);
        }
    }
}
END_TEST

START_TEST(the_default_is_info)
{
    log_line(BRAID_LOG_DEBUG, "a");
    ck_assert_str_eq(take(), "");
    log_line(BRAID_LOG_INFO, "a");
    ck_assert_str_ne(take(), "");
}
END_TEST

START_TEST(level_names)
{
    static const char *const names[] = {"error", "warning", "notice", "info", "debug"};
    enum braid_severity severity = BRAID_LOG_DEBUG;

    for (int i = 0; i < 5; i++) {
        ck_assert(log_level_find(names[i], &severity));
        ck_assert_int_eq(severity, BRAID_LOG_ERR + i);
        ck_assert_str_eq(log_level_name(severity), names[i]);
    }
    severity = BRAID_LOG_NOTICE;
    ck_assert(!log_level_find("loud", &severity));
    ck_assert(!log_level_find("", &severity));
    ck_assert_int_eq(severity, BRAID_LOG_NOTICE);
}
END_TEST

START_TEST(control_characters_are_shown)
{
    log_line(BRAID_LOG_INFO, "%s", "a\tb\r\n\033[31m\x7f\x01 \xc3\xa4 % \\");
    assert_match(take(), TIME "info a\\\\x09b\\\\x0d\\\\x0a\\\\x1b\\[31m\\\\x7f\\\\x01 \xc3\xa4 % "
                              "\\\\\n$");
    log_from_library(BRAID_LOG_INFO, "100%s\n", NULL);
    assert_match(take(), TIME "info 100%s\\\\x0a\n$");
}
END_TEST

START_TEST(long_lines_are_cut_off)
{
    char message[2 * PIPE_BUF];
    const char *line;

    memset(message, '\n', sizeof(message) - 1);
    message[sizeof(message) - 1] = '\0';
    for (int i = 0; i < 5; i++) { /* the end falls on each byte of an escape */
        log_from_library(BRAID_LOG_INFO, message, NULL);
        line = take();
        ck_assert_uint_le(strlen(line), PIPE_BUF);
        ck_assert_uint_gt(strlen(line), PIPE_BUF - 4);
        assert_match(line, "\\\\x0a\n$");
        message[i] = 'a';
    }
    memset(message, 'a', sizeof(message) - 1);
    log_line(BRAID_LOG_INFO, "%s", message);
    line = take();
    ck_assert_uint_gt(strlen(line), PIPE_BUF - 32); /* the message alone is at most PIPE_BUF */
    ck_assert_uint_le(strlen(line), PIPE_BUF);
    assert_match(line, "a\n$");
}
END_TEST

START_TEST(errno_is_kept)
{
    errno = ENOTTY;
    log_line(BRAID_LOG_INFO, "a");
    ck_assert_int_eq(errno, ENOTTY);
    /* Also when standard error takes nothing. */
    ck_assert_int_eq(close(STDERR_FILENO), 0);
    errno = ENOTTY;
    log_line(BRAID_LOG_INFO, "a");
    ck_assert_int_eq(errno, ENOTTY);
}
END_TEST

#define THREADS 8
#define LINES 500

static void *write_lines(void *arg)
{
    char text[200];
    int id = *(int *)arg;

    memset(text, 'a' + id, sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < LINES; i++)
        log_line(BRAID_LOG_INFO, "%d %s", i, text);
    return NULL;
}

/* Whole lines, whatever thread they come from, and each thread's in order. */
START_TEST(threads_do_not_mix)
{
    pthread_t threads[THREADS];
    int ids[THREADS];
    int next[THREADS] = {0};

    for (int i = 0; i < THREADS; i++) {
        ids[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines, &ids[i]), 0);
    }
    for (int i = 0; i < THREADS * LINES; i++) {
        struct pollfd pollfd = {.fd = packets, .events = POLLIN};
        const char *line;
        char text[256];
        int number;

        ck_assert_int_eq(poll(&pollfd, 1, 10000), 1);
        line = take();
        ck_assert_int_eq(sscanf(line, "%*s %*s info %d %255s", &number, text), 2);
        ck_assert_uint_eq(strlen(text), 199);
        ck_assert_uint_eq(strspn(text, (char[]){text[0], '\0'}), 199);
        ck_assert_int_eq(number, next[text[0] - 'a']++);
    }
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_str_eq(take(), "");
}
END_TEST

/* Asks for some lines of which at most three a minute are wanted. */
static void say(struct log_limit *limit, int times)
{
    while (times-- > 0)
        log_limited(limit, 3, BRAID_LOG_WARNING, "again %s", "and again");
}

/* How many lines came, all of them with these words at the end. */
static int count_lines(const char *end)
{
    const char *line;
    int count = 0;

    while (*(line = take()) != '\0') {
        ck_assert_str_eq(strstr(line, "warning "), end);
        count++;
    }
    return count;
}

START_TEST(lines_a_minute)
{
    struct log_limit limit = {0};

    say(&limit, 8);
    ck_assert_int_eq(count_lines("warning again and again\n"), 3);
    limit.window_start -= 59000000; /* not a minute yet */
    say(&limit, 1);
    ck_assert_str_eq(take(), "");
    limit.window_start -= 1000000;
    say(&limit, 1);
    ck_assert_int_eq(count_lines("warning again and again (and 6 like it before, not shown)\n"), 1);
    say(&limit, 5);
    ck_assert_int_eq(count_lines("warning again and again\n"), 2);
}
END_TEST

/* What the level leaves out is not counted either. */
START_TEST(lines_below_the_level_use_nothing_up)
{
    struct log_limit limit = {0};

    for (int i = 0; i < 10; i++)
        log_limited(&limit, 3, BRAID_LOG_DEBUG, "nobody wants to know");
    ck_assert_str_eq(take(), "");
    say(&limit, 3);
    ck_assert_int_eq(count_lines("warning again and again\n"), 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tc = tcase_create("lines");
    TCase *fresh;
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_checked_fixture(tc, setup_level, NULL);
    tcase_add_test(tc, a_line_is_one_write);
    tcase_add_test(tc, the_time_is_local);
    tcase_add_test(tc, levels_are_kept_to);
    tcase_add_test(tc, level_names);
    tcase_add_test(tc, control_characters_are_shown);
    tcase_add_test(tc, long_lines_are_cut_off);
    tcase_add_test(tc, errno_is_kept);
    tcase_add_test(tc, threads_do_not_mix);
    tcase_add_test(tc, lines_a_minute);
    tcase_add_test(tc, lines_below_the_level_use_nothing_up);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    /* With CK_FORK=no these would see what those before them left. */
    if (srunner_fork_status(runner) == CK_FORK) {
        fresh = tcase_create("fresh process");
        tcase_add_checked_fixture(fresh, setup, teardown);
        tcase_add_test(fresh, the_default_is_info);
        tcase_add_test(fresh, the_journal_gets_priorities);
        suite_add_tcase(suite, fresh);
    }
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
