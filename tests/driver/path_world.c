/* SPDX-License-Identifier: MIT */
#include "path_world.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "event/clock.h"
#include "event/context.h"
#include "event/dial.h"

struct world w;
struct app app, second;
struct forwarder forwarders[PATHS];
struct braid_path *paths[PATHS];
static struct braid_address *addresses[4];
static unsigned address_count;

int port_of(int fd)
{
    struct sockaddr_in in;
    socklen_t len = sizeof in;

    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    return ntohs(in.sin_port);
}

void path_world_open(void)
{
    world_open(&w);
    for (unsigned i = 0; i < PATHS; i++) {
        forwarder_open(&forwarders[i], w.base, port_of(w.listen_fd));
        paths[i] = world_path(&w, forwarders[i].address);
    }
    app = second = (struct app){.key = 1, .peer_key = 2};
    w.script = (struct app){.key = 2, .peer_key = 1};
    address_count = 0;
}

void path_world_close(void)
{
    app_free(&app);
    app_free(&second);
    world_close_begin(&w);
    for (unsigned i = 0; i < PATHS; i++)
        forwarder_close(&forwarders[i]);
    world_close(&w);
    for (unsigned i = 0; i < address_count; i++)
        braid_address_free(addresses[i]);
}

/* ---- addresses that do not answer ---- */

static int listen_on(const char *text, int backlog)
{
    struct braid_address *any = braid_address_new(text, NULL);
    int fd;

    ck_assert_ptr_nonnull(any);
    fd = braid_address_listen(any, backlog);
    ck_assert_int_ge(fd, 0);
    braid_address_free(any);
    return fd;
}

static const struct braid_address *keep(struct braid_address *address)
{
    ck_assert_uint_lt(address_count, 4);
    return addresses[address_count++] = address;
}

const struct braid_address *refusing(void)
{
    int fd = listen_on("127.0.0.1:0", 1);
    const struct braid_address *address = keep(address_of(fd));

    close(fd);
    return address;
}

void silence_begin(struct silence *silence)
{
    silence->fd = listen_on("127.0.0.1:0", 0);
    silence->address = keep(address_of(silence->fd));
    for (size_t i = 0; i < 8; i++) {
        struct sockaddr_in in = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port_of(silence->fd)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

        silence->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        ck_assert_int_ge(silence->fillers[i], 0);
        (void)connect(silence->fillers[i], (struct sockaddr *)&in, sizeof in);
    }
}

void silence_end(struct silence *silence)
{
    for (size_t i = 0; i < 8; i++)
        close(silence->fillers[i]);
    close(silence->fd);
}

/* ---- conditions ---- */

bool connected(void *arg)
{
    const struct app *one = arg;

    return one->connected || one->error;
}

static unsigned wanted_subflows;

static bool so_many_subflows(void *arg)
{
    const struct app *one = arg;
    struct braid_stream_info info;

    braid_stream_get_info(one->stream, &info);
    return info.subflows == wanted_subflows;
}

bool wait_subflows(struct app *one, unsigned n, double seconds)
{
    wanted_subflows = n;
    return run_until(w.base, so_many_subflows, one, seconds);
}

const char *state_of(struct braid_path *path)
{
    struct braid_path_info info;

    braid_path_get_info(path, &info);
    return info.state;
}

bool is_down(void *arg)
{
    return strcmp(state_of(arg), "down") == 0;
}

bool received_all(void *arg)
{
    (void)arg;
    return w.accepted > 0 && w.apps[0].received == app.to_send;
}

double seconds_until(condition holds, void *arg, double limit)
{
    uint64_t start = braid_clock();

    ck_assert(run_until(w.base, holds, arg, limit));
    return (double)(braid_clock() - start) / 1e6;
}

unsigned count_dials(const struct braid_path *path)
{
    const struct braid_dial *dial;
    unsigned count = 0;

    LIST_FOREACH(dial, &w.local->dials, link)
        count += dial->path == path ? 1 : 0;
    return count;
}
