/* SPDX-License-Identifier: MIT */
#include "guard.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "clock.h"
#include "random.h"

#define BUCKET_BITS 10
#define BUCKETS (1u << BUCKET_BITS)
#define FAILING_MAX 4096u
#define TELL_TIME (60 * BRAID_SECOND)

/* What an entry counts; the same number may be known as several. */
enum kind { KIND_HALF_OPEN, KIND_FAILING, KIND_PEER };

struct braid_guard_source {
    LIST_ENTRY(braid_guard_source) bucket;
    TAILQ_ENTRY(braid_guard_source) by_time; /* FAILING */
    enum kind kind;
    uint64_t key;
    unsigned count; /* HALF_OPEN, PEER: connections, sessions */
    uint64_t owes;  /* FAILING: when all its failures are forgotten */
};

LIST_HEAD(bucket, braid_guard_source);

struct tally {
    uint64_t count;   /* so far */
    uint64_t told;    /* of these, when the last line was due */
    uint64_t told_at; /* 0: none was yet */
};

struct braid_guard {
    pthread_mutex_t lock;
    struct braid_guard_limits limits;
    uint64_t seed; /* of the hash: where they come from is their choice */
    unsigned half_open;
    size_t bytes;
    TAILQ_HEAD(, braid_guard_source) failing; /* the one that failed last is last */
    unsigned failing_count;
    struct tally tallies[BRAID_GUARD_VERDICTS];
    uint64_t failures;
    struct bucket buckets[BUCKETS];
};

struct braid_guard *braid_guard_new(void)
{
    struct braid_guard *guard = calloc(1, sizeof *guard);

    if (guard == NULL)
        return NULL;
    if (!braid_random(&guard->seed, sizeof guard->seed) ||
        pthread_mutex_init(&guard->lock, NULL) != 0) {
        free(guard);
        return NULL;
    }
    TAILQ_INIT(&guard->failing);
    guard->limits = (struct braid_guard_limits){
        .half_open = 4096,
        .half_open_source = 1024,
        .half_open_memory = (size_t)32 << 20,
        .hello_time = 5 * BRAID_SECOND,
        .peer_sessions = 5000,
        .join_failures = 100,
    };
    return guard;
}

void braid_guard_free(struct braid_guard *guard)
{
    struct braid_guard_source *source;

    if (guard == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while ((source = LIST_FIRST(&guard->buckets[i])) != NULL) {
            LIST_REMOVE(source, bucket);
            free(source);
        }
    }
    pthread_mutex_destroy(&guard->lock);
    free(guard);
}

struct braid_guard_limits *braid_guard_limits(struct braid_guard *guard)
{
    return &guard->limits;
}

/* ---- where somebody comes from ---- */

/* The first bits of an IPv6 address, in the lower 56 of a number. */
static uint64_t network6(const struct in6_addr *address)
{
    uint64_t network = 0;

    for (int i = 0; i < 7; i++)
        network = network << 8 | address->s6_addr[i];
    return network;
}

/* A number for the network of an address; bits4: how many count of one of IPv4. 0: a unix socket.
 */
static uint64_t network_of(const union braid_endpoint *peer, unsigned bits4)
{
    const uint64_t is4 = UINT64_C(1) << 62, is6 = UINT64_C(1) << 63;
    uint32_t address;

    if (peer->family == AF_INET) {
        address = ntohl(peer->in.sin_addr.s_addr);
    } else if (peer->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&peer->in6.sin6_addr)) {
        memcpy(&address, peer->in6.sin6_addr.s6_addr + 12, sizeof address);
        address = ntohl(address);
    } else {
        return peer->family == AF_INET6 ? is6 | network6(&peer->in6.sin6_addr) : 0;
    }
    return is4 | address >> (32 - bits4);
}

static uint64_t half_open_key(const union braid_endpoint *peer)
{
    return network_of(peer, 24);
}

static uint64_t failing_key(const union braid_endpoint *peer)
{
    return network_of(peer, 32);
}

/* ---- the table ---- */

/* Multiply-shift with a secret factor: who knows the networks does not know which meet. */
static uint32_t mix(const struct braid_guard *guard, enum kind kind, uint64_t key)
{
    return (uint32_t)(((key ^ (uint64_t)kind << 57) * (guard->seed | 1)) >> 32);
}

static struct bucket *bucket_of(struct braid_guard *guard, enum kind kind, uint64_t key)
{
    return &guard->buckets[mix(guard, kind, key) >> (32 - BUCKET_BITS)];
}

static struct braid_guard_source *find(struct braid_guard *guard, enum kind kind, uint64_t key)
{
    struct braid_guard_source *source;

