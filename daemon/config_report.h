/* SPDX-License-Identifier: MIT */
/*
 * The mistakes found in one configuration file.
 *
 * They are found in several passes and told in the order of the file, one line each:
 * "FILE:LINE: [SECTION] KEY: what is wrong; accepted: ...".
 */
#ifndef BRAIDD_CONFIG_REPORT_H
#define BRAIDD_CONFIG_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct config_mistake {
    unsigned line; /* 0: of the file as a whole */
    char *text;
};

struct config_report {
    const char *file;
    struct config_mistake *mistakes;
    size_t count;
    bool more;      /* some were too many to be kept */
    bool no_memory; /* a mistake, or something of the configuration, could not be kept */
};

/* Starts an empty report; file must outlive it. */
void config_report_init(struct config_report *report, const char *file);

/* Frees what a report holds. */
void config_report_clear(struct config_report *report);

/*
 * Adds a mistake.
 *
 * line is counted from 1, or 0 for the file as a whole. section is a header's text without its
 * brackets, or NULL outside of any; key is NULL where it is about the whole section.
 */
void config_report_add(struct config_report *report, unsigned line, const char *section,
                       const char *key, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Notes that memory ran out, which makes the configuration unusable. */
void config_report_no_memory(struct config_report *report);

/* Whether nothing was reported. */
bool config_report_is_clean(const struct config_report *report);

/* Writes all mistakes, a line each, sorted by line. */
void config_report_print(struct config_report *report, FILE *errors);

#endif
