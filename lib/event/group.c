/* SPDX-License-Identifier: MIT */
#include "group.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "context.h"
#include "guard.h"
#include "handoff.h"
#include "listener.h"
#include "random.h"

#define REMEMBER_TIME (60 * BRAID_SECOND)
#define REMEMBER_MAX 65536u
#define FIRST_BUCKETS 256u
#define HALF_OPEN_MAX 1000000u
#define HALF_OPEN_MEMORY_MIN ((size_t)1 << 20)
#define HELLO_TIME_MIN 100u
#define HELLO_TIME_MAX 60000u
#define JOIN_FAILURES_MAX 100000u
#define PEER_SESSIONS_MAX 1000000u

/* How many sessions more than another context's are worth handing a new one over. */
#define BALANCE 2u

LIST_HEAD(bucket, braid_claim);

struct braid_group {
    pthread_mutex_t lock;
    uint64_t instance;
    struct braid_budget budget; /* without the lock */
    struct braid_guard *guard;  /* with its own */
    uint64_t seed;              /* of the hash: ids are the peers' choice */
    struct bucket *buckets;
    size_t bucket_count; /* a power of two */
    size_t claims;
    TAILQ_HEAD(, braid_claim) ended; /* the oldest first */
    size_t ended_count;
    LIST_HEAD(, braid_context) contexts;
};

struct braid_group *braid_group_new(void)
{
    struct braid_group *group = calloc(1, sizeof *group);

    if (group == NULL)
        return NULL;
    group->bucket_count = FIRST_BUCKETS;
    group->buckets = calloc(group->bucket_count, sizeof *group->buckets);
    group->guard = braid_guard_new();
    if (group->buckets == NULL || group->guard == NULL ||
        !braid_random(&group->instance, sizeof group->instance) ||
        !braid_random(&group->seed, sizeof group->seed) ||
        pthread_mutex_init(&group->lock, NULL) != 0) {
        braid_guard_free(group->guard);
        free(group->buckets);
        free(group);
        return NULL;
    }
    TAILQ_INIT(&group->ended);
    return group;
}

static struct bucket *bucket_of(const struct braid_group *group, uint64_t id)
{
    uint64_t mixed = (id ^ group->seed) * UINT64_C(0x9e3779b97f4a7c15);

    return &group->buckets[(mixed >> 32) & (group->bucket_count - 1)];
}

/* More buckets; without memory the chains just grow longer. */
static void grow(struct braid_group *group)
{
    struct bucket *old = group->buckets;
    size_t old_count = group->bucket_count;
    struct bucket *buckets = calloc(old_count * 2, sizeof *buckets);
    struct braid_claim *claim;

    if (buckets == NULL)
        return;
    group->buckets = buckets;
    group->bucket_count = old_count * 2;
    for (size_t i = 0; i < old_count; i++) {
        while ((claim = LIST_FIRST(&old[i])) != NULL) {
            LIST_REMOVE(claim, bucket);
            LIST_INSERT_HEAD(bucket_of(group, claim->id), claim, bucket);
        }
    }
    free(old);
}

static struct braid_claim *find(const struct braid_group *group, uint64_t id,
                                const struct braid_identity *peer)
{
    struct braid_claim *claim;

    LIST_FOREACH(claim, bucket_of(group, id), bucket)
        if (claim->id == id && braid_identity_is(peer, claim->peer))
            return claim;
    return NULL;
}

/* Takes a claim out of the table; its memory goes with its last reference. */
static void forget(struct braid_group *group, struct braid_claim *claim)
{
    LIST_REMOVE(claim, bucket);
    claim->listed = false;
    group->claims--;
    if (claim->ended) {
        TAILQ_REMOVE(&group->ended, claim, ended_link);
        group->ended_count--;
    }
    if (claim->refs == 0)
        free(claim);
}

static void forget_old(struct braid_group *group, uint64_t now)
{
    struct braid_claim *claim;

    while ((claim = TAILQ_FIRST(&group->ended)) != NULL &&
           (group->ended_count > REMEMBER_MAX || now - claim->ended_at >= REMEMBER_TIME))
        forget(group, claim);
}

