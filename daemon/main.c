/* SPDX-License-Identifier: MIT */
/*
 * braidd: wires the parts together, and waits for signals while the workers serve.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "daemon/clock.h"
#include "daemon/config.h"
#include "daemon/control.h"
#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/mailbox.h"
#include "daemon/notify.h"
#include "daemon/options.h"
#include "daemon/privileges.h"
#include "daemon/reload.h"
#include "daemon/route_check.h"
#include "daemon/status.h"
#include "daemon/tunnel.h"
#include "daemon/worker.h"

static const int handled_signals[] = {SIGTERM, SIGINT, SIGHUP};
#define SIGNAL_COUNT (sizeof(handled_signals) / sizeof(handled_signals[0]))

struct daemon {
    const struct config *config;
    struct event_base *base;
    struct event *signals[SIGNAL_COUNT];
    struct mailbox *mailbox;
    struct control *control;
    struct crew crew;
    struct status status;
    bool draining; /* told to the workers */
    bool drained;  /* and done by them */
};

/* ---- the end --------------------------------------------------------------------------------- */

/* Called after each wake-up by a worker: goes on with draining where that is due. */
static void callback_woken(void *owner)
{
    struct daemon *daemon = owner;
    struct crew *crew = &daemon->crew;
    unsigned sessions;

    if (!daemon->draining || atomic_load(&crew->drained) < crew->count) {
        return;
    }
    sessions = limits_sessions(&crew->limits);
    if (!daemon->drained) {
        daemon->drained = true;
        /* Only now has no worker an event on these any more. New clients are refused from here on;
         * new sessions of remote tunnels are, while subflows still join those there are. */
        tunnels_close_sockets(crew->tunnels, daemon->config->tunnel_count, CONFIG_LOCAL);
        log_line(BRAID_LOG_NOTICE,
                 "stopping: %u session%s left to finish; a second signal stops at once", sessions,
                 sessions == 1 ? " is" : "s are");
        notify_stopping(sessions);
    }
    if (sessions == 0) {
        event_base_loopbreak(daemon->base);
    }
}

static void callback_signal(evutil_socket_t signal_number, short what, void *arg)
{
    struct daemon *daemon = arg;

    (void)what;
    if (signal_number == SIGHUP) {
        reload(&daemon->crew);
    } else if (daemon->draining) {
        log_line(BRAID_LOG_NOTICE, "%s: stopping at once, %u sessions are reset",
                 signal_number == SIGINT ? "SIGINT" : "SIGTERM",
                 limits_sessions(&daemon->crew.limits));
        event_base_loopbreak(daemon->base);
    } else {
        daemon->draining = true;
        crew_drain(&daemon->crew);
    }
}

/* ---- the beginning --------------------------------------------------------------------------- */

static int open_control(struct daemon *daemon)
{
    const char *path = daemon->config->control;
    struct control_source source = status_source(&daemon->status);
    const char *advice = "";
    int fd;

    if (path == NULL) {
        return 0;
    }
    fd = control_open(path);
    if (fd < 0) {
        if (errno == ENOENT) {
            advice = "; create its directory, or choose another path";
        } else if (errno == EADDRINUSE) {
            advice = "; another braidd answers there: choose another path";
        }
        log_line(BRAID_LOG_ERR, "%s: [braidd] control = %s: %s%s", daemon->config->file, path,
                 strerror(errno), advice);
        return -1;
    }
    daemon->control = control_new(daemon->base, fd, &source);
    if (daemon->control == NULL) {
        (void)unlink(path);
        log_line(BRAID_LOG_ERR, "control socket: out of memory");
        return -1;
    }
    return 0;
}

static int open_loop(struct daemon *daemon)
{
    struct event_config *config = event_config_new();

    if (config != NULL) {
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        daemon->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    if (daemon->base == NULL) {
        return -1;
    }
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        daemon->signals[i] =
            evsignal_new(daemon->base, handled_signals[i], callback_signal, daemon);
        if (daemon->signals[i] == NULL || evsignal_add(daemon->signals[i], NULL) != 0) {
            return -1;
        }
    }
    daemon->mailbox = mailbox_new(daemon->base, callback_woken, daemon);
    return daemon->mailbox == NULL ? -1 : 0;
}

static size_t to_size(uint64_t bytes)
{
    return bytes < SIZE_MAX ? (size_t)bytes : SIZE_MAX;
}

/* What the library limits, over all workers. */
static struct braid_group *make_group(const struct config *config, const struct limits *limits)
{
    struct braid_group *group = braid_group_new();
    unsigned half_open = limits->half_open > 0 ? limits->half_open : config->max_half_open;

    if (group == NULL) {
        return NULL;
    }
    braid_group_set_max_memory(group, to_size(config->max_memory));
    if (braid_group_set_max_half_open(group, half_open, config->max_half_open_per_source) != 0 ||
        braid_group_set_max_half_open_memory(group, to_size(config->max_half_open_memory)) != 0 ||
        braid_group_set_hello_time(group, config->hello_time) != 0 ||
        braid_group_set_max_peer_sessions(group, config->max_sessions_per_key) != 0 ||
        braid_group_set_max_join_failures(group, config->max_join_failures) != 0) {
        braid_group_free(group);
        return NULL;
    }
    return group;
}

static int start_crew(struct daemon *daemon)
{
    struct crew *crew = &daemon->crew;

    crew->main = daemon->mailbox;
    crew->group = make_group(daemon->config, &crew->limits);
    crew->limits.group = crew->group;
    if (crew->group == NULL || crew_start(crew) != 0) {
        log_line(BRAID_LOG_ERR, "starting %u workers: %s", daemon->config->workers,
                 strerror(errno));
        return -1;
    }
    return 0;
}

