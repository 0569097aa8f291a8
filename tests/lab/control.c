/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "tap.h"
#include "units.h"

enum { WORDS_MAX = 64 };
static const char SPACE[] = " \t\r\n";

/* What one command is about: the words from `at` on, and the lanes and ends it applies to. */
struct request {
    struct emulator *emulator;
    struct link *link;
    bool lanes[2];
    char *words[WORDS_MAX + 1];
    unsigned n_words;
    unsigned at;
    uint64_t now;
    FILE *out;
};

static void answer_error(const struct request *request, const char *what, const char *word)
{
    fprintf(request->out, "error: %s: %s\n", what, word == NULL ? "(nothing)" : word);
}

static const char *next_word(struct request *request)
{
    return request->at < request->n_words ? request->words[request->at++] : NULL;
}

/* ---- settings ---- */

typedef bool setter(struct lane *lane, const char *text);

static bool set_rate(struct lane *lane, const char *text)
{
    return units_rate(text, &lane->settings.rate);
}

static bool set_delay(struct lane *lane, const char *text)
{
    return units_time(text, &lane->settings.delay);
}

static bool set_queue(struct lane *lane, const char *text)
{
    struct lane_settings settings = lane->settings;
    char count[32];
    size_t size = strlen(text);

    settings.queue_time = settings.queue_bytes = settings.queue_frames = 0;
    if (strcmp(text, "none") != 0 && !units_time(text, &settings.queue_time) &&
        !units_bytes(text, &settings.queue_bytes)) {
        if (size < 2 || size > sizeof count || text[size - 1] != 'p')
            return false;
        memcpy(count, text, size - 1);
        count[size - 1] = '\0';
        if (!units_count(count, &settings.queue_frames))
            return false;
    }
    lane->settings = settings;
    return true;
}

static bool set_limit(struct lane *lane, const char *text)
{
    return units_count(text, &lane->settings.limit_frames);
}

static bool set_loss(struct lane *lane, const char *text)
{
    return units_share(text, &lane->settings.loss);
}

static bool set_seed(struct lane *lane, const char *text)
{
    uint64_t seed;

    if (!units_count(text, &seed))
        return false;
    lane_seed(lane, seed);
    return true;
}

static bool set_police(struct lane *lane, const char *text)
{
    return units_rate(text, &lane->policer.rate);
}

static bool set_burst(struct lane *lane, const char *text)
{
    return units_bytes(text, &lane->policer.burst);
}

static const struct setting {
    const char *name;
    setter *set;
    const char *help;
} settings[] = {
    {"rate", set_rate, "of whole frames: 100mbit; 0bit: unlimited"},
    {"delay", set_delay, "one way: 5ms"},
    {"queue", set_queue, "drop-tail: 50ms (at the rate), 64k (bytes), 20p (frames), none"},
    {"limit", set_limit, "frames in the queue and on the wire, as netem counts; 0: none"},
    {"loss", set_loss, "random, of frames: 0.5%"},
    {"seed", set_seed, "of that: a number"},
    {"police", set_police, "each TCP flow to a rate, by dropping: 10mbit; 0bit: not"},
    {"burst", set_burst, "of police: 64k"},
};

static void run_settings(struct request *request)
{
    const char *name;

    while ((name = next_word(request)) != NULL) {
        const char *value = next_word(request);
        const struct setting *setting = NULL;

        for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
            if (strcmp(settings[i].name, name) == 0)
                setting = &settings[i];
        if (setting == NULL) {
            answer_error(request, "unknown setting", name);
            return;
        }
        for (unsigned i = 0; i < 2; i++)
            if (request->lanes[i] &&
                (value == NULL || !setting->set(&request->link->lanes[i], value))) {
                answer_error(request, name, value);
                return;
            }
    }
    fputs("ok\n", request->out);
}

/* ---- commands about one link ---- */

static void run_add(struct request *request)
{
    const char *name = next_word(request);
    const char *a = next_word(request);
    const char *b = next_word(request);

    if (b == NULL) {
        answer_error(request, "add: expected NAME INTERFACE INTERFACE, got", a == NULL ? name : a);
        return;
    }
    if (link_find(request->emulator, name) != NULL) {
        answer_error(request, "there is already a link", name);
        return;
    }
    request->link = link_add(request->emulator, name, a, b);
    if (request->link == NULL) {
        answer_error(request, name, strerror(errno));
        return;
    }
    request->lanes[0] = request->lanes[1] = true;
    run_settings(request);
}

static void set_down(struct request *request, bool down)
{
    for (unsigned i = 0; i < 2; i++)
        if (request->lanes[i])
            lane_set_down(&request->link->lanes[i], down);
    fputs("ok\n", request->out);
}

static void run_up(struct request *request)
{
    set_down(request, false);
}

static void run_down(struct request *request)
{
    set_down(request, true);
}