void braid_group_free(struct braid_group *group)
{
    if (group == NULL)
        return;
    for (size_t i = 0; i < group->bucket_count; i++)
        while (!LIST_EMPTY(&group->buckets[i]))
            forget(group, LIST_FIRST(&group->buckets[i]));
    pthread_mutex_destroy(&group->lock);
    braid_guard_free(group->guard);
    free(group->buckets);
    free(group);
}

static unsigned load_of(struct braid_context *context)
{
    return atomic_load_explicit(&context->session_count, memory_order_relaxed);
}

/* The context that a new session should live in. */
static struct braid_context *choose_owner(struct braid_context *context, uint64_t listener)
{
    struct braid_context *best = context, *other;

    LIST_FOREACH(other, &context->group->contexts, group_link) {
        if (load_of(other) + BALANCE > load_of(context) || load_of(other) >= load_of(best))
            continue;
        if (braid_listener_find(other, listener) != NULL)
            best = other;
    }
    return best;
}

static struct braid_claim *claim_new(struct braid_context *context, uint64_t id,
                                     const struct braid_identity *peer, uint64_t listener)
{
    struct braid_group *group = context->group;
    struct braid_claim *claim = calloc(1, sizeof *claim);

    if (claim == NULL)
        return NULL;
    claim->id = id;
    memcpy(claim->peer, peer->id, sizeof claim->peer);
    claim->listed = true;
    claim->owner = choose_owner(context, listener);
    if (group->claims >= group->bucket_count)
        grow(group);
    LIST_INSERT_HEAD(bucket_of(group, id), claim, bucket);
    group->claims++;
    return claim;
}

struct braid_claim *braid_group_claim(struct braid_context *context, uint64_t id,
                                      const struct braid_identity *peer, uint64_t listener,
                                      uint64_t now, enum braid_claim_place *place)
{
    struct braid_group *group = context->group;
    struct braid_claim *claim;

    braid_group_lock(group);
    forget_old(group, now);
    claim = find(group, id, peer);
    if (claim == NULL)
        claim = claim_new(context, id, peer, listener);
    if (claim != NULL) {
        claim->refs++;
        if (claim->owner == NULL && !claim->ended)
            claim->owner = context;
        if (claim->ended)
            *place = BRAID_CLAIM_ENDED;
        else
            *place = claim->owner == context ? BRAID_CLAIM_HERE : BRAID_CLAIM_ELSEWHERE;
    }
    braid_group_unlock(group);
    return claim;
}

static void drop_reference(struct braid_group *group, struct braid_claim *claim)
{
    if (--claim->refs > 0)
        return;
    if (!claim->listed)
        free(claim);
    else if (!claim->ended)
        forget(group, claim);
}

void braid_group_release(struct braid_group *group, struct braid_claim *claim)
{
    braid_group_lock(group);
    drop_reference(group, claim);
    braid_group_unlock(group);
}

void braid_group_end(struct braid_group *group, struct braid_claim *claim, int error, uint64_t now)
{
    braid_group_lock(group);
    claim->ended = true;
    claim->error = error;
    claim->ended_at = now;
    claim->session = NULL;
    TAILQ_INSERT_TAIL(&group->ended, claim, ended_link);
    group->ended_count++;
    drop_reference(group, claim);
    forget_old(group, now);
    braid_group_unlock(group);
}

bool braid_group_post(struct braid_context *context, struct braid_handoff *handoff)
{
    struct braid_group *group = context->group;
    struct braid_claim *claim = handoff->claim;
    const uint64_t one = 1;
    bool posted = false;

    braid_group_lock(group);
    if (claim->owner == NULL)
        claim->owner = context;
    if (claim->owner != context) {
        if (STAILQ_EMPTY(&claim->owner->mailbox))
            (void)!write(claim->owner->mailbox_fd, &one, sizeof one);
        STAILQ_INSERT_TAIL(&claim->owner->mailbox, handoff, link);
        posted = true;
    }
    braid_group_unlock(group);
    return posted;
}

struct braid_handoff *braid_group_collect(struct braid_context *context)
{
    struct braid_handoff *handoff;

