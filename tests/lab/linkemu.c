/* SPDX-License-Identifier: MIT */
/*
 * linkemu NAMESPACE_A NAMESPACE_B: joins interfaces of two network namespaces by emulated links,
 * which are told of on standard input. At its end of file the program ends, and every interface it
 * made is gone with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "link.h"

/* Frames are delivered on this grid (ns), so that those of all links share a wake-up. */
static const uint64_t GRID = 100000;

enum { LINE_SIZE = 4096, EVENTS = 64, TIMER_SLACK = 1 };

/* What epoll returns for the two descriptors that are no link's end. */
static char commands_mark, timer_mark;

/* The part of a line that has come so far. */
struct input {
    char line[LINE_SIZE];
    size_t size;
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "linkemu: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t clock_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* Runs the lines that have come; false at the end of file. */
static bool read_commands(struct emulator *emulator, struct input *input)
{
    ssize_t n = read(STDIN_FILENO, input->line + input->size, LINE_SIZE - 1 - input->size);
    char *end;

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    input->size += (size_t)n;
    input->line[input->size] = '\0';
    while ((end = strchr(input->line, '\n')) != NULL) {
        size_t rest = input->size - (size_t)(end + 1 - input->line);

        *end = '\0';
        control_line(emulator, input->line, clock_now(), stdout);
        memmove(input->line, end + 1, rest + 1);
        input->size = rest;
    }
    if (input->size == LINE_SIZE - 1) {
        puts("error: the line is too long");
        fflush(stdout);
        input->size = 0;
    }
    return true;
}

static void arm(int timer, uint64_t when)
{
    struct itimerspec spec = {{0, 0}, {0, 0}};

    if (when != LANE_NEVER) {
        when = (when + GRID - 1) / GRID * GRID;
        spec.it_value.tv_sec = (time_t)(when / 1000000000U);
        spec.it_value.tv_nsec = (long)(when % 1000000000U);
    }
    if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, NULL) < 0)
        fail("timerfd_settime");
}

static void loop(struct emulator *emulator, int timer)
{
    struct epoll_event events[EVENTS];
    struct input input = {.size = 0};
    uint64_t armed = LANE_NEVER;

    for (;;) {
        int n = epoll_wait(emulator->epoll, events, EVENTS, -1);
        uint64_t now = clock_now();
        uint64_t next;

        if (n < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &commands_mark) {
                if (!read_commands(emulator, &input))
                    return;
            } else if (events[i].data.ptr == &timer_mark) {
                armed = 0; /* it has expired; setting it anew clears that */
            } else {
                link_read(events[i].data.ptr, now);
            }
        }
        link_run_all(emulator, clock_now());
        next = link_next(emulator);
        if (next != armed)
            arm(timer, next);
        armed = next;
    }
}

static void watch(int epoll, int fd, void *what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("epoll_ctl");
}

int main(int argc, char **argv)
{
    struct emulator emulator = {.epoll = epoll_create1(EPOLL_CLOEXEC), .seed = 1};
    struct sched_param priority = {.sched_priority = 1};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        printf("usage: linkemu NAMESPACE_A NAMESPACE_B (as /proc/PID/ns/net)\n");
        control_help(stdout);
        return 0;
    }
    if (argc != 3) {
        fprintf(stderr, "usage: linkemu NAMESPACE_A NAMESPACE_B; linkemu --help\n");
        return 2;
    }
    if (emulator.epoll < 0 || timer < 0)
        fail("epoll_create1, timerfd_create");
    for (int i = 0; i < 2; i++) {
        emulator.namespaces[i] = open(argv[1 + i], O_RDONLY | O_CLOEXEC);
        if (emulator.namespaces[i] < 0)
            fail(argv[1 + i]);
    }
    /* Without privilege for these two it is less exact on a busy machine, that is all. */
    (void)sched_setscheduler(0, SCHED_RR, &priority);
    (void)prctl(PR_SET_TIMERSLACK, TIMER_SLACK);
    signal(SIGPIPE, SIG_IGN);
    watch(emulator.epoll, STDIN_FILENO, &commands_mark);
    watch(emulator.epoll, timer, &timer_mark);
    loop(&emulator, timer);
    link_free_all(&emulator);
    frame_free_spares();
    for (int i = 0; i < 2; i++)
        close(emulator.namespaces[i]);
    close(timer);
    close(emulator.epoll);
    return 0;
}
