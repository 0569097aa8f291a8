/* SPDX-License-Identifier: MIT */
#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <event2/event.h>

#include "cli/units.h"

#define TICK 200000 /* microseconds */
#define COLUMNS 80u /* where the terminal does not say */
#define BAR_MIN 10u /* columns worth having */
#define LINE_SIZE 512u
#define SECONDS_MAX (100u * 3600u) /* nobody waits that long */

struct progress {
    struct event *tick;
    const uint64_t *done;
    const uint64_t *total;
    uint64_t last_done;
    uint64_t last_time;
    double rate; /* smoothed over a second or two */
};

static void append(char *line, size_t size, const char *text)
{
    size_t len = strlen(line);

    snprintf(line + len, size - len, "%s", text);
}

/* "0:07", "12:30", "1:02:03" */
static void append_time_left(const struct progress_state *state, char *line, size_t size)
{
    uint64_t seconds = (state->total - state->done + state->rate - 1) / state->rate;
    char text[64];

    if (seconds > SECONDS_MAX) {
        return;
    }
    if (seconds < 3600) {
        snprintf(text, sizeof(text), "  %u:%02u left", (unsigned)seconds / 60,
                 (unsigned)seconds % 60);
    } else {
        snprintf(text, sizeof(text), "  %u:%02u:%02u left", (unsigned)seconds / 3600,
                 (unsigned)seconds / 60 % 60, (unsigned)seconds % 60);
    }
    append(line, size, text);
}

static void append_bar(double part, unsigned columns, char *line, size_t size)
{
    size_t len = strlen(line);
    unsigned width;
    unsigned filled;

    if (len + 4 + BAR_MIN > columns || columns >= size) {
        return;
    }
    width = columns - (unsigned)len - 5; /* "  [" and "]", and the last column stays free */
    filled = (unsigned)(part * width);
    append(line, size, "  [");
    len = strlen(line);
    for (unsigned i = 0; i < width; i++) {
        line[len + i] = i < filled ? '#' : '.';
    }
    line[len + width] = '\0';
    append(line, size, "]");
}

void progress_line(const struct progress_state *state, unsigned columns, char *line, size_t size)
{
    bool known = state->total != UINT64_MAX && state->total > 0 && state->done <= state->total;
    double part = known ? (double)state->done / (double)state->total : 0;
    char text[UNITS_TEXT];

    line[0] = '\0';
    if (known) {
        snprintf(line, size, "%3u %%  ", (unsigned)(part * 100));
    }
    append(line, size, units_bytes(state->done, text));
    if (known) {
        append(line, size, " of ");
        append(line, size, units_bytes(state->total, text));
    }
    if (state->rate > 0) {
        append(line, size, "  ");
        append(line, size, units_bytes(state->rate, text));
        append(line, size, "/s");
        if (known) {
            append_time_left(state, line, size);
        }
    }
    if (known) {
        append_bar(part, columns, line, size);
    }
    if (columns < size) {
        line[columns] = '\0'; /* a line that wraps cannot be written over */
    }
}

static unsigned terminal_columns(void)
{
    struct winsize window;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col < 20) {
        return COLUMNS;
    }
    return window.ws_col;
}

static uint64_t now_microseconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static void callback_tick(evutil_socket_t fd, short what, void *arg)
{
    struct progress *progress = arg;
    uint64_t now = now_microseconds();
    uint64_t elapsed = now - progress->last_time;
    struct progress_state state = {.done = *progress->done, .total = *progress->total};
    char line[LINE_SIZE];

    (void)fd;
    (void)what;
    if (elapsed > 0) {
        double rate = (double)(state.done - progress->last_done) * 1e6 / (double)elapsed;

        progress->rate = progress->rate > 0 ? 0.8 * progress->rate + 0.2 * rate : rate;
    }
    progress->last_done = state.done;
    progress->last_time = now;
    state.rate = (uint64_t)progress->rate;
    progress_line(&state, terminal_columns() - 1, line, sizeof(line));
    fprintf(stderr, "\r%s\033[K", line);
}

struct progress *progress_new(struct event_base *base, const uint64_t *done, const uint64_t *total)
{
    static const struct timeval tick = {0, TICK};
    struct progress *progress;

    if (isatty(STDERR_FILENO) == 0) {
        return NULL;
    }
    progress = calloc(1, sizeof(*progress));
    if (progress == NULL) {
        return NULL;
    }
    progress->done = done;
    progress->total = total;
    progress->last_time = now_microseconds();
    progress->tick = event_new(base, -1, EV_PERSIST, callback_tick, progress);
    if (progress->tick == NULL || event_add(progress->tick, &tick) != 0) {
        progress_free(progress);
        return NULL;
    }
    return progress;
}

void progress_hide(const struct progress *progress)
{
    if (progress != NULL) {
        fputs("\r\033[K", stderr);
    }
}

void progress_free(struct progress *progress)
{
    if (progress == NULL) {
        return;
    }
    if (progress->tick != NULL) {
        event_free(progress->tick);
    }
    progress_hide(progress);
    free(progress);
}
