/* SPDX-License-Identifier: MIT */
#include "daemon/limits.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/log.h"

/* What `max-sessions = auto` is where there are open files for as many. */
#define SESSIONS_AUTO 10000
/* Besides sessions: standard streams, control clients, resolver, and some air. */
#define DESCRIPTORS_PROCESS 128
/* A loop's epoll, mailbox, timer, netlink and resolver sockets. */
#define DESCRIPTORS_WORKER 76
/* Subflows of a session that a remote endpoint can count on: what the other end has by default. */
#define SUBFLOWS_USUAL 4

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

/* ---- descriptors ----------------------------------------------------------------------------- */

static bool has_remote(const struct config *config)
{
    for (size_t i = 0; i < config->tunnel_count; i++) {
        if (config->tunnels[i].role == CONFIG_REMOTE) {
            return true;
        }
    }
    return false;
}

/* Of one session: its client or target, and its subflows; all that may be, or as many as usual. */
static unsigned long of_a_session(const struct config *config, bool all)
{
    unsigned long most = 1;

    for (size_t i = 0; i < config->tunnel_count; i++) {
        const struct config_tunnel *tunnel = &config->tunnels[i];
        unsigned subflows = tunnel->subflows;

        if (tunnel->role == CONFIG_REMOTE) {
            subflows = all || tunnel->max_subflows < SUBFLOWS_USUAL ? tunnel->max_subflows
                                                                    : SUBFLOWS_USUAL;
        }
        if (most < 1UL + subflows) {
            most = 1UL + subflows;
        }
    }
    return most;
}

/* Whatever the sessions. */
static unsigned long of_the_process(const struct config *config)
{
    unsigned long listening = 0;

    for (size_t i = 0; i < config->tunnel_count; i++) {
        listening += config->tunnels[i].listen.count;
    }
    return listening * (config->workers + 1UL) +
           DESCRIPTORS_WORKER * (unsigned long)config->workers + DESCRIPTORS_PROCESS;
}

/* For connections that have not greeted: what is configured, but a quarter of all at most. */
static unsigned half_open_of(const struct config *config, unsigned long have)
{
    if (!has_remote(config)) {
        return 0;
    }
    return config->max_half_open <= have / 4 ? config->max_half_open : (unsigned)(have / 4);
}

unsigned long limits_descriptors(const struct config *config, unsigned sessions, bool all)
{
    return of_a_session(config, all) * sessions + of_the_process(config) +
           (has_remote(config) ? config->max_half_open : 0);
}

/* Raises the limit of open files towards a number; returns what it is then. */
static unsigned long raise_limit(unsigned long wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 0;
    }
    if (limit.rlim_cur >= wanted) {
        return (unsigned long)limit.rlim_cur;
    }
    if (limit.rlim_max < wanted) {
        /* Only for those who may; the kernel has a limit to it, too. */
        const struct rlimit higher = {.rlim_cur = wanted, .rlim_max = wanted};

        if (setrlimit(RLIMIT_NOFILE, &higher) == 0) {
            return wanted;
        }
    }
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 0;
    }
    return (unsigned long)limit.rlim_cur;
}

int limits_open(struct limits *limits, const struct config *config)
{
    unsigned wanted = config->max_sessions > 0 ? config->max_sessions : SESSIONS_AUTO;
    unsigned long have = raise_limit(limits_descriptors(config, wanted, true));
    unsigned long fixed;
    unsigned long fit;

    limits->name = "max-sessions";
    limits->half_open = half_open_of(config, have);
    fixed = of_the_process(config) + limits->half_open;
    fit = have > fixed ? (have - fixed) / of_a_session(config, false) : 0;
    limits->max_sessions = wanted;
    if (fit >= wanted) {
        return 0;
    }
    if (fit == 0 || config->max_sessions > 0) {
        log_line(BRAID_LOG_ERR,
                 "%s: [braidd] max-sessions: %u sessions need %lu open files, but the limit is "
                 "%lu: raise it (LimitNOFILE=, ulimit -Hn), or allow %lu sessions",
                 config->file, wanted, of_a_session(config, false) * wanted + fixed, have, fit);
        return -1;
    }
    limits->max_sessions = (unsigned)fit;
    log_line(BRAID_LOG_NOTICE,
             "max-sessions is %lu: more could need more open files than the limit of %lu "
             "(LimitNOFILE=, ulimit -Hn)",
             fit, have);
    return 0;
}
