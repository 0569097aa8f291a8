/* SPDX-License-Identifier: MIT */
/*
 * A context: all that the library has on one event loop. What it holds it can free.
 */
#ifndef BRAID_EVENT_CONTEXT_H
#define BRAID_EVENT_CONTEXT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include <braid/context.h>

#include "core/pool.h"

#include "group.h"
#include "linger.h"
#include "log.h"
#include "path_use.h"
#include "pending.h"
#include "receive.h"
#include "relief.h"
#include "resolve.h"
#include "transport_tls.h"

struct braid_dial;
struct braid_listener;
struct braid_session_io;

struct braid_context {
    struct event_base *base;
    struct braid_pool *pool;
    struct braid_receive receive;
    struct braid_tls_scratch scratch; /* not touched without TLS */
    struct braid_group *group;
    bool owns_group;
    LIST_ENTRY(braid_context) group_link;

    braid_log_cb log_cb;
    void *log_arg;
    struct braid_log_limit log_limits[BRAID_LOG_KINDS];

    LIST_HEAD(, braid_session_io) sessions;
    atomic_uint session_count;             /* other threads read it, to spread the load */
    LIST_HEAD(, braid_listener) listeners; /* changed under the group's lock */
    LIST_HEAD(, braid_dial) dials;
    struct braid_pendings pendings;
    struct braid_lingers lingers;
    struct braid_lingers refused; /* strangers */
    struct braid_resolver resolver;
    struct braid_path_uses paths;
    struct braid_relief relief;

    int mailbox_fd; /* eventfd */
    struct event mailbox_event;
    STAILQ_HEAD(, braid_handoff) mailbox; /* under the group's lock */
};

#endif
