/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <event2/event.h>

#include "daemon/options.h"

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"test", no_argument, NULL, 't'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

__attribute__((format(printf, 2, 3))) static int fail(struct options *options, const char *format,
                                                      ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(options->error, sizeof(options->error), format, ap);
    va_end(ap);
    return -1;
}

/* Says what is wrong with the argument that getopt_long() stopped at. */
static int fail_option(struct options *options, int c, char **argv)
{
    const char *wrong = argv[optind - 1];
    bool is_long = strncmp(wrong, "--", 2) == 0;

    if (c == ':' && is_long)
        return fail(options, "%s needs a file; see braidd --help", wrong);
    if (c == ':')
        return fail(options, "-%c needs a file; see braidd --help", optopt);
    if (!is_long)
        return fail(options, "unknown option -%c; see braidd --help", optopt);
    if (optopt != 0)
        return fail(options, "%s: no value is taken; see braidd --help", wrong);
    return fail(options, "unknown option %s; see braidd --help", wrong);
}

/* --help wins over --version, and both over the rest, since they need no configuration. */
static void set_action(struct options *options, enum options_action action)
{
    if (action > options->action)
        options->action = action;
}

static int parse_option(struct options *options, int c, char **argv)
{
    switch (c) {
    case 'c':
        if (options->config != NULL)
            return fail(options, "--config is given twice; one configuration is accepted");
        options->config = optarg;
        return 0;
    case 't':
        set_action(options, OPTIONS_TEST);
        return 0;
    case 'V':
        set_action(options, OPTIONS_VERSION);
        return 0;
    case 'h':
        set_action(options, OPTIONS_HELP);
        return 0;
    default:
        return fail_option(options, c, argv);
    }
}

int options_parse(struct options *options, int argc, char **argv)
{
    int c;

    *options = (struct options){.action = OPTIONS_RUN};
    optind = 0; /* starts glibc's getopt_long() afresh */
    while ((c = getopt_long(argc, argv, ":c:tVh", long_options, NULL)) != -1)
        if (parse_option(options, c, argv) != 0)
            return -1;
    if (optind < argc)
        return fail(options, "unexpected argument \"%s\"; see braidd --help", argv[optind]);
    if (options->action <= OPTIONS_TEST && options->config == NULL)
        return fail(options, "no configuration; give one with --config FILE");
    return 0;
}

void options_print_help(FILE *out)
{
    fputs("Usage: braidd -c FILE [-t]\n"
          "\n"
          "Carries TCP connections over several TCP connections at once.\n"
          "\n"
          "  -c, --config FILE  the configuration, see braidd.ini(5)\n"
          "  -t, --test         check the configuration and exit\n"
          "  -V, --version      print the versions of braid and libevent and exit\n"
          "  -h, --help         print this and exit\n"
          "\n"
          "braidd stays in the foreground and logs to standard error; see braidd(8).\n",
          out);
}

void options_print_version(FILE *out)
{
    fprintf(out, "braid %s (libevent %s, built with %s)\n", PACKAGE_VERSION, event_get_version(),
            LIBEVENT_VERSION);
}
