/* SPDX-License-Identifier: MIT */
/*
 * Sends standard input to an echo server, several subflows carrying it, and prints what comes back.
 *   cc echo_client.c $(pkg-config --cflags --libs libbraid) -o echo_client
 *   ./echo_client 127.0.0.1:7000 <file
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <event2/event.h>
#include <braid/braid.h>

#define ADDRESSES 8

/* There is room: read the input straight into memory that the stream lends. */
static void on_writable(struct braid_stream *stream, void *arg)
{
    struct iovec v[8];
    int pieces;

    (void)arg;
    while ((pieces = braid_stream_reserve(stream, v, 8)) > 0) {
        ssize_t n = readv(STDIN_FILENO, v, pieces);

        braid_stream_commit(stream, n > 0 ? (size_t)n : 0);
        if (n <= 0) {
            braid_stream_shutdown(stream, EV_WRITE);
            return;
        }
    }
}

static void on_readable(struct braid_stream *stream, void *arg)
{
    char bytes[65536];
    size_t n;

    (void)arg;
    while ((n = braid_stream_read(stream, bytes, sizeof bytes)) > 0)
        fwrite(bytes, 1, n, stdout);
}

static void on_event(struct braid_stream *stream, unsigned events, void *arg)
{
    if (events & (BRAID_EVENT_CLOSED | BRAID_EVENT_ERROR)) {
        if (events & BRAID_EVENT_ERROR)
            fprintf(stderr, "echo_client: %s\n", braid_strerror(braid_stream_get_error(stream)));
        event_base_loopbreak(arg);
    }
}

int main(int argc, char **argv)
{
    struct event_base *base = event_base_new();
    struct braid_context *context = base != NULL ? braid_context_new(base, NULL) : NULL;
    struct braid_address *addresses[ADDRESSES];
    struct braid_stream *stream = NULL;
    size_t n = 0;
    int error;

    for (; n < ADDRESSES && (int)n + 1 < argc; n++) {
        addresses[n] = braid_address_new(argv[n + 1], NULL);
        if (addresses[n] == NULL)
            return EXIT_FAILURE;
    }
    if (context != NULL)
        stream = braid_stream_connect_addresses(context, NULL, addresses, n);
    while (n > 0)
        braid_address_free(addresses[--n]);
    if (stream == NULL)
        return EXIT_FAILURE;
    braid_stream_setcb(stream, on_readable, on_writable, on_event, base);
    on_writable(stream, NULL);
    event_base_dispatch(base);
    error = braid_stream_get_error(stream);
    braid_context_free(context);
    event_base_free(base);
    return error == BRAID_OK && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
