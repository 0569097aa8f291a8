/* SPDX-License-Identifier: MIT */
/*
 * Sends back whatever comes, to any number of clients, on all of the addresses given.
 *
 *   cc echo_server.c $(pkg-config --cflags --libs libbraid) -o echo_server
 *   ./echo_server 127.0.0.1:7000 [::1]:7000
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <event2/event.h>
#include <braid/braid.h>

#define ADDRESSES 8

/* Writes what arrived. What is not taken stays in the input until there is room again. */
static void echo(struct braid_stream *stream, void *arg)
{
    (void)arg;
    (void)!braid_stream_write_buffer(stream, braid_stream_get_input(stream));
}

/* The same when no more will arrive. */
static void finish(struct braid_stream *stream, void *arg)
{
    if (braid_stream_write_buffer(stream, braid_stream_get_input(stream)) == 0)
        braid_stream_shutdown(stream, EV_WRITE);
    (void)arg;
}

static void on_event(struct braid_stream *stream, unsigned events, void *arg)
{
    if (events & BRAID_EVENT_EOF) {
        braid_stream_set_write_cb(stream, finish, NULL);
        finish(stream, arg);
    }
    if (events & (BRAID_EVENT_CLOSED | BRAID_EVENT_ERROR))
        braid_stream_free(stream);
}

static void on_stream(struct braid_listener *listener, struct braid_stream *stream, void *arg)
{
    (void)listener;
    (void)arg;
    braid_stream_setwatermark(stream, EV_WRITE, 0, 1 << 20);
    braid_stream_setcb(stream, echo, echo, on_event, NULL);
    braid_stream_answer(stream, BRAID_OK);
}

int main(int argc, char **argv)
{
    struct event_base *base = event_base_new();
    struct braid_context *context = base != NULL ? braid_context_new(base, NULL) : NULL;
    struct braid_address *addresses[ADDRESSES];
    struct braid_listener *listener = NULL;
    struct sockaddr_storage bound[ADDRESSES];
    char text[128];
    size_t n = 0;

    for (; n < ADDRESSES && (int)n + 1 < argc; n++) {
        addresses[n] = braid_address_new(argv[n + 1], NULL);
        if (addresses[n] == NULL)
            return EXIT_FAILURE;
    }
    if (context != NULL)
        listener = braid_listener_new_bind(context, NULL, addresses, n, on_stream, NULL);
    while (n > 0)
        braid_address_free(addresses[--n]);
    if (listener == NULL) {
        perror("echo_server");
        return EXIT_FAILURE;
    }
    n = braid_listener_get_addresses(listener, bound, ADDRESSES);
    for (size_t i = 0; i < n; i++)
        puts(braid_sockaddr_text((struct sockaddr *)&bound[i], text, sizeof text));
    fflush(stdout);
    return event_base_dispatch(base) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
