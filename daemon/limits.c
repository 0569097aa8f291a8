/* SPDX-License-Identifier: MIT */
#include "daemon/limits.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/log.h"

/* Besides sessions: standard streams, control clients, resolver, and some air. */
#define DESCRIPTORS_PROCESS 128
/* A loop's epoll, mailbox, timer, resolver sockets, and the connections whose hello is awaited. */
#define DESCRIPTORS_WORKER 1100

bool limits_take(struct limits *limits)
{
    unsigned taken = atomic_fetch_add_explicit(&limits->sessions, 1, memory_order_relaxed);

    if (taken < limits->max_sessions) {
        return true;
    }
    atomic_fetch_sub_explicit(&limits->sessions, 1, memory_order_relaxed);
    return false;
}

bool limits_are_short(const struct limits *limits)
{
    return limits->group != NULL && braid_group_is_short(limits->group);
}

unsigned limits_release(struct limits *limits)
{
    return atomic_fetch_sub_explicit(&limits->sessions, 1, memory_order_acq_rel) - 1;
}

unsigned limits_sessions(struct limits *limits)
{
    return atomic_load_explicit(&limits->sessions, memory_order_acquire);
}

unsigned long limits_descriptors(const struct config *config)
{
    unsigned long a_session = 0;
    unsigned long listening = 0;

    for (size_t i = 0; i < config->tunnel_count; i++) {
        const struct config_tunnel *tunnel = &config->tunnels[i];
        unsigned subflows = tunnel->role == CONFIG_LOCAL ? tunnel->subflows : tunnel->max_subflows;

        if (a_session < 1UL + subflows) {
            a_session = 1UL + subflows;
        }
        listening += tunnel->listen.count;
    }
    return a_session * config->max_sessions + listening * (config->workers + 1UL) +
           DESCRIPTORS_WORKER * (unsigned long)config->workers + DESCRIPTORS_PROCESS;
}

void limits_raise_descriptors(const struct config *config)
{
    unsigned long needed = limits_descriptors(config);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) {
        return;
    }
    limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        log_line(BRAID_LOG_WARNING, "the limit of open files cannot be raised to %lu: %s",
                 (unsigned long)limit.rlim_cur, strerror(errno));
    } else if (limit.rlim_cur < needed) {
        log_line(BRAID_LOG_WARNING,
                 "max-sessions = %u can need %lu open files, but the hard limit is %lu: raise it "
                 "(LimitNOFILE=, ulimit -Hn) or lower max-sessions",
                 config->max_sessions, needed, (unsigned long)limit.rlim_cur);
    }
}
