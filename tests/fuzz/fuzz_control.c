/* SPDX-License-Identifier: MIT */
/*
 * The control protocol, from both sides: whatever a client sends gets an answer of the protocol or
 * an end; whatever a daemon answers becomes a tree that can be printed, or a complaint. Input: one
 * byte that chooses the side; then pieces (size, bytes) that the client sends, or the answer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "cli/status.h"
#include "cli/status_print.h"
#include "daemon/control.h"
#include "daemon/log.h"
#include "fuzz.h"

const char fuzz_corpus[] = "control";

#define ANSWER_MAX 4096
#define PIECES 3

/* ---- a client's bytes ---- */

static struct event_base *base;
static struct sockaddr_un address;
static socklen_t address_len;

/* Three pieces, one of them empty. */
static void more(struct control_answer *answer, void *state, void *arg)
{
    unsigned *given = state;

    (void)arg;
    (*given)++;
    control_answer_give(answer, "tunnel name=a\n", *given == 2 ? 0 : 14, *given == PIECES);
}

/* A listening socket in the abstract namespace, which leaves no file. */
static int listen_somewhere(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    address.sun_family = AF_UNIX;
    address_len = sizeof(address);
    REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0);
    REQUIRE(getsockname(fd, (struct sockaddr *)&address, &address_len) == 0 && listen(fd, 8) == 0);
    return fd;
}

static struct control *open_control(void)
{
    const struct control_source source = {.state_size = sizeof(unsigned), .more = more};

    if (base == NULL)
        base = event_base_new();
    REQUIRE(base != NULL);
    return control_new(base, listen_somewhere(), &source);
}

/* Reads what there is of an answer; true: it is over. */
static bool read_answer(int fd, char *answer, size_t *fill)
{
    for (;;) {
        ssize_t n = recv(fd, answer + *fill, ANSWER_MAX - *fill, MSG_DONTWAIT);

        if (n <= 0)
            return n == 0 || errno != EAGAIN;
        *fill += (size_t)n;
        REQUIRE(*fill < ANSWER_MAX);
    }
}

static void ask(struct fuzz_input *input)
{
    struct control *control = open_control();
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char answer[ANSWER_MAX];
    size_t fill = 0;
    bool over = false;

    REQUIRE(control != NULL && fd >= 0);
    REQUIRE(connect(fd, (struct sockaddr *)&address, address_len) == 0);
    while (input->left > 0) {
        size_t n = (size_t)fuzz_u8(input) + 1;
        const uint8_t *bytes = fuzz_bytes(input, &n);

        (void)send(fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        event_base_loop(base, EVLOOP_NONBLOCK);
        over = over || read_answer(fd, answer, &fill);
    }
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < 20 && !over; i++) {
        event_base_loop(base, EVLOOP_NONBLOCK);
        over = read_answer(fd, answer, &fill);
    }
    REQUIRE(over);
    REQUIRE(fill == 0 || (answer[fill - 1] == '\n' && memcmp(answer, "braid/1 ", 8) == 0));
    close(fd);
    control_free(control);
    event_base_loop(base, EVLOOP_NONBLOCK);
}

/* ---- a daemon's answer ---- */

static void answer(struct fuzz_input *input)
{
    struct status *status = status_new();
    char *text = calloc(1, input->left + 1);
    char *printed = NULL;
    char *rest = text;
    char *line;
    size_t length = 0;
    FILE *out = open_memstream(&printed, &length);
    bool good = true;

    REQUIRE(status != NULL && text != NULL && out != NULL);
    memcpy(text, input->at, input->left);
    while (good && (line = strsep(&rest, "\n")) != NULL)
        good = status_take_line(status, line) == NULL;
    REQUIRE(status_print_table(status, out) == 0);
    status_print_json(status, out);
    REQUIRE(fclose(out) == 0 && length > 0);
    free(printed);
    free(text);
    status_free(status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};

    log_set_level(BRAID_LOG_ERR);
    if ((fuzz_u8(&input) & 1) == 0)
        ask(&input);
    else
        answer(&input);
    return 0;
}
