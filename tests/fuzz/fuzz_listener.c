/* SPDX-License-Identifier: MIT */
/*
 * A listener, over real sockets: connections come, say anything in any pieces, and go, in any
 * order; sessions are made and freed meanwhile. Nothing of them may be left at the end.
 *
 * Input: a byte that says whether the listener asks for a key, then per step a byte that says what
 * is done to which connection, and what that needs. A whole greeting is a step of its own, so that
 * the fuzzer need not find one; where there is a key, that is a first flight that was recorded.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include <braid/braid.h>

#include "core/wire.h"
#include "event/context.h"
#include "first_flight.h"
#include "fuzz.h"

const char fuzz_corpus[] = "listener";

#define CONNECTIONS 8
#define STREAMS 16

enum step { STEP_CONNECT, STEP_SEND, STEP_GREET, STEP_CLOSE, STEP_FREE_STREAM, STEP_RUN, STEPS };

static struct event_base *base;
static struct braid_context *context;
static struct sockaddr_un address;
static socklen_t address_len;
static int connections[CONNECTIONS];
static struct braid_stream *streams[STREAMS];
static unsigned stream_count;
static bool keyed;

static void on_stream(struct braid_listener *listener, struct braid_stream *stream, void *arg)
{
    (void)listener;
    (void)arg;
    if (stream_count == STREAMS) {
        braid_stream_free(stream);
        return;
    }
    braid_stream_answer(stream, BRAID_OK);
    streams[stream_count++] = stream;
}

/* In the abstract namespace, which leaves no file. */
static int listen_somewhere(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    address.sun_family = AF_UNIX;
    address_len = sizeof address;
    REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0);
    REQUIRE(getsockname(fd, (struct sockaddr *)&address, &address_len) == 0 && listen(fd, 64) == 0);
    return fd;
}

static void hang_up(unsigned at)
{
    if (connections[at] >= 0)
        close(connections[at]);
    connections[at] = -1;
}

static void dial(unsigned at)
{
    hang_up(at);
    connections[at] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    REQUIRE(connections[at] >= 0);
    (void)connect(connections[at], (struct sockaddr *)&address, address_len);
}

static void say(unsigned at, const uint8_t *bytes, size_t n)
{
    if (connections[at] >= 0)
        (void)send(connections[at], bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void greet(unsigned at, struct fuzz_input *input)
{
    uint8_t buf[BRAID_GREETING_MAX];
    struct braid_writer out = {buf, sizeof buf, false};
    uint64_t id = (uint64_t)(fuzz_u8(input) & 3) + 1;
    struct braid_preamble preamble = {
        .session = id, .version = BRAID_VERSION, .security = BRAID_SECURITY_NONE};
    struct braid_hello hello = {.max_version = BRAID_VERSION, .session = id, .limit = 65536};

    hello.flags = fuzz_u8(input);
    hello.subflow = fuzz_u8(input);
    hello.token[0] = fuzz_u8(input) & 1;
    braid_wire_write_preamble(&out, &preamble);
    braid_wire_write_hello(&out, &hello, 1);
    REQUIRE(!out.failed);
    say(at, buf, sizeof buf - out.left);
}

/* A first flight, cut and with a byte changed as the input says. */
static void replay(unsigned at, struct fuzz_input *input)
{
    const struct first_flight *flight = first_flight();
    uint8_t bytes[sizeof flight->bytes];
    size_t start = flight->len * fuzz_u8(input) / 256;
    size_t n = (flight->len - start) * (256 - (size_t)fuzz_u8(input)) / 256;
    size_t wrong = flight->len * fuzz_u8(input) / 256;

    memcpy(bytes, flight->bytes, flight->len);
    bytes[wrong] ^= fuzz_u8(input);
    say(at, bytes + start, n);
}

static void free_stream(unsigned at)
{
    if (at >= stream_count)
        return;
    braid_stream_free(streams[at]);
    streams[at] = streams[--stream_count];
}

static void step(struct fuzz_input *input)
{
    unsigned what = fuzz_u8(input), at = what / STEPS % CONNECTIONS;
    const uint8_t *bytes;
    size_t n;

    switch (what % STEPS) {
    case STEP_CONNECT:
        dial(at);
        break;
    case STEP_SEND:
        n = fuzz_u8(input);
        bytes = fuzz_bytes(input, &n);
        say(at, bytes, n);
        break;
    case STEP_GREET:
        if (keyed)
            replay(at, input);
        else
            greet(at, input);
        break;
    case STEP_CLOSE:
        hang_up(at);
        break;
    case STEP_FREE_STREAM:
        free_stream(at);
        break;
    default:
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
}

static void check_limits(void)
{
    struct braid_group_info info;

    braid_group_get_info(context->group, &info);
    REQUIRE(info.half_open <= 4);
    REQUIRE(braid_pendings_count(&context->pendings) <= info.half_open);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    int fd = listen_somewhere();
    struct braid_listener *listener;

    keyed = (fuzz_u8(&input) & 1) != 0;
    base = event_base_new();
    context = braid_context_new(base, NULL);
    REQUIRE(context != NULL && braid_group_set_max_half_open(context->group, 4, 4) == 0);
    listener =
        braid_listener_new(context, keyed ? first_flight()->options : NULL, fd, on_stream, NULL);
    REQUIRE(listener != NULL);
    close(fd);
    stream_count = 0;
    for (unsigned i = 0; i < CONNECTIONS; i++)
        connections[i] = -1;
    while (input.left > 0) {
        step(&input);
        check_limits();
    }
    event_base_loop(base, EVLOOP_NONBLOCK);
    check_limits();
    while (stream_count > 0)
        free_stream(0);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        hang_up(i);
    event_base_loop(base, EVLOOP_NONBLOCK);
    braid_context_free(context);
    event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_free(base);
    return 0;
}
