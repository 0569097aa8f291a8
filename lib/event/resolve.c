/* SPDX-License-Identifier: MIT */
#include "resolve.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>

#include "clock.h"
#include "context.h"

#define KEEP_TIME (60 * BRAID_SECOND)
#define RETRY_TIME (5 * BRAID_SECOND) /* before asking again for what could not be refreshed */
#define REREAD_TIME (10 * BRAID_SECOND)
#define SETTLE_TIME (100 * BRAID_MILLISECOND)
#define NAMES_MAX 256u

struct braid_name {
    LIST_ENTRY(braid_name) link;
    struct braid_resolver *resolver; /* NULL: it is gone, the question is still on its way */
    bool asking;
    uint64_t expires;
    struct braid_answer answer; /* count 0: none yet */
    LIST_HEAD(, braid_waiter) waiters;
    char host[];
};

/* "localhost" is never asked for: whether a listener needs security may depend on it (RFC 6761). */
static void answer_localhost(braid_resolve_cb cb, void *arg)
{
    struct braid_answer answer = {.count = 2};

    answer.at[0].in =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    answer.at[1].in6 =
        (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    cb(&answer, arg);
}

static void name_free(struct braid_name *name)
{
    if (name->resolver != NULL) {
        LIST_REMOVE(name, link);
        name->resolver->count--;
    }
    free(name);
}

/* Makes room for one more name: drops one that nobody waits for and that was used longest ago. */
static void drop_oldest(struct braid_resolver *resolver)
{
    struct braid_name *name, *last = NULL;

    LIST_FOREACH(name, &resolver->names, link)
        if (!name->asking)
            last = name;
    if (last != NULL)
        name_free(last);
}

/* Finds a name, or makes it. */
static struct braid_name *name_get(struct braid_resolver *resolver, const char *host)
{
    struct braid_name *name;

    LIST_FOREACH(name, &resolver->names, link) {
        if (strcasecmp(name->host, host) == 0) {
            LIST_REMOVE(name, link);
            LIST_INSERT_HEAD(&resolver->names, name, link);
            return name;
        }
    }
    if (resolver->count >= NAMES_MAX)
        drop_oldest(resolver);
    name = calloc(1, sizeof *name + strlen(host) + 1);
    if (name == NULL)
        return NULL;
    strcpy(name->host, host);
    name->resolver = resolver;
    LIST_INSERT_HEAD(&resolver->names, name, link);
    resolver->count++;
    return name;
}

static void tell(struct braid_name *name)
{
    const struct braid_answer answer = name->answer;
    LIST_HEAD(, braid_waiter) waiters = LIST_HEAD_INITIALIZER(waiters);
    struct braid_waiter *waiter;

    /* A callback may ask for the same name again; that one waits for the next answer. */
    while ((waiter = LIST_FIRST(&name->waiters)) != NULL) {
        LIST_REMOVE(waiter, link);
        LIST_INSERT_HEAD(&waiters, waiter, link);
    }
    while ((waiter = LIST_FIRST(&waiters)) != NULL) {
        LIST_REMOVE(waiter, link);
        waiter->waiting = false;
        waiter->cb(answer.count > 0 ? &answer : NULL, waiter->arg);
    }
}

static void read_answer(struct braid_answer *answer, const struct evutil_addrinfo *found)
{
    answer->count = 0;
    for (; found != NULL && answer->count < BRAID_RESOLVE_MAX; found = found->ai_next)
        if (found->ai_family == AF_INET || found->ai_family == AF_INET6)
            braid_endpoint_set(&answer->at[answer->count++], found->ai_addr);
}

static void on_answer(int result, struct evutil_addrinfo *found, void *arg)
{
    struct braid_name *name = arg;
    uint64_t now = braid_clock();

    name->asking = false;
    if (name->resolver == NULL) {
        name_free(name);
    } else {
        name->resolver->asking--;
        name->resolver->answered = now;
        if (result == 0 && found != NULL) {
            read_answer(&name->answer, found);
            name->expires = now + KEEP_TIME;
        } else {
            name->expires = now + RETRY_TIME;
        }
        tell(name);
    }
    if (found != NULL)
        evutil_freeaddrinfo(found);
}

static void on_retired(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    evdns_base_free(arg, 1);
}

/*
 * Frees libevent's resolver; questions on their way are told so from the loop. Half a question (A
 * without AAAA) may have been given up along with an answer just now, and libevent looks at its
 * resolver once more for that.
 */
static void retire(struct braid_resolver *resolver, struct event_base *base)
{
    const struct timeval at_once = {0};
    struct evdns_base *dns = resolver->dns;

    resolver->dns = NULL;
    if (dns == NULL)
        return;
    if (braid_clock() - resolver->answered > SETTLE_TIME ||
        event_base_once(base, -1, EV_TIMEOUT, on_retired, dns, &at_once) != 0)
        evdns_base_free(dns, 1);
}

/*
 * Makes the resolver, for a question that is counted already. Its files are read again when that is
 * the only one, since networks come and go.
 */
static bool make_ready(struct braid_resolver *resolver, struct event_base *base)
{
    uint64_t now = braid_clock();

    if (resolver->asking == 1 && now - resolver->made >= REREAD_TIME)
        retire(resolver, base);
    if (resolver->dns != NULL)
        return true;
    resolver->dns = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (resolver->dns == NULL)
        return false;
    /* Neither a lost datagram nor a server that is silent about AAAA may cost all of a dial's time.
     */
    evdns_base_set_option(resolver->dns, "timeout:", "1.5");
    evdns_base_set_option(resolver->dns, "getaddrinfo-allow-skew:", "0.5");
    /* Without any name server, what /etc/hosts has is still found. */
    (void)evdns_base_resolv_conf_parse(resolver->dns,
                                       DNS_OPTION_SEARCH | DNS_OPTION_NAMESERVERS | DNS_OPTION_MISC,
                                       "/etc/resolv.conf");
    (void)evdns_base_load_hosts(resolver->dns, "/etc/hosts");
    resolver->made = now;
    return true;
}

static void ask(struct braid_resolver *resolver, struct event_base *base, struct braid_name *name)
{
    const struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};

    name->asking = true;
    resolver->asking++;
    if (!make_ready(resolver, base)) {
        on_answer(EVUTIL_EAI_MEMORY, NULL, name);
        return;
    }
    (void)evdns_getaddrinfo(resolver->dns, name->host, NULL, &hints, on_answer, name);
}

