/* SPDX-License-Identifier: MIT */
#include "cli/command_file.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <event2/event.h>

#include <braid/listener.h>
#include <braid/options.h>

#include "cli/channel.h"
#include "cli/exit.h"
#include "cli/file_job.h"
#include "cli/file_options.h"

#define ADDRESS_TEXT 128
#define ACCEPTS_AT_ONCE 4
#define PAUSE_MICROSECONDS 100000 /* until clients are accepted again, where none could be */

struct server {
    struct file_job job;
    struct braid_listener *listener; /* mptcp */
    int fd;                          /* tcp; -1: closed */
    struct event *accept_event;
    struct event *pause; /* between two tries */
    bool short_of;       /* descriptors or memory; it was said */
};

static void say_listening(const struct server *server, const struct sockaddr *sa)
{
    char text[ADDRESS_TEXT];

    fprintf(stderr, "%s: listening on %s\n", server->job.options->program,
            braid_sockaddr_text(sa, text, sizeof(text)));
}

/* ---- mptcp ---- */

static void callback_stream(struct braid_listener *listener, struct braid_stream *stream, void *arg)
{
    struct server *server = arg;
    struct file_job *job = &server->job;
    struct braid_subflow_info info = {.peer = {.ss_family = AF_UNSPEC}};
    char peer[ADDRESS_TEXT];

    if (!job->options->serve) {
        braid_listener_disable(listener);
    }
    if (job->stopping) {
        braid_stream_free(stream);
        return;
    }
    (void)braid_stream_get_subflows(stream, &info, 1);
    braid_sockaddr_text((const struct sockaddr *)&info.peer, peer, sizeof(peer));
    braid_stream_answer(stream, BRAID_OK);
    file_job_start(job, channel_braid_new(stream, NULL, 0), job->options->serve ? peer : NULL);
}

static void listen_braid(struct server *server)
{
    struct file_job *job = &server->job;
    const struct address *address = &job->options->address;
    struct sockaddr_storage bound[ADDRESS_MAX];
    size_t count;

    if (address->subflows != 0) {
        (void)!braid_options_set_max_subflows(job->braid, address->subflows);
    }
    server->listener = braid_listener_new_bind(job->context, job->braid, address->list,
                                               address->count, callback_stream, server);
    if (server->listener == NULL) {
        job->failed = true; /* the library's log line has said it */
        return;
    }
    count = braid_listener_get_addresses(server->listener, bound, ADDRESS_MAX);
    for (size_t i = 0; i < count; i++) {
        say_listening(server, (const struct sockaddr *)&bound[i]);
    }
}

/* ---- tcp ---- */

static void stop_accepting(struct server *server)
{
    if (server->accept_event != NULL) {
        event_free(server->accept_event);
    }
    if (server->pause != NULL) {
        event_free(server->pause);
    }
    server->accept_event = NULL;
    server->pause = NULL;
    if (server->fd >= 0) {
        close(server->fd);
    }
    server->fd = -1;
}

static void callback_pause_over(evutil_socket_t fd, short what, void *arg)
{
    const struct server *server = arg;

    (void)fd;
    (void)what;
    event_add(server->accept_event, NULL);
}

/* Out of descriptors or memory, maybe: whoever waits in the backlog goes on waiting there. */
static void accept_failed(struct server *server, int error)
{
    static const struct timeval pause = {.tv_usec = PAUSE_MICROSECONDS};

    if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM) {
        return; /* it has gone, or there is none */
    }
    if (!server->short_of) {
        fprintf(stderr, "%s: cannot accept a client for now: %s; raise the limit on open files\n",
                server->job.options->program, strerrordesc_np(error));
    }
    server->short_of = true;
    event_del(server->accept_event);
    event_add(server->pause, &pause);
}

static void callback_accept(evutil_socket_t fd, short what, void *arg)
{
    struct server *server = arg;
    struct file_job *job = &server->job;

    (void)what;
    for (int i = 0; i < ACCEPTS_AT_ONCE && server->fd >= 0 && !job->stopping; i++) {
        struct sockaddr_storage sa = {.ss_family = AF_UNSPEC};
        socklen_t len = sizeof(sa);
        int client = accept4(fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        char peer[ADDRESS_TEXT];

        if (client < 0) {
            accept_failed(server, errno);
            return;
        }
        server->short_of = false;
        if (!job->options->serve) {
            stop_accepting(server);
        }
        braid_sockaddr_text((const struct sockaddr *)&sa, peer, sizeof(peer));
        file_job_start(job, channel_tcp_new(job->base, client), job->options->serve ? peer : NULL);
    }
}

static void listen_tcp(struct server *server)
{
    struct file_job *job = &server->job;
    const struct braid_address *address = job->options->address.list[0];
    struct sockaddr_storage sa = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(sa);

    server->fd = braid_address_listen(address, SOMAXCONN);
    if (server->fd < 0) {
        file_job_complain(job, "cannot listen on %s: %s", braid_address_text(address),
                          strerror(errno));
        return;
    }
    server->accept_event =
        event_new(job->base, server->fd, EV_READ | EV_PERSIST, callback_accept, server);
    server->pause = evtimer_new(job->base, callback_pause_over, server);
    if (server->accept_event == NULL || server->pause == NULL ||
        event_add(server->accept_event, NULL) != 0) {
        file_job_complain(job, "out of memory");
        return;
    }
    (void)getsockname(server->fd, (struct sockaddr *)&sa, &len);
    say_listening(server, (const struct sockaddr *)&sa);
}

/* ---- the command ---- */

/* Looks a name up, once: a server listens on one of this machine's addresses. */
static bool resolve(struct file_job *job, struct braid_address **address)
{
    const char *text = braid_address_text(*address);
    const char *colon = strrchr(text, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    struct braid_address *numeric;
    char numbers[ADDRESS_TEXT];
    char host[256];
    int error;

    if (!braid_address_is_name(*address)) {
        return true;
    }
    snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    error = getaddrinfo(host, colon + 1, &hints, &found);
    if (error != 0) {
        file_job_complain(job, "%s: %s", host, gai_strerror(error));
        return false;
    }
    numeric =
        braid_address_new(braid_sockaddr_text(found->ai_addr, numbers, sizeof(numbers)), NULL);
    freeaddrinfo(found);
    if (numeric == NULL) {
        file_job_complain(job, "out of memory");
        return false;
    }
    braid_address_free(*address);
    *address = numeric;
    return true;
}

int command_server(int argc, char **argv)
{
    struct file_options options;
    struct server server = {.fd = -1};
    int status = file_options_parse(&options, argc, argv);
    bool good;

    if (status != -1) {
        return status;
    }
    good = file_job_init(&server.job, &options);
    for (size_t i = 0; good && i < options.address.count; i++) {
        good = resolve(&server.job, &options.address.list[i]);
    }
    if (good && options.address.multipath) {
        listen_braid(&server);
    } else if (good) {
        listen_tcp(&server);
    }
    status = file_job_run(&server.job);
    stop_accepting(&server);
    braid_listener_free(server.listener);
    file_job_clear(&server.job);
    file_options_clear(&options);
    return status == EXIT_SUCCESS ? exit_flushed() : status;
}
