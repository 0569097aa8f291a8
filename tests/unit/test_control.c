/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "daemon/control.h"

/* Far beyond what anything here takes. */
#define PATIENCE_SECONDS 60 /* valgrind included */

/* A source that gives `pieces` pieces of `size` bytes, at once or from a timer. */
struct source {
    unsigned pieces;
    size_t size;
    bool later;
    bool breaks;
    unsigned asked;
    struct control_answer *owed; /* given by hand */
    bool by_hand;
};

struct state {
    unsigned given;
};

static char directory[] = "/tmp/braid-test-XXXXXX";
static char path[128];
static struct event_base *base;
static struct control *control;
static struct source source;

static void give(struct control_answer *answer, struct state *state)
{
    char *text = malloc(source.size + 1);

    ck_assert_ptr_nonnull(text);
    memset(text, 'x', source.size + 1);
    if (source.size > 0) {
        text[source.size - 1] = '\n';
    }
    state->given++;
    if (source.breaks) {
        control_answer_break(answer);
    } else {
        control_answer_give(answer, text, source.size, state->given == source.pieces);
    }
    free(text);
}

struct timer {
    struct control_answer *answer;
    struct state *state;
};

static void callback_timer(evutil_socket_t fd, short what, void *arg)
{
    struct timer *timer = arg;

    (void)fd;
    (void)what;
    give(timer->answer, timer->state);
    free(timer);
}

static void more(struct control_answer *answer, void *state, void *arg)
{
    static const struct timeval soon = {0, 1000};

    (void)arg;
    source.asked++;
    if (source.by_hand) {
        source.owed = answer;
    } else if (source.later) {
        struct timer *timer = malloc(sizeof(*timer));

        ck_assert_ptr_nonnull(timer);
        timer->answer = answer;
        timer->state = state;
        ck_assert_int_eq(event_base_once(base, -1, EV_TIMEOUT, callback_timer, timer, &soon), 0);
    } else {
        give(answer, state);
    }
}

static void setup(void)
{
    const struct control_source from = {.state_size = sizeof(struct state), .more = more};
    int fd;

    strcpy(directory, "/tmp/braid-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/control.sock", directory);
    memset(&source, 0, sizeof(source));
    source.pieces = 1;
    source.size = 8;
    base = event_base_new();
    ck_assert_ptr_nonnull(base);
    fd = control_open(path);
    ck_assert_int_ge(fd, 0);
    control = control_new(base, fd, &from);
    ck_assert_ptr_nonnull(control);
}

static void teardown(void)
{
    control_free(control);
    event_base_free(base);
    unlink(path);
    rmdir(directory);
}