static void run_pause(struct request *request)
{
    const char *text = next_word(request);
    uint64_t duration;

    if (text == NULL || !units_time(text, &duration)) {
        answer_error(request, "pause", text);
        return;
    }
    for (unsigned i = 0; i < 2; i++)
        if (request->lanes[i])
            lane_pause(&request->link->lanes[i], request->now, duration);
    fputs("ok\n", request->out);
}

static void run_carrier(struct request *request)
{
    const char *text = next_word(request);
    bool on = text != NULL && strcmp(text, "on") == 0;

    if (!on && (text == NULL || strcmp(text, "off") != 0)) {
        answer_error(request, "carrier", text);
        return;
    }
    /* The end that a lane starts from: ab is a's. */
    for (unsigned i = 0; i < 2; i++)
        if (request->lanes[i] && tap_set_carrier(request->link->ends[i].fd, on) < 0) {
            answer_error(request, "carrier", strerror(errno));
            return;
        }
    fputs("ok\n", request->out);
}

static void print_lane(const struct link *link, unsigned which, FILE *out)
{
    const struct lane *lane = &link->lanes[which];
    const struct lane_counters *count = &lane->counters;

    fprintf(out,
            "\"%s\": {\"in_frames\": %" PRIu64 ", \"in_bytes\": %" PRIu64
            ", \"out_frames\": %" PRIu64 ", \"out_bytes\": %" PRIu64 ", \"dropped_queue\": %" PRIu64
            ", \"dropped_loss\": %" PRIu64 ", \"dropped_police\": %" PRIu64
            ", \"dropped_down\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"queued_bytes\": %" PRIu64
            ", \"late_max_us\": %" PRIu64 "}",
            which == 0 ? "ab" : "ba", count->in_frames, count->in_bytes, count->out_frames,
            count->out_bytes, count->dropped_queue, count->dropped_loss, count->dropped_police,
            count->dropped_down, link->ends[1 - which].refused, lane->queue.bytes,
            count->late_max / 1000);
}

static void run_stats(struct request *request)
{
    fputc('{', request->out);
    for (unsigned i = 0; i < request->emulator->n_links; i++) {
        const struct link *link = request->emulator->links[i];

        fprintf(request->out, "%s\"%s\": {", i == 0 ? "" : ", ", link->name);
        print_lane(link, 0, request->out);
        fputs(", ", request->out);
        print_lane(link, 1, request->out);
        fputc('}', request->out);
    }
    fputs("}\n", request->out);
}

static const struct command {
    const char *name;
    void (*run)(struct request *request);
    bool about_link; /* "NAME [ab|ba]" follows */
    const char *help;
} commands[] = {
    {"add", run_add, false, "NAME INTERFACE_A INTERFACE_B [SETTING VALUE]..."},
    {"set", run_settings, true, "SETTING VALUE [SETTING VALUE]..."},
    {"down", run_down, true, "loses all that is inside and all that comes, silently"},
    {"up", run_up, true, ""},
    {"pause", run_pause, true, "TIME: holds everything, loses nothing"},
    {"carrier", run_carrier, true, "on|off, which the interface at the lane's start is told"},
    {"stats", run_stats, false, "counters of all links, as JSON"},
};

void control_help(FILE *out)
{
    fputs("Commands, a line each on standard input; LINK is NAME, NAME ab or NAME ba:\n", out);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(out, "  %s %s%s\n", commands[i].name, commands[i].about_link ? "LINK " : "",
                commands[i].help);
    fputs("Settings:\n", out);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        fprintf(out, "  %-8s %s\n", settings[i].name, settings[i].help);
}

static bool find_link(struct request *request)
{
    const char *name = next_word(request);
    const char *which;

    request->link = name == NULL ? NULL : link_find(request->emulator, name);
    if (request->link == NULL) {
        answer_error(request, "no such link", name);
        return false;
    }
    which = request->at < request->n_words ? request->words[request->at] : "";
    request->lanes[0] = strcmp(which, "ba") != 0;
    request->lanes[1] = strcmp(which, "ab") != 0;
    if (!request->lanes[0] || !request->lanes[1])
        request->at++;
    for (unsigned i = 0; i < 2; i++)
        lane_run(&request->link->lanes[i], request->now);
    return true;
}

void control_line(struct emulator *emulator, char *line, uint64_t now, FILE *out)
{
    struct request request = {.emulator = emulator, .now = now, .out = out};
    char *place = NULL;
    const char *name;

    for (char *word = strtok_r(line, SPACE, &place); word != NULL && request.n_words < WORDS_MAX;
         word = strtok_r(NULL, SPACE, &place))
        request.words[request.n_words++] = word;
    name = next_word(&request);
    for (size_t i = 0; name != NULL && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, name) != 0)
            continue;
        if (!commands[i].about_link || find_link(&request))
            commands[i].run(&request);
        fflush(out);
        return;
    }
    answer_error(&request, "unknown command", name);
    fflush(out);
}
