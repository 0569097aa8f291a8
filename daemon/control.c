/* SPDX-License-Identifier: MIT */
#include "daemon/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include <braid/address.h>

#include "daemon/acceptor.h"

#define PROTOCOL "braid/1"
#define BACKLOG 16
/* The next piece is asked for when less than this is left to send. */
#define LOW_WATER 4096

enum client_state {
    CLIENT_ASKING,   /* its line is awaited */
    CLIENT_ANSWERED, /* its answer is being sent */
    CLIENT_CLOSING   /* what is left to send is the end */
};

/* A client; its answer lives apart, since a piece may still be owed when the client is gone. */
struct client {
    LIST_ENTRY(client) entry;
    struct control *control;
    struct bufferevent *buffer;
    struct event *deadline; /* of its line, however slowly that comes */
    struct control_answer *answer;
    enum client_state state;
};

struct control_answer {
    struct client *client; /* NULL: gone */
    bool owed;             /* a piece was asked for */
    max_align_t state[];
};

struct control {
    struct event_base *base;
    int fd;
    struct acceptor *acceptor;
    struct limits limits; /* of clients */
    struct control_source source;
    LIST_HEAD(, client) clients;
};

/* ---- clients --------------------------------------------------------------------------------- */

static void client_free(struct client *client)
{
    struct control *control = client->control;

    if (client->answer != NULL) {
        client->answer->client = NULL;
        if (!client->answer->owed) {
            free(client->answer);
        }
    }
    if (client->deadline != NULL) {
        event_free(client->deadline);
    }
    if (client->buffer != NULL) {
        bufferevent_free(client->buffer);
    }
    LIST_REMOVE(client, entry);
    free(client);
    limits_release(&control->limits);
    acceptor_resume(control->acceptor);
}

static void client_refuse(struct client *client, const char *why)
{
    client->state = CLIENT_CLOSING;
    event_del(client->deadline);
    bufferevent_disable(client->buffer, EV_READ);
    evbuffer_add_printf(bufferevent_get_output(client->buffer), PROTOCOL " error %s\n", why);
}

/* Asks for pieces until there is enough to send, or one is on its way. */
static void ask_for_more(struct client *client)
{
    struct control_source *source = &client->control->source;
    struct control_answer *answer = client->answer;

    if (client->state == CLIENT_ANSWERED && !answer->owed) {
        answer->owed = true;
        source->more(answer, answer->state, source->arg);
    }
}

void control_answer_give(struct control_answer *answer, const char *text, size_t length, bool last)
{
    struct client *client = answer->client;
    struct evbuffer *output;

    answer->owed = false;
    if (client == NULL) {
        free(answer);
        return;
    }
    output = bufferevent_get_output(client->buffer);
    if (evbuffer_add(output, text, length) != 0) {
        client_free(client);
        return;
    }
    if (last) {
        evbuffer_add_printf(output, "end\n");
        client->state = CLIENT_CLOSING;
    } else if (evbuffer_get_length(output) == 0) {
        /* An empty piece: no write will end and ask for the next one. */
        bufferevent_trigger(client->buffer, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
    }
}

void control_answer_break(struct control_answer *answer)
{
    answer->owed = false;
    if (answer->client == NULL) {
        free(answer);
    } else {
        client_free(answer->client);
    }
}

static void begin_status(struct client *client)
{
    size_t size = client->control->source.state_size;

    client->answer = calloc(1, sizeof(*client->answer) + size);
    if (client->answer == NULL) {
        client_refuse(client, "out of memory");
        return;
    }
    client->answer->client = client;
    client->state = CLIENT_ANSWERED;
    event_del(client->deadline);
    bufferevent_disable(client->buffer, EV_READ);
    evbuffer_add_printf(bufferevent_get_output(client->buffer), PROTOCOL " ok\n");
}

static void understand(struct client *client, const char *line)
{
    if (strcmp(line, PROTOCOL " status") == 0) {
        begin_status(client);
    } else if (strncmp(line, PROTOCOL " ", sizeof(PROTOCOL)) == 0) {
        client_refuse(client, "unknown command; this daemon knows: status");
    } else if (strncmp(line, "braid/", 6) == 0) {
        client_refuse(client, "unknown version; this daemon speaks " PROTOCOL);
    } else {
        client_refuse(client, "not a request; send: " PROTOCOL " status");
    }
}

/* ---- events ---------------------------------------------------------------------------------- */

static void callback_readable(struct bufferevent *buffer, void *arg)
{
    struct client *client = arg;
    struct evbuffer *input = bufferevent_get_input(buffer);
    size_t length = 0;
    char *line = evbuffer_readln(input, &length, EVBUFFER_EOL_CRLF);

    if (line == NULL) {
        if (evbuffer_get_length(input) >= CONTROL_LINE_MAX) {
            client_refuse(client, "the line is too long");
        }
        return;
    }
    if (length != strlen(line)) {
        client_refuse(client, "not a request; send: " PROTOCOL " status");
    } else {
        understand(client, line);
    }
    free(line);
}

static void callback_writable(struct bufferevent *buffer, void *arg)
{
    struct client *client = arg;

    if (client->state != CLIENT_CLOSING) {
        ask_for_more(client);
    } else if (evbuffer_get_length(bufferevent_get_output(buffer)) == 0) {
        client_free(client);
    } else {
        /* The low-water mark was passed, and the rest is still to be sent. */
        bufferevent_setwatermark(buffer, EV_WRITE, 0, 0);
    }
}

/* The client closed, failed, or takes nothing of its answer. */
static void callback_event(struct bufferevent *buffer, short what, void *arg)
{
    (void)buffer;
    (void)what;
    client_free(arg);
}

static void callback_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    client_refuse(arg, "no request came in time");
}