static int connect_client(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_uint_lt(strlen(path), sizeof(address.sun_path));
    strcpy(address.sun_path, path);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static int send_client(const char *bytes, size_t length)
{
    int fd = connect_client();

    ck_assert_int_eq(send(fd, bytes, length, MSG_NOSIGNAL), (ssize_t)length);
    return fd;
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Runs the loop a little; false: for longer than anything may take. */
static bool turn(double since)
{
    static const struct timeval tick = {0, 5000};

    event_base_loopexit(base, &tick);
    event_base_loop(base, 0);
    return now() - since < PATIENCE_SECONDS;
}

/* Everything the client gets until it is closed; free() it. */
static char *answer_of(int fd)
{
    size_t length = 0;
    char *text = calloc(1, 1);
    double since = now();

    for (;;) {
        char buffer[65536];
        ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

        if (n == 0) {
            break;
        }
        if (n > 0) {
            text = realloc(text, length + (size_t)n + 1);
            ck_assert_ptr_nonnull(text);
            memcpy(text + length, buffer, (size_t)n);
            length += (size_t)n;
            text[length] = '\0';
            continue;
        }
        if (errno == ECONNRESET) {
            break; /* closed before all that was sent was read */
        }
        ck_assert_int_eq(errno, EAGAIN);
        ck_assert_msg(turn(since), "the connection stays open");
    }
    close(fd);
    return text;
}

static void assert_answer(const char *request, size_t length, const char *expected)
{
    char *text = answer_of(send_client(request, length));

    ck_assert_str_eq(text, expected);
    free(text);
}

#define OK_BEGIN "braid/1 ok\n"

START_TEST(test_status)
{
    static const char request[] = "braid/1 status\n";

    assert_answer(request, strlen(request), OK_BEGIN "xxxxxxx\nend\n");
    assert_answer("braid/1 status\r\n", 16, OK_BEGIN "xxxxxxx\nend\n");
    ck_assert_uint_eq(source.asked, 2);
}
END_TEST

/* Pieces that come later, and empty ones, which nothing but the source itself can follow. */
START_TEST(test_pieces)
{
    const char *request = "braid/1 status\n";

    source.pieces = 3;
    source.later = (_i & 1) != 0;
    source.size = (_i & 2) != 0 ? 0 : 8;
    assert_answer(request, strlen(request),
                  source.size == 0 ? OK_BEGIN "end\n"
                                   : OK_BEGIN "xxxxxxx\nxxxxxxx\nxxxxxxx\nend\n");
    ck_assert_uint_eq(source.asked, 3);
}
END_TEST

START_TEST(test_request_in_bytes)
{
    int fd = connect_client();
    const char *request = "braid/1 status\n";
    char *text;

    for (const char *c = request; *c != '\0'; c++) {
        ck_assert_int_eq(send(fd, c, 1, MSG_NOSIGNAL), 1);
        turn(now());
    }
    text = answer_of(fd);
    ck_assert_str_eq(text, OK_BEGIN "xxxxxxx\nend\n");
    free(text);
}
END_TEST

/* As "printf ... | nc -N" does: the end of the request's side is not the end of the client. */
START_TEST(test_half_closed_client)
{
    int fd = send_client("braid/1 status\n", 15);
    char *text;

    shutdown(fd, SHUT_WR);
    source.later = true;
    text = answer_of(fd);
    ck_assert_str_eq(text, OK_BEGIN "xxxxxxx\nend\n");
    free(text);
}
END_TEST

START_TEST(test_large_answer)
{
    int fd = send_client("braid/1 status\n", 15);
    double since = now();
    char *text;

    source.pieces = 200;
    source.size = 20000;
    /* Nobody reads: no more is asked for than the socket and one piece hold. */
    while (source.asked == 0) {
        ck_assert(turn(since));
    }
    for (int i = 0; i < 20; i++) {
        turn(since);
    }
    ck_assert_uint_lt(source.asked, 100);
    text = answer_of(fd);
    ck_assert_uint_eq(strlen(text), strlen(OK_BEGIN "end\n") + 200 * 20000);
    ck_assert_str_eq(text + strlen(text) - 5, "\nend\n");
    free(text);
}
END_TEST

static const struct {
    const char *request;
    size_t length;
    const char *says;
} refused[] = {
    {"braid/2 status\n", 15, "unknown version"},     {"braid/1 dance\n", 14, "unknown command"},
    {"braid/1 status now\n", 19, "unknown command"}, {"braid/1\n", 8, "unknown version"},
    {"GET / HTTP/1.1\r\n\r\n", 18, "not a request"}, {"\n", 1, "not a request"},
    {"braid/1 status\0\n", 16, "not a request"},     {"\xff\xfe\x00\x01\n", 5, "not a request"},
};

START_TEST(test_refused)
{
    char *text = answer_of(send_client(refused[_i].request, refused[_i].length));

    ck_assert_int_eq(strncmp(text, "braid/1 error ", 14), 0);
    ck_assert_msg(strstr(text, refused[_i].says) != NULL, "%s", text);
    ck_assert_str_eq(strchr(text, '\n'), "\n");
    ck_assert_uint_eq(source.asked, 0);
    free(text);
}
END_TEST

START_TEST(test_long_line)
{
    char line[100000];
    char *text;

    memset(line, 'a', sizeof(line));
    text = answer_of(send_client(line, sizeof(line)));
    ck_assert_str_eq(text, "braid/1 error the line is too long\n");
    free(text);
}
END_TEST

/* A client that sends a byte now and then is not given more time for it. */
START_TEST(test_slow_client)
{
    int fd = connect_client();
    double since = now();
    char *text;

    for (int sent = 0; now() - since < CONTROL_TIMEOUT_SECONDS - 1;) {
        if (sent < now() - since) {
            ck_assert_int_eq(send(fd, "b", 1, MSG_NOSIGNAL), 1);
            sent++;
        }
        turn(since);
    }
    text = answer_of(fd);
    ck_assert_double_lt(now() - since, CONTROL_TIMEOUT_SECONDS + 3);
    ck_assert_str_eq(text, "braid/1 error no request came in time\n");
    free(text);
}
END_TEST

/* A client that takes nothing of its answer is given up, and the source learns nothing of it. */
START_TEST(test_client_that_does_not_read)
{
    int fd = send_client("braid/1 status\n", 15);
    double since = now();
    unsigned asked;

    source.pieces = 1000;
    source.size = 20000;
    while (now() - since < CONTROL_TIMEOUT_SECONDS + 1) {
        turn(since);
    }
    asked = source.asked;
    for (;;) {
        char buffer[65536];
        ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

        ck_assert_int_ge(n, 0); /* what the socket held, then the end: nobody writes any more */
        if (n == 0) {
            break;
        }
    }
    ck_assert_uint_eq(source.asked, asked);
    close(fd);
}
END_TEST

START_TEST(test_client_gone_before_its_piece)
{
    int fd = send_client("braid/1 status\n", 15);
    double since = now();

    source.by_hand = true;
    while (source.owed == NULL) {
        ck_assert(turn(since));
    }
    close(fd);
    turn(since);
    if (_i == 0) {
        control_answer_give(source.owed, "text", 4, false);
    } else if (_i == 1) {
        control_answer_break(source.owed);
    } else {
        control_free(control);
        control = NULL;
        control_answer_give(source.owed, "text", 4, true);
    }
    turn(since);
}
END_TEST

START_TEST(test_broken_answer)
{
    source.pieces = 2;
    source.breaks = true;
    assert_answer("braid/1 status\n", 15, OK_BEGIN);
}
END_TEST

/* Seconds until a client beyond the limit is served, when one of the others goes at once. */
static double wait_beyond_the_limit(void)
{
    int idle[CONTROL_CLIENTS_MAX];
    int fd;
    double since = now(), waited;
    char byte;
    char *text;

    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        idle[i] = connect_client();
    }
    turn(since);
    fd = send_client("braid/1 status\n", 15);
    for (int i = 0; i < 20; i++) {
        turn(since);
    }
    ck_assert_int_eq(recv(fd, &byte, 1, MSG_PEEK), -1);
    ck_assert_int_eq(errno, EAGAIN);
    close(idle[3]);
    text = answer_of(fd);
    ck_assert_str_eq(text, OK_BEGIN "xxxxxxx\nend\n");
    waited = now() - since;
    free(text);
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (i != 3) {
            close(idle[i]);
        }
    }
    return waited;
}

