/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log.h"

#define WINDOW UINT64_C(60000000) /* of log_limited(), microseconds */

/* One write(2) of up to PIPE_BUF bytes is not mixed with others, on a pipe too. */
struct line {
    char text[PIPE_BUF];
    size_t length;
};

static const char *const level_names[] = {
    [BRAID_LOG_ERR] = "error", [BRAID_LOG_WARNING] = "warning", [BRAID_LOG_NOTICE] = "notice",
    [BRAID_LOG_INFO] = "info", [BRAID_LOG_DEBUG] = "debug",
};

static atomic_int level = BRAID_LOG_INFO;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool to_journal;

/* JOURNAL_STREAM is inherited; it means standard error only where it names that very file. */
static void find_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device;
    unsigned long long inode;
    struct stat st;

    to_journal = stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
                 fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

const char *log_level_name(enum braid_severity severity)
{
    return level_names[severity];
}

bool log_level_find(const char *name, enum braid_severity *severity)
{
    for (int i = BRAID_LOG_ERR; i <= BRAID_LOG_DEBUG; i++) {
        if (strcmp(level_names[i], name) == 0) {
            *severity = (enum braid_severity)i;
            return true;
        }
    }
    return false;
}

void log_set_level(enum braid_severity severity)
{
    atomic_store_explicit(&level, (int)severity, memory_order_relaxed);
}

static bool is_wanted(enum braid_severity severity)
{
    return (int)severity <= atomic_load_explicit(&level, memory_order_relaxed);
}

static void start_line(struct line *line, enum braid_severity severity)
{
    char when[32];
    struct timespec now;
    struct tm tm;
    int n;

    pthread_once(&once, find_journal);
    if (to_journal) {
        n = snprintf(line->text, sizeof(line->text), "<%d>", (int)severity);
    } else {
        clock_gettime(CLOCK_REALTIME, &now);
        localtime_r(&now.tv_sec, &tm);
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
        n = snprintf(line->text, sizeof(line->text), "%s.%03ld %s ", when, now.tv_nsec / 1000000,
                     log_level_name(severity));
    }
    line->length = (size_t)n;
}

/* Appends a message, made safe for terminals, as far as it fits in front of a newline. */
static void put_message(struct line *line, const char *message)
{
    static const char hex[] = "0123456789abcdef";
    const size_t room = sizeof(line->text) - 1;

    for (const unsigned char *p = (const unsigned char *)message; *p != '\0'; p++) {
        if (*p >= 0x20 && *p != 0x7f) {
            if (line->length + 1 > room)
                return;
            line->text[line->length++] = (char)*p;
        } else {
            if (line->length + 4 > room)
                return;
            line->text[line->length++] = '\\';
            line->text[line->length++] = 'x';
            line->text[line->length++] = hex[*p >> 4];
            line->text[line->length++] = hex[*p & 15];
        }
    }
}

/* Writes a line at once. What standard error does not take is lost: there is nowhere to say so. */
static void write_line(struct line *line)
{
    ssize_t n;

    line->text[line->length++] = '\n';
    do {
        n = write(STDERR_FILENO, line->text, line->length);
    } while (n < 0 && errno == EINTR);
}

static void put_line(enum braid_severity severity, const char *message)
{
    int saved = errno;
    struct line line;

    start_line(&line, severity);
    put_message(&line, message);
    write_line(&line);
    errno = saved;
}

void log_line(enum braid_severity severity, const char *format, ...)
{
    char message[PIPE_BUF];
    va_list ap;

    if (!is_wanted(severity))
        return;
    va_start(ap, format);
    vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    put_line(severity, message);
}

void log_from_library(enum braid_severity severity, const char *message, void *arg)
{
    (void)arg;
    if (is_wanted(severity))
        put_line(severity, message);
}

/* Whether one more line is allowed; *dropped: how many were left out before it. */
static bool is_allowed(struct log_limit *limit, unsigned burst, unsigned *dropped)
{
    struct timespec now;
    uint64_t us;

    clock_gettime(CLOCK_MONOTONIC, &now);
    us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    if (limit->lines == 0 || us - limit->window_start >= WINDOW) {
        limit->window_start = us;
        limit->lines = 0;
    }
    if (limit->lines >= burst) {
        limit->dropped++;
        return false;
    }
    limit->lines++;
    *dropped = limit->dropped;
    limit->dropped = 0;
    return true;
}

void log_limited(struct log_limit *limit, unsigned burst, enum braid_severity severity,
                 const char *format, ...)
{
    char message[PIPE_BUF];
    unsigned dropped;
    size_t length;
    va_list ap;

    if (!is_wanted(severity) || !is_allowed(limit, burst, &dropped))
        return;
    va_start(ap, format);
    vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    length = strlen(message);
    if (dropped > 0)
        snprintf(message + length, sizeof(message) - length, " (and %u like it before, not shown)",
                 dropped);
    put_line(severity, message);
}
