/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "context.h"

#define LINES_A_MINUTE 10u

/* Whether one more line is allowed; *dropped: how many were left out before it. */
static bool allowed(struct braid_log_limit *limit, unsigned *dropped)
{
    uint64_t now = braid_clock();

    *dropped = 0;
    if (limit->lines == 0 || now - limit->since >= 60 * BRAID_SECOND) {
        limit->since = now;
        limit->lines = 0;
        *dropped = limit->dropped;
        limit->dropped = 0;
    }
    if (limit->lines >= LINES_A_MINUTE) {
        limit->dropped++;
        return false;
    }
    limit->lines++;
    return true;
}

void braid_log(struct braid_context *context, enum braid_severity severity,
               enum braid_log_kind kind, const char *format, ...)
{
    char line[512];
    unsigned dropped;
    va_list args;
    size_t len;

    if (context->log_cb == NULL || !allowed(&context->log_limits[kind], &dropped))
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    len = strlen(line);
    if (dropped > 0)
        snprintf(line + len, sizeof line - len, " (and %u like it before, not shown)", dropped);
    context->log_cb(severity, line, context->log_arg);
}
