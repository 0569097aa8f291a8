/* SPDX-License-Identifier: MIT */
#include "path.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "sockopt.h"

/* ---- description ---- */

struct braid_path *braid_path_new(const char *name)
{
    struct braid_path *path = calloc(1, sizeof *path);

    if (path == NULL)
        return NULL;
    atomic_init(&path->references, 1);
    path->name = strdup(name);
    if (path->name == NULL || !braid_path_state_init(&path->state)) {
        free(path->name);
        free(path);
        return NULL;
    }
    return path;
}

void braid_path_free(struct braid_path *path)
{
    if (path == NULL || atomic_fetch_sub(&path->references, 1) > 1)
        return;
    for (unsigned i = 0; i < path->remote_count; i++)
        braid_address_free(path->remotes[i]);
    braid_path_state_clear(&path->state);
    free(path->name);
    free(path);
}

void braid_path_keep(struct braid_path *path)
{
    atomic_fetch_add(&path->references, 1);
}

const char *braid_path_get_name(const struct braid_path *path)
{
    return path->name;
}

/* Copies a name of 1 to size - 1 visible bytes without a slash; NULL: "". */
static int set_name(char *to, size_t size, const char *name)
{
    size_t n = name == NULL ? 0 : strlen(name);

    if (name != NULL && (n == 0 || n >= size))
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (name[i] <= ' ' || name[i] == 0x7f || name[i] == '/' || name[i] == ':')
            return -1;
    }
    memset(to, 0, size);
    if (n > 0)
        memcpy(to, name, n);
    return 0;
}

int braid_path_set_interface(struct braid_path *path, const char *interface)
{
    if (interface != NULL && (strcmp(interface, ".") == 0 || strcmp(interface, "..") == 0))
        return -1;
    return set_name(path->interface, sizeof path->interface, interface);
}

int braid_path_set_source(struct braid_path *path, const char *address)
{
    union braid_endpoint source;

    memset(&source, 0, sizeof source);
    source.family = AF_UNSPEC;
    if (address != NULL) {
        if (inet_pton(AF_INET, address, &source.in.sin_addr) == 1)
            source.family = AF_INET;
        else if (inet_pton(AF_INET6, address, &source.in6.sin6_addr) == 1)
            source.family = AF_INET6;
        else
            return -1;
    }
    path->source = source;
    return 0;
}

int braid_path_add_remote(struct braid_path *path, const struct braid_address *remote)
{
    struct braid_address *copy;

    if (path->remote_count == BRAID_PATH_REMOTES)
        return -1;
    copy = braid_address_copy(remote);
    if (copy == NULL)
        return -1;
    path->remotes[path->remote_count++] = copy;
    return 0;
}

int braid_path_set_subflows(struct braid_path *path, unsigned n)
{
    if (n > 16)
        return -1;
    path->subflows = n;
    return 0;
}

void braid_path_set_backup(struct braid_path *path, bool backup)
{
    path->backup = backup;
}

void braid_path_set_max_rate(struct braid_path *path, uint64_t bytes)
{
    path->max_rate = bytes;
}

int braid_path_set_congestion_control(struct braid_path *path, const char *name)
{
    return set_name(path->congestion_control, sizeof path->congestion_control, name);
}

/* Why a path is down: what is not reached is the remote endpoint, not the target. */
static const char *reason_of(const struct braid_path_view *view)
{
    switch (view->error) {
    case BRAID_ERR_REFUSED:
        return "connection refused";
    case BRAID_ERR_TIMED_OUT:
        return "no answer";
    case BRAID_ERR_UNREACHABLE:
        return view->why != NULL ? view->why : "unreachable";
    default:
        return view->why != NULL ? view->why : braid_strerror(view->error);
    }
}