START_TEST(test_clients_beyond_the_limit_wait)
{
    /* It may take a busy machine so long that the idle ones are given up before; not always. */
    for (int i = 0; i < 3; i++) {
        if (wait_beyond_the_limit() < CONTROL_TIMEOUT_SECONDS) {
            return;
        }
    }
    ck_abort_msg("a client that goes makes no room");
}
END_TEST

START_TEST(test_open)
{
    char missing[160];
    char stale[160];
    struct stat found;
    int fd;

    ck_assert_int_eq(stat(path, &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, 0660);
    ck_assert_int_eq(control_open(path), -1);
    ck_assert_int_eq(errno, EADDRINUSE);
    snprintf(missing, sizeof(missing), "%s/none/control.sock", directory);
    ck_assert_int_eq(control_open(missing), -1);
    ck_assert_int_eq(errno, ENOENT);
    snprintf(stale, sizeof(stale), "%s/stale.sock", directory);
    fd = control_open(stale);
    ck_assert_int_ge(fd, 0);
    close(fd);
    fd = control_open(stale);
    ck_assert_int_ge(fd, 0);
    close(fd);
    unlink(stale);
}
END_TEST

START_TEST(test_open_long_path)
{
    char longer[5000];

    memset(longer, 'a', sizeof(longer));
    longer[0] = '/';
    longer[sizeof(longer) - 1] = '\0';
    ck_assert_int_eq(control_open(longer), -1);
    ck_assert_int_eq(errno, ENAMETOOLONG);
    longer[110] = '\0';
    ck_assert_int_eq(control_open(longer), -1);
    ck_assert_int_eq(errno, ENAMETOOLONG);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("control");
    TCase *tcase = tcase_create("control");
    SRunner *runner = srunner_create(suite);
    int failed;

    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    tcase_set_timeout(tcase, 2 * PATIENCE_SECONDS);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_status);
    tcase_add_loop_test(tcase, test_pieces, 0, 4);
    tcase_add_test(tcase, test_request_in_bytes);
    tcase_add_test(tcase, test_half_closed_client);
    tcase_add_test(tcase, test_large_answer);
    tcase_add_loop_test(tcase, test_refused, 0, (int)(sizeof(refused) / sizeof(refused[0])));
    tcase_add_test(tcase, test_long_line);
    tcase_add_test(tcase, test_slow_client);
    tcase_add_test(tcase, test_client_that_does_not_read);
    tcase_add_loop_test(tcase, test_client_gone_before_its_piece, 0, 3);
    tcase_add_test(tcase, test_broken_answer);
    tcase_add_test(tcase, test_clients_beyond_the_limit_wait);
    tcase_add_test(tcase, test_open);
    tcase_add_test(tcase, test_open_long_path);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