    braid_group_lock(context->group);
    handoff = STAILQ_FIRST(&context->mailbox);
    if (handoff != NULL)
        STAILQ_REMOVE_HEAD(&context->mailbox, link);
    braid_group_unlock(context->group);
    return handoff;
}

struct braid_budget *braid_group_budget(struct braid_group *group)
{
    return &group->budget;
}

void braid_group_set_max_memory(struct braid_group *group, size_t bytes)
{
    group->budget.max = bytes;
}

bool braid_group_is_short(struct braid_group *group)
{
    return braid_budget_pressure(&group->budget) >= BRAID_PRESSURE_SHORT;
}

struct braid_guard *braid_group_guard(struct braid_group *group)
{
    return group->guard;
}

int braid_group_set_max_half_open(struct braid_group *group, unsigned all, unsigned per_source)
{
    struct braid_guard_limits *limits = braid_guard_limits(group->guard);

    if (all < 1 || all > HALF_OPEN_MAX || per_source < 1 || per_source > HALF_OPEN_MAX)
        return -1;
    limits->half_open = all;
    limits->half_open_source = per_source;
    return 0;
}

int braid_group_set_max_half_open_memory(struct braid_group *group, size_t bytes)
{
    if (bytes < HALF_OPEN_MEMORY_MIN)
        return -1;
    braid_guard_limits(group->guard)->half_open_memory = bytes;
    return 0;
}

int braid_group_set_hello_time(struct braid_group *group, unsigned milliseconds)
{
    if (milliseconds < HELLO_TIME_MIN || milliseconds > HELLO_TIME_MAX)
        return -1;
    braid_guard_limits(group->guard)->hello_time = milliseconds * BRAID_MILLISECOND;
    return 0;
}

int braid_group_set_max_join_failures(struct braid_group *group, unsigned per_second)
{
    if (per_second > JOIN_FAILURES_MAX)
        return -1;
    braid_guard_limits(group->guard)->join_failures = per_second;
    return 0;
}

int braid_group_set_max_peer_sessions(struct braid_group *group, unsigned n)
{
    if (n < 1 || n > PEER_SESSIONS_MAX)
        return -1;
    braid_guard_limits(group->guard)->peer_sessions = n;
    return 0;
}

void braid_group_get_info(struct braid_group *group, struct braid_group_info *info)
{
    braid_guard_get_info(group->guard, info);
}

bool braid_group_holds_most(struct braid_context *context)
{
    size_t own = braid_pool_told(context->pool);
    struct braid_context *other;
    bool most = true;

    braid_group_lock(context->group);
    LIST_FOREACH(other, &context->group->contexts, group_link)
        most = most && braid_pool_told(other->pool) <= own;
    braid_group_unlock(context->group);
    return most;
}

void braid_group_poke(struct braid_context *context)
{
    const uint64_t one = 1;
    struct braid_context *other;

    braid_group_lock(context->group);
    LIST_FOREACH(other, &context->group->contexts, group_link)
        if (other != context)
            (void)!write(other->mailbox_fd, &one, sizeof one);
    braid_group_unlock(context->group);
}

void braid_group_join(struct braid_group *group, struct braid_context *context)
{
    braid_group_lock(group);
    LIST_INSERT_HEAD(&group->contexts, context, group_link);
    braid_group_unlock(group);
}

void braid_group_leave(struct braid_context *context)
{
    struct braid_group *group = context->group;
    struct braid_claim *claim;

    braid_group_lock(group);
    LIST_REMOVE(context, group_link);
    for (size_t i = 0; i < group->bucket_count; i++)
        LIST_FOREACH(claim, &group->buckets[i], bucket)
            if (claim->owner == context)
                claim->owner = NULL;
    braid_group_unlock(group);
}

uint64_t braid_group_instance(const struct braid_group *group)
{
    return group->instance;
}

void braid_group_lock(struct braid_group *group)
{
    pthread_mutex_lock(&group->lock);
}

void braid_group_unlock(struct braid_group *group)
{
    pthread_mutex_unlock(&group->lock);
}
