/* SPDX-License-Identifier: MIT */
#include "path_use.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "connector.h"
#include "context.h"
#include "path.h"
#include "route.h"

/* Between two sessions that dial for the same reason: a return is no reason for a storm. */
#define SPREAD 20u /* microseconds */

/* ---- what becomes known ---- */

/* The sessions that miss subflows on the path dial at once, one after the other. */
static void hurry(struct braid_path_use *use, uint64_t now)
{
    struct braid_session_path *session_path;
    uint64_t due = now;

    LIST_FOREACH(session_path, &use->sessions, link) {
        if (braid_session_path_hurry(session_path, now, due))
            due += SPREAD;
    }
}

void braid_path_uses_check(struct braid_context *context)
{
    uint64_t now = braid_clock();
    struct braid_path_use *use;

    LIST_FOREACH(use, &context->paths.list, link) {
        unsigned returns = braid_path_state_view(&use->path->state).returns;

        if (returns == use->returns)
            continue;
        use->returns = returns;
        hurry(use, now);
    }
}

static void on_check(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    braid_path_uses_check(arg);
}

void braid_path_use_returned(struct braid_path_use *use)
{
    event_active(&use->context->paths.check, EV_TIMEOUT, 0);
    braid_group_poke(use->context);
}

/* ---- news of the machine ---- */

static const struct sockaddr *sockaddr_of(const struct braid_address *address)
{
    return (const struct sockaddr *)(const void *)&address->sa;
}

/* Whether there is a way to a target now, as far as can be told, and which. */
static bool has_way_to(const struct braid_path *path, const struct sockaddr *target,
                       struct braid_route_answer *answer)
{
    int number;

    if (target->sa_family != AF_INET && target->sa_family != AF_INET6)
        return true;
    number = braid_route_of_path(path, target, true, answer);
    if (number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM)
        return true; /* nothing is known against it */
    return number == 0 && braid_route_link_runs(answer->interface);
}

/* Whether there is a way now to where the path led last, or to any of its addresses. */
static bool has_way(const struct braid_path_use *use, struct braid_route_answer *answer)
{
    const struct braid_path *path = use->path;

    memset(answer, 0, sizeof *answer);
    if (use->far.family != AF_UNSPEC && has_way_to(path, &use->far.sa, answer))
        return true;
    for (unsigned i = 0; i < path->remote_count; i++) {
        const struct braid_address *remote = path->remotes[i];

        if (remote->kind == BRAID_ADDRESS_NAME ? use->far.family == AF_UNSPEC
                                               : has_way_to(path, sockaddr_of(remote), answer))
            return true; /* a name that was not resolved yet may be any address */
    }
    return false;
}

/* Where only the routes decide, the subflows go the way that they say now. */
static void follow(struct braid_path_use *use, const union braid_endpoint *source, uint64_t now)
{
    struct braid_session_path *session_path;

    if (use->path->interface[0] != '\0' || use->path->source.family != AF_UNSPEC ||
        source->family == AF_UNSPEC || braid_endpoint_same_host(source, &use->source))
        return;
    use->source = *source;
    LIST_FOREACH(session_path, &use->sessions, link)
        braid_session_path_renew(session_path, source, now);
}

static void cut(struct braid_path_use *use, uint64_t now)
{
    struct braid_session_path *session_path;

    if (braid_path_state_cut(&use->path->state, now))
        braid_log(use->context, BRAID_LOG_NOTICE, BRAID_LOG_PATH,
                  "path %s is down: the machine has no way to it", use->path->name);
    LIST_FOREACH(session_path, &use->sessions, link)
        braid_session_path_cut(session_path, now);
}

static void lose_sources(struct braid_path_use *use, const struct braid_news *news)
{
    struct braid_session_path *session_path;

    LIST_FOREACH(session_path, &use->sessions, link)
        for (unsigned i = 0; i < news->gone_count; i++)
            braid_session_path_lose(session_path, &news->gone[i]);
}

static void doubt(struct braid_path_use *use)
{
    struct braid_session_path *session_path;

    LIST_FOREACH(session_path, &use->sessions, link)
        braid_session_path_doubt(session_path);
}

static void on_news(const struct braid_news *news, void *arg)
{
    struct braid_context *context = arg;
    uint64_t now = braid_clock();
    struct braid_route_answer way;
    struct braid_path_use *use;

    LIST_FOREACH(use, &context->paths.list, link) {
        lose_sources(use, news);
        if (news->slept)
            doubt(use);
        if (!has_way(use, &way)) {
            cut(use, now);
            continue;
        }
        follow(use, &way.source, now);
        if (!news->better)
            continue;
        braid_path_state_hurry(&use->path->state);
        hurry(use, now);
    }
}

/* ---- life ---- */

void braid_path_uses_init(struct braid_path_uses *uses, struct braid_context *context)
{
    LIST_INIT(&uses->list);
    evtimer_assign(&uses->check, context->base, on_check, context);
}

void braid_path_uses_clear(struct braid_path_uses *uses)
{
    event_del(&uses->check);
    braid_netlink_close(&uses->netlink);
}

static struct braid_path_use *use_of(struct braid_context *context, struct braid_path *path)
{
    struct braid_path_use *use;

    LIST_FOREACH(use, &context->paths.list, link)
        if (use->path == path)
            return use;
    use = braid_pool_alloc(context->pool, sizeof *use);
    if (use == NULL)
        return NULL;
    use->context = context;
    use->path = path;
    braid_path_keep(path);
    use->returns = braid_path_state_view(&path->state).returns;
    LIST_INIT(&use->sessions);
    LIST_INSERT_HEAD(&context->paths.list, use, link);
    braid_netlink_start(&context->paths.netlink, context->base, on_news, context);
    return use;
}

bool braid_path_use_begin(struct braid_context *context, struct braid_path *path,
                          struct braid_session_path *session_path)
{
    struct braid_path_use *use = use_of(context, path);

    if (use == NULL)
        return false;
    session_path->use = use;
    LIST_INSERT_HEAD(&use->sessions, session_path, link);
    return true;
}

void braid_path_use_end(struct braid_session_path *session_path)
{
    struct braid_path_use *use = session_path->use;
    struct braid_context *context = use->context;

    LIST_REMOVE(session_path, link);
    if (!LIST_EMPTY(&use->sessions))
        return;
    LIST_REMOVE(use, link);
    braid_path_free(use->path);
    braid_pool_release(context->pool, use, sizeof *use);
    /* In a group the loop goes on anyway. */
    if (context->owns_group && LIST_EMPTY(&context->paths.list))
        braid_netlink_stop(&context->paths.netlink);
}
