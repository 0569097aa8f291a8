/* SPDX-License-Identifier: MIT */
/*
 * The library's log lines, each kind limited to a few a minute, so that a hostile or broken peer
 * cannot fill a disk. What was left out is counted in the next line of its kind.
 */
#ifndef BRAID_EVENT_LOG_H
#define BRAID_EVENT_LOG_H

#include <stdint.h>

#include <braid/context.h>

enum braid_log_kind {
    BRAID_LOG_GREETING,  /* no valid greeting */
    BRAID_LOG_HANDSHAKE, /* TLS came to nothing */
    BRAID_LOG_SILENT,    /* no whole greeting in time, or too many waiting */
    BRAID_LOG_REFUSED,   /* a greeting that was answered with a refusal */
    BRAID_LOG_LATE,      /* a greeting for a session that has ended */
    BRAID_LOG_LIMIT,     /* strangers were turned away: a line a minute of each reason anyway */
    BRAID_LOG_ACCEPT,    /* accepting is paused */
    BRAID_LOG_PEER,      /* the peer of a live subflow broke the protocol */
    BRAID_LOG_SUBFLOW,   /* a subflow died */
    BRAID_LOG_DIAL,      /* a subflow could not be dialled */
    BRAID_LOG_PATH,      /* something about a path as a whole */
    BRAID_LOG_MEMORY,    /* a session was reset for want of memory */
    BRAID_LOG_KINDS
};

struct braid_log_limit {
    uint64_t since;
    unsigned lines;
    unsigned dropped;
};

/* Logs one line; nothing when there is no callback or the kind's lines are used up. */
void braid_log(struct braid_context *context, enum braid_severity severity,
               enum braid_log_kind kind, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