static void log_route(const char *line, bool command)
{
    if (!command) {
        log_line(BRAID_LOG_WARNING, "%s%s", line,
                 line[strlen(line) - 1] == ':' ? " see braidd -t" : "");
    }
}

static void log_ready(const struct daemon *daemon)
{
    for (size_t i = 0; i < daemon->config->tunnel_count; i++) {
        const struct tunnel *tunnel = &daemon->crew.tunnels[i];
        const struct braid_security *protection = tunnel->config->protection;

        if (protection != NULL && !braid_security_is_locked(protection)) {
            log_line(BRAID_LOG_WARNING,
                     "[%s %s] keys may be swapped out: raise the limit of locked memory "
                     "(LimitMEMLOCK= in the unit, or ulimit -l)",
                     tunnel_role(tunnel), tunnel->config->name);
        }

        for (size_t j = 0; j < tunnel->socket_count; j++) {
            log_line(BRAID_LOG_INFO, "[%s %s] listening on %s", tunnel_role(tunnel),
                     tunnel->config->name, tunnel->sockets[j].text);
        }
    }
    route_check(daemon->config, log_route);
    log_line(BRAID_LOG_INFO, "ready");
    notify_ready();
}

/* Leaves privileges behind, and to the user what belongs to it. */
static int drop_privileges(const struct daemon *daemon)
{
    const struct config *config = daemon->config;

    if (config->control != NULL) {
        privileges_give(config, config->control);
    }
    for (size_t i = 0; i < config->tunnel_count; i++) {
        const struct tunnel *tunnel = &daemon->crew.tunnels[i];

        for (size_t j = 0; j < tunnel->socket_count; j++) {
            if (tunnel->sockets[j].path != NULL) {
                privileges_give(config, tunnel->sockets[j].path);
            }
        }
    }
    return privileges_drop(config);
}

/* Everything that can fail, each with its own line. */
static int start(struct daemon *daemon)
{
    struct crew *crew = &daemon->crew;

    crew->config = daemon->config;
    daemon->status.crew = crew;
    daemon->status.started = clock_now();
    if (limits_open(&crew->limits, daemon->config) != 0) {
        return -1;
    }
    if (open_loop(daemon) != 0) {
        log_line(BRAID_LOG_ERR, "starting the event loop: %s", strerror(errno));
        return -1;
    }
    crew->tunnels = tunnels_open(daemon->config);
    if (crew->tunnels == NULL || open_control(daemon) != 0 || drop_privileges(daemon) != 0 ||
        start_crew(daemon) != 0) {
        return -1;
    }
    log_ready(daemon);
    return 0;
}

/* There is nothing left to stop: one more signal must not turn a clean end into a death by it. */
static void block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        sigaddset(&set, handled_signals[i]);
    }
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void stop(struct daemon *daemon)
{
    struct crew *crew = &daemon->crew;

    if (daemon->control != NULL) {
        (void)unlink(daemon->config->control);
        control_free(daemon->control);
    }
    crew_free(crew);
    braid_group_free(crew->group);
    tunnels_free(crew->tunnels, daemon->config->tunnel_count);
    mailbox_free(daemon->mailbox);
    block_signals();
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        if (daemon->signals[i] != NULL) {
            event_free(daemon->signals[i]);
        }
    }
    if (daemon->base != NULL) {
        event_base_free(daemon->base);
    }
}

static bool has_secrets(const struct config *config)
{
    for (size_t i = 0; i < config->tunnel_count; i++) {
        if (config->tunnels[i].protection != NULL) {
            return true;
        }
    }
    return false;
}

static int serve(const struct config *config)
{
    struct daemon daemon = {.config = config};
    int result = EXIT_FAILURE;

    signal(SIGPIPE, SIG_IGN);
    privileges_begin(config->user.name != NULL || has_secrets(config));
    log_set_level(config->log_level);
    if (start(&daemon) == 0) {
        event_base_dispatch(daemon.base);
        result = EXIT_SUCCESS;
    }
    stop(&daemon);
    if (result == EXIT_SUCCESS) {
        log_line(BRAID_LOG_NOTICE, "stopped");
    }
    libevent_global_shutdown();
    return result;
}

static void print_route(const char *line, bool command)
{
    fprintf(stderr, "%s%s\n", command ? "  " : "", line);
}

/*
 * What is closed of standard input, output and error stays closed for use, but its number is taken:
 * else a socket would get it, and what is printed would go out there.
 */
static void keep_standard_numbers(void)
{
    int taken = STDIN_FILENO;

    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO && taken >= 0; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            taken = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

int main(int argc, char **argv)
{
    struct options options;
    struct config *config;
    int result = EXIT_SUCCESS;

    keep_standard_numbers();
    if (options_parse(&options, argc, argv) != 0) {
        fprintf(stderr, "braidd: %s\n", options.error);
        return OPTIONS_EXIT_USAGE;
    }
    if (options.action == OPTIONS_HELP || options.action == OPTIONS_VERSION) {
        if (options.action == OPTIONS_HELP) {
            options_print_help(stdout);
        } else {
            options_print_version(stdout);
        }
        return fclose(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    config = config_read(options.config, stderr);
    if (config == NULL) {
        return EXIT_FAILURE;
    }
    if (options.action == OPTIONS_TEST) {
        route_check(config, print_route);
        printf("%s: ok\n", config->file);
        result = fclose(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    } else {
        result = serve(config);
    }
    config_free(config);
    return result;
}
