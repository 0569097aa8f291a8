/* SPDX-License-Identifier: MIT */
/*
 * braidd's command line, as values: nothing is done or printed while it is read.
 */
#ifndef BRAIDD_OPTIONS_H
#define BRAIDD_OPTIONS_H

#include <stdio.h>

/* The exit status for a command line that makes no sense; see braidd(8). */
#define OPTIONS_EXIT_USAGE 2

enum options_action {
    OPTIONS_RUN,
    OPTIONS_TEST,    /* -t: check the configuration */
    OPTIONS_VERSION, /* -V */
    OPTIONS_HELP     /* -h */
};

struct options {
    enum options_action action;
    const char *config; /* -c; points into argv; set for RUN and TEST */
    char error[256];    /* one line without newline, when it makes no sense */
};

/*
 * Reads a command line; argv may be reordered, as getopt_long(3) does.
 *
 * Returns 0, or -1 with options->error set.
 */
int options_parse(struct options *options, int argc, char **argv);

/* Writes what --help says. */
void options_print_help(FILE *out);

/* Writes what --version says: braid's version, and libevent's as built with and as running. */
void options_print_version(FILE *out);

#endif