void braid_resolve(struct braid_context *context, const char *host, struct braid_waiter *waiter,
                   braid_resolve_cb cb, void *arg)
{
    struct braid_resolver *resolver = &context->resolver;
    struct braid_name *name;

    if (strcasecmp(host, "localhost") == 0) {
        answer_localhost(cb, arg);
        return;
    }
    name = name_get(resolver, host);
    if (name == NULL) {
        cb(NULL, arg);
        return;
    }
    if (!name->asking && name->answer.count > 0 && braid_clock() < name->expires) {
        const struct braid_answer answer = name->answer;

        cb(&answer, arg);
        return;
    }
    waiter->cb = cb;
    waiter->arg = arg;
    waiter->waiting = true;
    LIST_INSERT_HEAD(&name->waiters, waiter, link);
    if (!name->asking)
        ask(resolver, context->base, name);
}

void braid_resolve_cancel(struct braid_waiter *waiter)
{
    if (!waiter->waiting)
        return;
    waiter->waiting = false;
    LIST_REMOVE(waiter, link);
}

void braid_resolver_forget(struct braid_resolver *resolver)
{
    struct braid_name *name;

    LIST_FOREACH(name, &resolver->names, link)
        name->expires = 0;
}

void braid_resolver_clear(struct braid_resolver *resolver, struct event_base *base)
{
    struct braid_name *name;

    while ((name = LIST_FIRST(&resolver->names)) != NULL) {
        LIST_REMOVE(name, link);
        name->resolver = NULL;
        if (!name->asking)
            free(name); /* else the answer frees it */
    }
    retire(resolver, base);
    memset(resolver, 0, sizeof *resolver);
}
