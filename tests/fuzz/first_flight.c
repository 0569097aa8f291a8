/* SPDX-License-Identifier: MIT */
#include "first_flight.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include <braid/braid.h>

#include "core/wire.h"
#include "fuzz.h"

#define RECORD_HEADER 5

static struct braid_options *options_with_key(void)
{
    struct braid_options *options = braid_options_new();
    struct braid_security *security = braid_security_new();
    char text[BRAID_KEY_TEXT_MAX];
    char why[128];

    REQUIRE(options != NULL && security != NULL);
    REQUIRE(braid_key_generate("fuzz", text, sizeof text) == 0);
    REQUIRE(braid_security_read_keys(security, text, strlen(text), "fuzz", why, sizeof why) == 1);
    braid_options_set_security(options, security);
    braid_security_free(security);
    return options;
}

/* Whether the preamble and the first record are there. */
static bool is_whole(const struct first_flight *flight)
{
    const uint8_t *record = flight->bytes + BRAID_PREAMBLE_SIZE;

    return flight->len >= BRAID_PREAMBLE_SIZE + RECORD_HEADER &&
           flight->len >=
               BRAID_PREAMBLE_SIZE + RECORD_HEADER + ((size_t)record[3] << 8 | record[4]);
}

static void take(struct first_flight *flight, struct event_base *base, int listening)
{
    int fd = -1;

    while (!is_whole(flight)) {
        ssize_t n;

        event_base_loop(base, EVLOOP_NONBLOCK);
        if (fd < 0)
            fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        n = fd < 0 ? 0
                   : recv(fd, flight->bytes + flight->len, sizeof flight->bytes - flight->len, 0);
        flight->len += n > 0 ? (size_t)n : 0;
    }
    close(fd);
}

static void make(struct first_flight *flight)
{
    struct event_base *base = event_base_new();
    struct braid_context *context = braid_context_new(base, NULL);
    struct braid_address *any = braid_address_new("127.0.0.1:0", NULL);
    int listening = braid_address_listen(any, 1);
    struct sockaddr_storage bound;
    socklen_t bound_len = sizeof bound;
    char text[64];
    struct braid_address *at;
    struct braid_stream *stream;

    REQUIRE(context != NULL && listening >= 0);
    REQUIRE(getsockname(listening, (struct sockaddr *)&bound, &bound_len) == 0);
    at = braid_address_new(braid_sockaddr_text((const struct sockaddr *)&bound, text, sizeof text),
                           NULL);
    flight->options = options_with_key();
    stream = braid_stream_connect_addresses(context, flight->options, &at, 1);
    REQUIRE(stream != NULL);
    take(flight, base, listening);
    braid_stream_free(stream);
    braid_address_free(at);
    braid_address_free(any);
    close(listening);
    braid_context_free(context);
    event_base_free(base);
}

const struct first_flight *first_flight(void)
{
    static struct first_flight flight;

    if (flight.len == 0)
        make(&flight);
    return &flight;
}