void braid_path_get_info(struct braid_path *path, struct braid_path_info *info)
{
    static const char *const names[] = {
        [BRAID_PATH_UNKNOWN] = "unknown",
        [BRAID_PATH_UP] = "up",
        [BRAID_PATH_SUSPECT] = "suspect",
        [BRAID_PATH_DOWN] = "down",
    };
    struct braid_path_view view = braid_path_state_view(&path->state);
    bool down = view.health == BRAID_PATH_DOWN;
    uint64_t now = braid_clock();

    *info = (struct braid_path_info){
        .state = names[view.health],
        .age = view.health != BRAID_PATH_UNKNOWN && now > view.since ? now - view.since : 0,
        .rtt = view.rtt < UINT32_MAX ? (uint32_t)view.rtt : UINT32_MAX,
        .rate = view.rate,
        .subflows = view.alive,
        .error = down ? view.error : BRAID_OK,
        .reason = down ? reason_of(&view) : "",
    };
}

/* ---- sockets ---- */

static bool is_link_local(const struct sockaddr *sa)
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;

    return sa->sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr);
}

bool braid_path_interface_address(const char *interface, const struct sockaddr *target,
                                  union braid_endpoint *address)
{
    struct ifaddrs *all, *ifa;

    if (getifaddrs(&all) != 0)
        return false;
    for (ifa = all; ifa != NULL; ifa = ifa->ifa_next) {
        if (ifa->ifa_addr != NULL && ifa->ifa_addr->sa_family == target->sa_family &&
            strcmp(ifa->ifa_name, interface) == 0 &&
            is_link_local(ifa->ifa_addr) == is_link_local(target))
            break;
    }
    if (ifa != NULL)
        braid_endpoint_set(address, ifa->ifa_addr);
    freeifaddrs(all);
    return ifa != NULL;
}

/* Binds to an address and no port yet, so that connect() finds one that is free for the target. */
static int bind_source(int fd, const struct braid_path *path, union braid_endpoint source,
                       const struct sockaddr *target)
{
    if (source.family != target->sa_family)
        return EAFNOSUPPORT;
    if (source.family == AF_INET6 && is_link_local(&source.sa) && source.in6.sin6_scope_id == 0)
        source.in6.sin6_scope_id = if_nametoindex(path->interface);
    braid_sockopt_late_port(fd);
    return bind(fd, &source.sa, braid_endpoint_len(&source)) == 0 ? 0 : errno;
}

static int bind_path(const struct braid_path *path, int fd, const struct sockaddr *target)
{
    union braid_endpoint source = path->source;
    int number;

    if (path->interface[0] != '\0') {
        number = braid_sockopt_device(fd, path->interface);
        if (number != 0 && number != EPERM)
            return number;
        if (number == EPERM && source.family == AF_UNSPEC) {
            if (if_nametoindex(path->interface) == 0)
                return ENODEV;
            if (!braid_path_interface_address(path->interface, target, &source))
                return EADDRNOTAVAIL;
        }
    }
    return source.family == AF_UNSPEC ? 0 : bind_source(fd, path, source, target);
}

int braid_path_prepare(struct braid_path *path, struct braid_context *context, int fd,
                       const struct sockaddr *target, unsigned subflows)
{
    int number;

    if (target->sa_family == AF_UNIX)
        return 0;
    number = bind_path(path, fd, target);
    if (number != 0)
        return number;
    if (path->max_rate > 0)
        braid_sockopt_max_rate(fd, path->max_rate / subflows);
    if (path->congestion_control[0] == '\0')
        return 0;
    number = braid_sockopt_congestion(fd, path->congestion_control);
    if (number != 0 && !atomic_exchange(&path->complained, true))
        braid_log(context, BRAID_LOG_WARNING, BRAID_LOG_PATH,
                  "path %s: congestion control %s cannot be had: %s%s; the default is used",
                  path->name, path->congestion_control, strerrordesc_np(number),
                  number == EPERM ? " (see net.ipv4.tcp_allowed_congestion_control)" : "");
    return 0;
}
