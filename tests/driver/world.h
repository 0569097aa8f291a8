/* SPDX-License-Identifier: MIT */
/*
 * Two endpoints in one process and on one loop, a listener between them, and an application at
 * each end of every stream that sends and checks bytes which depend on their position.
 */
#ifndef BRAID_TEST_WORLD_H
#define BRAID_TEST_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <check.h>
#include <event2/event.h>

#include <braid/braid.h>

#define APPS_MAX 64
#define PATHS_MAX 256

/*
 * Seconds that a test waits for what is bound to come. On a busy machine, under a sanitizer, it may
 * take long; this is only how long a test that fails takes.
 */
#define PATIENCE 60.0
#define TEST_TIMEOUT 300 /* of a whole test, for Check; more than several such waits */

/* What an application does at one end of a stream, and what it has seen. */
struct app {
    struct braid_stream *stream;
    uint64_t to_send;
    bool shut;           /* when all was sent */
    bool paused;         /* leaves what arrives unread */
    unsigned free_in;    /* frees its stream in this kind of callback, once it has come that far */
    uint64_t free_after; /* bytes received or sent before that */
    uint8_t key, peer_key;

    uint64_t sent;
    uint64_t received;
    bool did_shut;
    bool connected, eof, closed, error, wrong, freed;
    int reason; /* with closed or error */
    unsigned calls_after_free;
};

enum { FREE_NEVER, FREE_IN_READ, FREE_IN_WRITE, FREE_IN_EVENT };

struct world {
    struct event_base *base;
    struct braid_context *local, *remote;
    struct braid_options *options;
    int listen_fd;
    struct braid_address *address;       /* the listener's */
    struct braid_path *paths[PATHS_MAX]; /* that streams were given */
    unsigned path_count;
    struct braid_listener *listener;
    struct app script;         /* copied into each accepted application */
    int answer;                /* to every accepted stream; -1: none yet */
    struct app apps[APPS_MAX]; /* the accepted ones, in order */
    unsigned accepted;
    unsigned lines; /* of the log */
    char last_line[512];
    char log[8192]; /* its lines from the first on, as far as there is room */
    size_t log_fill;
};

/* Opens a world with its listener on 127.0.0.1; the options may still be changed. */
void world_open(struct world *w);

/* One more listener of the remote context on the world's socket, with the options as they are. */
struct braid_listener *world_listen(struct world *w);

/* Frees the streams of the accepted ones, and waits until all sessions are over. */
void world_close_begin(struct world *w);

/* The same; frees the contexts and checks that nothing is left of them. */
void world_close(struct world *w);

/* A new path to an address, or to nowhere yet (NULL); freed with the world. */
struct braid_path *world_path(struct world *w, const struct braid_address *remote);

/* Starts an application on a new stream; via: other addresses than the listener's own, each a path
 * of its own, or whole paths. */
void app_connect(struct world *w, struct app *app);
void app_connect_via(struct world *w, struct app *app, const struct braid_address *const *via,
                     size_t n);
void app_connect_paths(struct world *w, struct app *app, struct braid_path *const *paths, size_t n);

/* Starts one whose stream was made elsewhere. */
void app_start(struct app *app);

/* Sends what there is room for. */
void app_send(struct app *app);

/* Reads what there is, though it may be paused. */
void app_read(struct app *app);

/* Frees its stream, when there is one. */
void app_free(struct app *app);

typedef bool (*condition)(void *arg);

/*
 * Runs the loop until the condition holds; false: it did not within the seconds, which are PATIENCE
 * but where the test is about the time itself.
 */
bool run_until(struct event_base *base, condition holds, void *arg, double seconds);

/* What the product promises, and more in proportion to those who want the processors too. */
double allow(double seconds);

/* Runs the loop for a while, whatever happens. */
void run_for(struct event_base *base, double seconds);

/* Whether a line of the log has these words in it; runs the loop until one has; forgets them all.
 */
bool was_logged(const struct world *w, const char *words);
bool run_until_logged(struct world *w, const char *words);
void log_forget(struct world *w);

/* Memory that a context's sessions hold. */
size_t memory_in_use(const struct braid_context *context);

/* Lets the n-th allocation of a context from now and all after it fail; 0: none. */
void limit_memory(struct braid_context *context, uint64_t n);

/* Runs a suite and frees it; what main() is to return. */
int run_suite(Suite *suite);

/* The address that a socket is bound to. */
struct braid_address *address_of(int fd);

#endif
