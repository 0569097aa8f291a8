/* SPDX-License-Identifier: MIT */
/*
 * The shape of the seed's own benchmark, with libbraid: writes of 16 MiB, one after the other, on a
 * stream of four subflows over loopback, listener and stream in one process with a thread each.
 *
 *   stream [braid|seed] [WRITES]
 *
 * Prints the bytes a second, in MiB, and the milliseconds a write: from the first one's beginning
 * until the last one's bytes were read and the stream has closed at both ends.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <event2/buffer.h>
#include <event2/event.h>

#include <braid/braid.h>

#define WRITE ((size_t)16 << 20)
#define SUBFLOWS 4u

struct end {
    struct event_base *base;
    struct braid_context *context;
    struct braid_options *options;
    struct braid_stream *stream;
    uint64_t total; /* bytes to be sent */
    uint64_t done;
    const unsigned char *bytes;
    struct evbuffer *buffer;
    int error;
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "stream: %s\n", what);
    exit(EXIT_FAILURE);
}

static void on_event(struct braid_stream *stream, unsigned events, void *arg)
{
    struct end *end = arg;

    if ((events & BRAID_EVENT_EOF) != 0)
        braid_stream_shutdown(stream, EV_WRITE);
    if ((events & (BRAID_EVENT_CLOSED | BRAID_EVENT_ERROR)) == 0)
        return;
    end->error = (events & BRAID_EVENT_ERROR) != 0 ? braid_stream_get_error(stream) : BRAID_OK;
    braid_stream_free(stream);
    event_base_loopbreak(end->base);
}

/* ---- the reading end ---- */

static void on_readable(struct braid_stream *stream, void *arg)
{
    struct end *end = arg;
    struct iovec v[64];
    int count;

    while ((count = braid_stream_peek(stream, v, 64)) > 0) {
        size_t n = 0;

        for (int i = 0; i < count; i++)
            n += v[i].iov_len;
        end->done += n;
        braid_stream_drain(stream, n);
    }
}

static void on_stream(struct braid_listener *listener, struct braid_stream *stream, void *arg)
{
    braid_listener_disable(listener);
    braid_stream_answer(stream, BRAID_OK);
    braid_stream_setcb(stream, on_readable, NULL, on_event, arg);
}

static void *read_all(void *arg)
{
    event_base_dispatch(((struct end *)arg)->base);
    return NULL;
}

/* ---- the writing end ---- */

/* The next write, when the one before is the stream's. */
static void on_writable(struct braid_stream *stream, void *arg)
{
    struct end *end = arg;

    if (end->done == end->total) {
        braid_stream_shutdown(stream, EV_WRITE);
        return;
    }
    if (evbuffer_add_reference(end->buffer, end->bytes, WRITE, NULL, NULL) != 0 ||
        braid_stream_write_buffer(stream, end->buffer) != 0)
        fail("cannot write");
    end->done += WRITE;
}

static unsigned char *random_bytes(void)
{
    unsigned char *bytes = malloc(WRITE);
    uint64_t x = 88172645463325252u;

    for (size_t i = 0; bytes != NULL && i < WRITE; i += sizeof(x)) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(bytes + i, &x, sizeof(x));
    }
    return bytes;
}

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void end_init(struct end *end, enum braid_protocol protocol)
{
    end->base = event_base_new();
    end->context = end->base != NULL ? braid_context_new(end->base, NULL) : NULL;
    end->options = braid_options_new();
    end->buffer = evbuffer_new();
    if (end->buffer == NULL || end->context == NULL || end->options == NULL ||
        braid_options_set_protocol(end->options, protocol) != 0 ||
        braid_options_set_subflows(end->options, SUBFLOWS) != 0)
        fail("out of memory");
}

static void end_clear(struct end *end)
{
    evbuffer_free(end->buffer);
    braid_options_free(end->options);
    braid_context_free(end->context);
    event_base_free(end->base);
}

/* Connects to where the other end listens. */
static void connect_to(struct end *end, const struct sockaddr_storage *sa)
{
    char text[64];
    struct braid_address *address = braid_address_new(
        braid_sockaddr_text((const struct sockaddr *)sa, text, sizeof(text)), NULL);

    if (address != NULL)
        end->stream = braid_stream_connect_addresses(end->context, end->options, &address, 1);
    braid_address_free(address);
    if (end->stream == NULL)
        fail("cannot connect");
    braid_stream_setcb(end->stream, NULL, on_writable, on_event, end);
    on_writable(end->stream, end);
}

int main(int argc, char **argv)
{
    bool seed = argc > 1 && strcmp(argv[1], "seed") == 0;
    uint64_t writes = argc > 2 ? strtoull(argv[2], NULL, 10) : 100;
    struct braid_address *any = braid_address_new("127.0.0.1:0", NULL);
    struct end reader = {.error = -1};
    struct end writer = {.total = writes * WRITE, .error = -1};
    struct braid_listener *listener;
    struct sockaddr_storage bound;
    unsigned char *bytes = random_bytes();
    pthread_t thread;
    double start, took;

    end_init(&reader, seed ? BRAID_PROTOCOL_SEED : BRAID_PROTOCOL_1);
    end_init(&writer, seed ? BRAID_PROTOCOL_SEED : BRAID_PROTOCOL_1);
    listener = braid_listener_new_bind(reader.context, reader.options, &any, 1, on_stream, &reader);
    if (bytes == NULL || listener == NULL ||
        braid_listener_get_addresses(listener, &bound, 1) != 1 ||
        pthread_create(&thread, NULL, read_all, &reader) != 0)
        fail("cannot listen");
    writer.bytes = bytes;
    start = now();
    connect_to(&writer, &bound);
    event_base_dispatch(writer.base);
    pthread_join(thread, NULL);
    took = now() - start;
    if (writer.error != BRAID_OK || reader.error != BRAID_OK || reader.done != writer.total)
        fail("bytes were lost");
    printf("%.1f MiB/s, %.2f ms a write\n", (double)writer.total / 1048576 / took,
           took * 1000 / (double)writes);
    braid_listener_free(listener);
    braid_address_free(any);
    end_clear(&writer);
    end_clear(&reader);
    free(bytes);
    return EXIT_SUCCESS;
}