    LIST_FOREACH(source, bucket_of(guard, kind, key), bucket)
        if (source->kind == kind && source->key == key)
            return source;
    return NULL;
}

static struct braid_guard_source *add(struct braid_guard *guard, enum kind kind, uint64_t key)
{
    struct braid_guard_source *source = calloc(1, sizeof *source);

    if (source == NULL)
        return NULL;
    source->kind = kind;
    source->key = key;
    LIST_INSERT_HEAD(bucket_of(guard, kind, key), source, bucket);
    return source;
}

static void forget(struct braid_guard_source *source)
{
    LIST_REMOVE(source, bucket);
    free(source);
}

/* One less; the entry goes with the last. */
static void uncount(struct braid_guard_source *source)
{
    if (--source->count == 0)
        forget(source);
}

/* ---- connections that have not greeted ---- */

/* How long one failure is remembered. */
static uint64_t failure_time(const struct braid_guard *guard)
{
    return BRAID_SECOND / guard->limits.join_failures;
}

/* Whether one more failure from there would be more than a second's. */
static bool is_failing(struct braid_guard *guard, uint64_t key, uint64_t now)
{
    const struct braid_guard_source *source = find(guard, KIND_FAILING, key);

    return source != NULL && source->owes > now &&
           source->owes - now + failure_time(guard) > BRAID_SECOND;
}

static enum braid_guard_verdict judge(struct braid_guard *guard, const union braid_endpoint *peer,
                                      size_t bytes, uint64_t now)
{
    const struct braid_guard_limits *limits = &guard->limits;
    uint64_t key = half_open_key(peer);
    const struct braid_guard_source *source;

    if (key != 0) {
        if (limits->join_failures > 0 && is_failing(guard, failing_key(peer), now))
            return BRAID_GUARD_FAILING;
        source = find(guard, KIND_HALF_OPEN, key);
        if (source != NULL && source->count >= limits->half_open_source)
            return BRAID_GUARD_FULL_SOURCE;
    }
    if (guard->half_open >= limits->half_open)
        return BRAID_GUARD_FULL;
    return guard->bytes + bytes > limits->half_open_memory ? BRAID_GUARD_FULL_MEMORY
                                                           : BRAID_GUARD_WELCOME;
}

/* Notes down one that is let in; false: out of memory. */
static bool admit(struct braid_guard *guard, const union braid_endpoint *peer, size_t bytes,
                  struct braid_guard_pass *pass)
{
    uint64_t key = half_open_key(peer);
    struct braid_guard_source *source = NULL;

    if (key != 0) {
        source = find(guard, KIND_HALF_OPEN, key);
        if (source == NULL)
            source = add(guard, KIND_HALF_OPEN, key);
        if (source == NULL)
            return false;
        source->count++;
    }
    guard->half_open++;
    guard->bytes += bytes;
    *pass = (struct braid_guard_pass){
        .source = source, .bytes = bytes, .network = mix(guard, KIND_HALF_OPEN, key), .held = true};
    return true;
}

enum braid_guard_verdict braid_guard_enter(struct braid_guard *guard,
                                           const union braid_endpoint *peer, size_t bytes,
                                           uint64_t now, struct braid_guard_pass *pass)
{
    enum braid_guard_verdict verdict;

    *pass = (struct braid_guard_pass){.held = false};
    pthread_mutex_lock(&guard->lock);
    verdict = judge(guard, peer, bytes, now);
    if (verdict == BRAID_GUARD_WELCOME && !admit(guard, peer, bytes, pass))
        verdict = BRAID_GUARD_FULL_MEMORY;
    pthread_mutex_unlock(&guard->lock);
    return verdict;
}

bool braid_guard_grow(struct braid_guard *guard, struct braid_guard_pass *pass, size_t bytes)
{
    bool fits;

    pthread_mutex_lock(&guard->lock);
    fits = guard->bytes + bytes <= guard->limits.half_open_memory;
    if (fits) {
        guard->bytes += bytes;
        pass->bytes += bytes;
    }
    pthread_mutex_unlock(&guard->lock);
    return fits;
}

void braid_guard_leave(struct braid_guard *guard, struct braid_guard_pass *pass)
{
    if (!pass->held)
        return;
    pthread_mutex_lock(&guard->lock);
    guard->half_open--;
    guard->bytes -= pass->bytes;
    if (pass->source != NULL)
        uncount(pass->source);
    pthread_mutex_unlock(&guard->lock);
    *pass = (struct braid_guard_pass){.held = false};
}

