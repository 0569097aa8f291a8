/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdlib.h>

#include "daemon/config_report.h"

/* What has more of them is no configuration, and nobody reads on. */
#define MAX_MISTAKES 1000

void config_report_init(struct config_report *report, const char *file)
{
    *report = (struct config_report){.file = file};
}

void config_report_clear(struct config_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        free(report->mistakes[i].text);
    free(report->mistakes);
    config_report_init(report, report->file);
}

void config_report_no_memory(struct config_report *report)
{
    report->no_memory = true;
}

bool config_report_is_clean(const struct config_report *report)
{
    return report->count == 0 && !report->no_memory;
}

/* Takes text over. */
static void add(struct config_report *report, unsigned line, char *text)
{
    struct config_mistake *grown;

    grown = reallocarray(report->mistakes, report->count + 1, sizeof(*grown));
    if (grown == NULL) {
        free(text);
        report->no_memory = true;
        return;
    }
    grown[report->count++] = (struct config_mistake){.line = line, .text = text};
    report->mistakes = grown;
}

void config_report_add(struct config_report *report, unsigned line, const char *section,
                       const char *key, const char *format, ...)
{
    char *what;
    char *text;
    va_list ap;
    int n;

    if (report->count == MAX_MISTAKES) {
        report->more = true;
        return;
    }
    va_start(ap, format);
    n = vasprintf(&what, format, ap);
    va_end(ap);
    if (n < 0) {
        report->no_memory = true;
        return;
    }
    n = asprintf(&text, "%s%s%s%s%s%s", section != NULL ? "[" : "", section != NULL ? section : "",
                 section == NULL ? ""
                 : key != NULL   ? "] "
                                 : "]: ",
                 key != NULL ? key : "", key != NULL ? ": " : "", what);
    free(what);
    if (n < 0) {
        report->no_memory = true;
        return;
    }
    add(report, line, text);
}

/* By line, and as they were found within one: they were added to the array in that order. */
static int by_line(const void *a, const void *b)
{
    const struct config_mistake *x = a;
    const struct config_mistake *y = b;

    return x->line < y->line ? -1 : x->line > y->line;
}

void config_report_print(struct config_report *report, FILE *errors)
{
    /* glibc's qsort is a merge sort, and stable, unless memory is short: then only the order of
     * two mistakes of the same line may differ. */
    if (report->count > 0)
        qsort(report->mistakes, report->count, sizeof(*report->mistakes), by_line);
    for (size_t i = 0; i < report->count; i++) {
        const struct config_mistake *mistake = &report->mistakes[i];

        if (mistake->line > 0)
            fprintf(errors, "%s:%u: %s\n", report->file, mistake->line, mistake->text);
        else
            fprintf(errors, "%s: %s\n", report->file, mistake->text);
    }
    if (report->more)
        fprintf(errors, "%s: more mistakes follow; only the first %d that were found are told\n",
                report->file, MAX_MISTAKES);
    if (report->no_memory)
        fprintf(errors, "%s: out of memory\n", report->file);
}
