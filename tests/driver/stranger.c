/* SPDX-License-Identifier: MIT */
#include "stranger.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#include "event/context.h"

int stranger_connect(const struct world *w, const char *source)
{
    struct sockaddr_in to, from = {.sin_family = AF_INET};
    socklen_t len = sizeof to;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(getsockname(w->listen_fd, (struct sockaddr *)&to, &len), 0);
    if (source != NULL) {
        ck_assert_int_eq(inet_pton(AF_INET, source, &from.sin_addr), 1);
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    }
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

bool stranger_is_closed(void *fd)
{
    char bytes[4096];
    ssize_t n;

    do
        n = recv(*(int *)fd, bytes, sizeof bytes, 0);
    while (n > 0);
    return n == 0 || errno != EAGAIN;
}

struct braid_group_info stranger_info(const struct world *w)
{
    struct braid_group_info info;

    braid_group_get_info(w->remote->group, &info);
    return info;
}

static bool nobody_waits(void *w)
{
    return stranger_info(w).half_open == 0;
}

void stranger_wait_none(struct world *w)
{
    ck_assert(run_until(w->base, nobody_waits, w, PATIENCE));
    ck_assert_uint_eq(stranger_info(w).half_open_memory, 0);
}