uint32_t braid_guard_network(const struct braid_guard *guard, const union braid_endpoint *peer)
{
    return mix(guard, KIND_HALF_OPEN, half_open_key(peer));
}

bool braid_guard_is_from(const struct braid_guard *guard, const struct braid_guard_pass *pass,
                         const union braid_endpoint *peer)
{
    uint64_t key = half_open_key(peer);

    (void)guard; /* an entry's key does not change, and the pass keeps it there */
    return pass->held && (pass->source != NULL ? pass->source->key == key : key == 0);
}

/* ---- greetings that failed ---- */

static void forget_failing(struct braid_guard *guard, struct braid_guard_source *source)
{
    TAILQ_REMOVE(&guard->failing, source, by_time);
    guard->failing_count--;
    forget(source);
}

/* The entry of an address, as the last one of the list; NULL: out of memory. */
static struct braid_guard_source *failing_entry(struct braid_guard *guard, uint64_t key,
                                                uint64_t now)
{
    struct braid_guard_source *source = find(guard, KIND_FAILING, key), *first;

    if (source != NULL) {
        TAILQ_REMOVE(&guard->failing, source, by_time);
        TAILQ_INSERT_TAIL(&guard->failing, source, by_time);
        return source;
    }
    while ((first = TAILQ_FIRST(&guard->failing)) != NULL &&
           (first->owes <= now || guard->failing_count >= FAILING_MAX))
        forget_failing(guard, first);
    source = add(guard, KIND_FAILING, key);
    if (source != NULL) {
        TAILQ_INSERT_TAIL(&guard->failing, source, by_time);
        guard->failing_count++;
    }
    return source;
}

void braid_guard_failed(struct braid_guard *guard, const union braid_endpoint *peer, uint64_t now)
{
    uint64_t key = failing_key(peer);
    struct braid_guard_source *source;

    pthread_mutex_lock(&guard->lock);
    guard->failures++;
    if (key != 0 && guard->limits.join_failures > 0) {
        source = failing_entry(guard, key, now);
        if (source != NULL && source->owes < now)
            source->owes = now;
        /* Those that had been let in before may fail as well; that is not held against it. */
        if (source != NULL && source->owes - now <= BRAID_SECOND)
            source->owes += failure_time(guard);
    }
    pthread_mutex_unlock(&guard->lock);
}

/* ---- sessions of a peer ---- */

bool braid_guard_take_session(struct braid_guard *guard, uint64_t peer)
{
    struct braid_guard_source *source;
    bool taken = false;

    if (peer == 0)
        return true;
    pthread_mutex_lock(&guard->lock);
    source = find(guard, KIND_PEER, peer);
    if (source == NULL)
        source = add(guard, KIND_PEER, peer);
    if (source != NULL && source->count < guard->limits.peer_sessions) {
        source->count++;
        taken = true;
    } else if (source != NULL && source->count == 0) {
        forget(source);
    }
    pthread_mutex_unlock(&guard->lock);
    return taken;
}

void braid_guard_end_session(struct braid_guard *guard, uint64_t peer)
{
    struct braid_guard_source *source;

    if (peer == 0)
        return;
    pthread_mutex_lock(&guard->lock);
    source = find(guard, KIND_PEER, peer);
    if (source != NULL)
        uncount(source);
    pthread_mutex_unlock(&guard->lock);
}

/* ---- what is told ---- */

bool braid_guard_turned_away(struct braid_guard *guard, enum braid_guard_verdict verdict,
                             uint64_t now, uint64_t *before)
{
    struct tally *tally = &guard->tallies[verdict];
    bool due;

    pthread_mutex_lock(&guard->lock);
    tally->count++;
    due = tally->told_at == 0 || now - tally->told_at >= TELL_TIME;
    if (due) {
        *before = tally->count - tally->told - 1;
        tally->told = tally->count;
        tally->told_at = now;
    }
    pthread_mutex_unlock(&guard->lock);
    return due;
}

void braid_guard_get_info(struct braid_guard *guard, struct braid_group_info *info)
{
    const struct tally *tallies = guard->tallies;

    pthread_mutex_lock(&guard->lock);
    info->half_open = guard->half_open;
    info->half_open_memory = guard->bytes;
    info->refused_half_open =
        tallies[BRAID_GUARD_FULL].count + tallies[BRAID_GUARD_FULL_MEMORY].count;
    info->refused_source = tallies[BRAID_GUARD_FULL_SOURCE].count;
    info->refused_failing = tallies[BRAID_GUARD_FAILING].count;
    info->refused_peer = tallies[BRAID_GUARD_FULL_PEER].count;
    info->failures = guard->failures;
    pthread_mutex_unlock(&guard->lock);
}
