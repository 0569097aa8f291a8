/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "load.h"

struct command {
    const char *name;
    int (*run)(const struct load_options *options);
    const char *help;
};

static const struct command commands[] = {
    {"serve", load_serve, "the target: --port"},
    {"bulk", load_bulk, "throughput: --port --connections --direction --seconds"},
    {"echo", load_echo, "round trips of 64 bytes: --port --seconds"},
    {"first-byte", load_first_byte, "connect until the first byte: --port --seconds"},
    {"short", load_short, "short connections a second: --port --connections --seconds"},
    {"idle", load_idle,
     "hold connections until end of file on standard input: --port "
     "--connections"},
    {"slow", load_slow,
     "a sender at full speed, a slow reader: --port --listen --direction "
     "--seconds --rate"},
    {"flood", load_flood,
     "strangers, so many a second, that say the bytes given in hexadecimal digits: --port "
     "--connections --rate --say [--hold until end of file on standard input]"},
};

static int usage(FILE *out)
{
    fprintf(out, "usage: load COMMAND [OPTION...]\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(out, "  %-10s  %s\n", commands[i].name, commands[i].help);
    return out == stdout ? 0 : 2;
}

/* False: it is no whole number. */
static bool parse_number(const char *text, uint64_t *value)
{
    char *end;

    *value = strtoul(text, &end, 10);
    return end != text && *end == '\0';
}

/* False: the value makes no sense. */
static bool parse_value(int option, const char *text, struct load_options *options)
{
    uint64_t number = 0;
    char *end;

    switch (option) {
    case 'd':
        options->upload = strcmp(text, "up") == 0;
        return options->upload || strcmp(text, "down") == 0;
    case 'y':
        options->say = text;
        return true;
    case 'h':
        options->hold = true;
        return true;
    case 's':
        options->seconds = strtod(text, &end);
        return end != text && *end == '\0';
    case 'r':
        return parse_number(text, &options->rate) && options->rate > 0;
    }
    if (option == '?' || !parse_number(text, &number) || number > UINT_MAX)
        return false;
    if (option == 'c')
        options->connections = (unsigned)number;
    else
        *(option == 'p' ? &options->port : &options->listen) = (unsigned)number;
    return true;
}

/* Returns 0, or -1 when an option is unknown or its value makes no sense. */
static int parse(int argc, char **argv, struct load_options *options)
{
    static const struct option names[] = {
        {"port", required_argument, NULL, 'p'},
        {"listen", required_argument, NULL, 'l'},
        {"rate", required_argument, NULL, 'r'},
        {"connections", required_argument, NULL, 'c'},
        {"seconds", required_argument, NULL, 's'},
        {"direction", required_argument, NULL, 'd'},
        {"say", required_argument, NULL, 'y'},
        {"hold", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1)
        if (!parse_value(option, optarg, options))
            return -1;
    return optind == argc && options->port > 0 && options->port <= 65535 &&
                   options->connections > 0 && options->seconds > 0
               ? 0
               : -1;
}

int main(int argc, char **argv)
{
    struct load_options options = {.connections = 1, .seconds = 1, .rate = 1024 * 1024, .say = ""};

    if (argc < 2)
        return usage(stderr);
    if (strcmp(argv[1], "--help") == 0)
        return usage(stdout);
    /* The benchmark may be killed; what it started must not stay. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        if (parse(argc - 1, argv + 1, &options) < 0)
            return usage(stderr);
        return commands[i].run(&options);
    }
    return usage(stderr);
}
