/* SPDX-License-Identifier: MIT */
/**
 * @file braid/context.h
 * @brief The library's state on one event loop.
 *
 * Everything made with a context belongs to the thread that runs its event_base and may be touched
 * from there only. Several contexts, one a thread, that serve the same listening addresses are put
 * into one group, so that a subflow accepted by one finds a session that lives in another.
 */
#ifndef BRAID_CONTEXT_H
#define BRAID_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <braid/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct event_base;

struct braid_context;
struct braid_group;

/** As syslog(3) has them. */
enum braid_severity {
    BRAID_LOG_ERR = 3,
    BRAID_LOG_WARNING = 4,
    BRAID_LOG_NOTICE = 5,
    BRAID_LOG_INFO = 6,
    BRAID_LOG_DEBUG = 7
};

/**
 * Takes one line of the library's log, without newline.
 *
 * Runs on the context's thread; must not call back into the library.
 */
typedef void (*braid_log_cb)(enum braid_severity severity, const char *message, void *arg);

/** A new, empty group: the one object that threads share, and the only lock. NULL: no memory. */
BRAID_EXPORT struct braid_group *braid_group_new(void) BRAID_MUST_CHECK;

/** Frees a group that no context is in any more; NULL is allowed. */
BRAID_EXPORT void braid_group_free(struct braid_group *group);

/**
 * Limits the memory of all the group's sessions together; before the first context.
 *
 * From 70 % of it on windows grow no more and new sessions get small ones. From 90 % on new
 * sessions are refused, and streams have no room for more from applications. Beyond it the sessions
 * that hold the most are reset. What braid_stream_write() keeps until a stream has room, and what
 * braid_stream_get_input() has taken out of it, is not counted: its high marks bound that.
 *
 * @param bytes about: each context's share is known to 64 KiB; 0, the default: no limit
 */
BRAID_EXPORT void braid_group_set_max_memory(struct braid_group *group, size_t bytes);

/** Whether 90 % of that are reached: who accepts clients should wait; from any thread. */
BRAID_EXPORT bool braid_group_is_short(struct braid_group *group);

/**
 * Limits connections to the group's listeners that have not greeted yet, over all contexts; before
 * the first listener. When there are too many, the oldest is closed, of the same source where that
 * has too many; what cannot be made room for is refused.
 *
 * @param all        1 to 1,000,000; default 4,096
 * @param per_source of these, the most from one IPv4 network /24 or IPv6 network /56; 1 to
 *                   1,000,000, default 1,024. Unix sockets are not counted
 * @return 0, or -1 when out of range
 */
BRAID_EXPORT int braid_group_set_max_half_open(struct braid_group *group, unsigned all,
                                               unsigned per_source);

/**
 * Limits the memory that these hold together, what TLS takes for them included.
 *
 * @param bytes at least 1 MiB; default 32 MiB
 * @return 0, or -1 when out of range
 */
BRAID_EXPORT int braid_group_set_max_half_open_memory(struct braid_group *group, size_t bytes);

/**
 * Sets how long a connection may take to say what it is, handshake included.
 *
 * @param milliseconds 100 to 60,000; default 5,000
 * @return 0, or -1 when out of range
 */
BRAID_EXPORT int braid_group_set_hello_time(struct braid_group *group, unsigned milliseconds);

/**
 * Limits greetings that fail, from one IPv4 address or IPv6 network /56: those that are no
 * greeting, prove no key, or want to join a session that is not there or not theirs. As many at
 * once, and then as many a second; whoever comes from there meanwhile is closed at once.
 *
 * @param per_second 0 to 100,000; 0: no limit. Default 100
 * @return 0, or -1 when out of range
 */
BRAID_EXPORT int braid_group_set_max_join_failures(struct braid_group *group, unsigned per_second);

/**
 * Limits the sessions that the group's listeners have of one key or certificate; another one is
 * refused with BRAID_ERR_LIMIT. Peers that prove nothing are not counted.
 *
 * @param n 1 to 1,000,000; default 5,000
 * @return 0, or -1 when out of range
 */
BRAID_EXPORT int braid_group_set_max_peer_sessions(struct braid_group *group, unsigned n);

/** What the group's limits have come to. */
struct braid_group_info {
    unsigned half_open;         /**< connections that have not greeted, now */
    size_t half_open_memory;    /**< bytes that these hold */
    uint64_t refused_half_open; /**< refused or closed so far, since there were too many of these */
    uint64_t refused_source;    /**< the same, too many of one source */
    uint64_t refused_failing;   /**< refused, since greetings from there had failed */
    uint64_t refused_peer;      /**< sessions refused, since the peer had too many */
    uint64_t failures;          /**< greetings that failed */
};

/** Fills in info; from any thread. */
BRAID_EXPORT void braid_group_get_info(struct braid_group *group, struct braid_group_info *info);

/**
 * Makes a context.
 *
 * @param base  the loop; must outlive the context
 * @param group shared with the contexts of other threads, must outlive this one; NULL: alone
 * @return a new context, or NULL (out of memory or descriptors)
 */
BRAID_EXPORT struct braid_context *braid_context_new(struct event_base *base,
                                                     struct braid_group *group) BRAID_MUST_CHECK;

/**
 * Frees a context with all that is still in it: streams are reset (what the socket takes at once
 * is sent), listeners and dials freed. The resolver may end in the loop only: run it once more with
 * EVLOOP_NONBLOCK before the base is freed. Not to be called from a callback of the context's own.
 * NULL is allowed.
 */
BRAID_EXPORT void braid_context_free(struct braid_context *context);

/** Sets where the library's log lines go; NULL (the default): nowhere. */
BRAID_EXPORT void braid_context_set_log_cb(struct braid_context *context, braid_log_cb cb,
                                           void *arg);

/**
 * Bytes of memory that the context's sessions hold now, the pool's reserve included; what is
 * counted for braid_group_set_max_memory().
 */
BRAID_EXPORT size_t braid_context_get_memory(const struct braid_context *context);

#ifdef __cplusplus
}
#endif
#endif