static void callback_accepted(int fd, const struct sockaddr *peer, void *arg)
{
    static const struct timeval patience = {CONTROL_TIMEOUT_SECONDS, 0};
    struct control *control = arg;
    struct client *client = calloc(1, sizeof(*client));

    (void)peer;
    if (client == NULL) {
        close(fd);
        limits_release(&control->limits);
        return;
    }
    client->control = control;
    LIST_INSERT_HEAD(&control->clients, client, entry);
    client->deadline = evtimer_new(control->base, callback_deadline, client);
    client->buffer = bufferevent_socket_new(control->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (client->buffer == NULL) {
        close(fd);
    }
    if (client->buffer == NULL || client->deadline == NULL) {
        client_free(client);
        return;
    }
    event_add(client->deadline, &patience);
    bufferevent_setcb(client->buffer, callback_readable, callback_writable, callback_event, client);
    bufferevent_setwatermark(client->buffer, EV_READ, 0, CONTROL_LINE_MAX);
    bufferevent_setwatermark(client->buffer, EV_WRITE, LOW_WATER, 0);
    bufferevent_set_timeouts(client->buffer, NULL, &patience);
    bufferevent_enable(client->buffer, EV_READ | EV_WRITE);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct control *control_new(struct event_base *base, int fd, const struct control_source *source)
{
    struct control *control = calloc(1, sizeof(*control));

    if (control == NULL) {
        close(fd);
        return NULL;
    }
    control->base = base;
    control->fd = fd;
    control->source = *source;
    control->limits.name = "the most control clients";
    control->limits.max_sessions = CONTROL_CLIENTS_MAX;
    LIST_INIT(&control->clients);
    control->acceptor =
        acceptor_new(base, &control->limits, fd, "control", callback_accepted, control);
    if (control->acceptor == NULL) {
        close(fd);
        free(control);
        return NULL;
    }
    return control;
}

void control_free(struct control *control)
{
    if (control == NULL) {
        return;
    }
    while (!LIST_EMPTY(&control->clients)) {
        client_free(LIST_FIRST(&control->clients));
    }
    acceptor_free(control->acceptor);
    close(control->fd);
    free(control);
}

int control_open(const char *path)
{
    char text[sizeof("unix:") + 4096];
    struct braid_address *address;
    const char *why = NULL;
    mode_t before;
    int saved;
    int fd;

    if (snprintf(text, sizeof(text), "unix:%s", path) >= (int)sizeof(text)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    address = braid_address_new(text, &why);
    if (address == NULL) {
        errno = why == NULL ? ENOMEM : ENAMETOOLONG;
        return -1;
    }
    before = umask(0117);
    fd = braid_address_listen(address, BACKLOG);
    saved = errno;
    umask(before);
    braid_address_free(address);
    errno = saved;
    return fd;
}
