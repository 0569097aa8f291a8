/* SPDX-License-Identifier: MIT */
#include "daemon/tunnel.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/util.h>

#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/sockopt.h"

/* The kernel cuts it to net.core.somaxconn. */
#define BACKLOG 4096
#define ADDRESS_TEXT 128

/* Sockets that the service manager passed and nobody has claimed yet. */
struct inherited {
    int first;
    int count;
    bool *claimed;
};

const char *tunnel_role(const struct tunnel *tunnel)
{
    return tunnel->config->role == CONFIG_LOCAL ? "local" : "remote";
}

/* Where a socket is bound, as text; false: it is not a bound socket. */
static bool bound_address(int fd, char *text, size_t size)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);

    memset(&address, 0, sizeof(address));
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        return false;
    }
    braid_sockaddr_text((const struct sockaddr *)&address, text, size);
    return true;
}

/* The same spelling as bound_address() gives, so that "[0::1]:80" is found to be "[::1]:80". */
static void normal_address(const struct braid_address *address, char *text, size_t size)
{
    struct sockaddr_storage parsed;
    int length = sizeof(parsed);
    const char *written = braid_address_text(address);

    if (evutil_parse_sockaddr_port(written, (struct sockaddr *)&parsed, &length) == 0) {
        braid_sockaddr_text((const struct sockaddr *)&parsed, text, size);
    } else {
        snprintf(text, size, "%s", written);
    }
}

static bool is_listening_stream(int fd)
{
    int type = 0;
    int listening = 0;
    socklen_t length = sizeof(type);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_STREAM) {
        return false;
    }
    length = sizeof(listening);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening != 0;
}

/* An unclaimed inherited socket that is bound to this address, or -1. */
static int claim(struct inherited *inherited, const struct braid_address *address)
{
    char wanted[ADDRESS_TEXT];
    char bound[ADDRESS_TEXT];

    normal_address(address, wanted, sizeof(wanted));
    for (int i = 0; i < inherited->count; i++) {
        int fd = inherited->first + i;

        if (inherited->claimed[i] || !is_listening_stream(fd) ||
            !bound_address(fd, bound, sizeof(bound)) || strcmp(bound, wanted) != 0) {
            continue;
        }
        if (evutil_make_socket_nonblocking(fd) != 0) {
            return -1;
        }
        inherited->claimed[i] = true;
        return fd;
    }
    return -1;
}

static const char *advice(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "; stop what listens there, or choose another address";
    case EACCES:
        return "; not permitted: choose a port from 1024 on, or grant CAP_NET_BIND_SERVICE";
    case EADDRNOTAVAIL:
        return "; this machine has no such address";
    case ENOENT:
        return "; the directory does not exist";
    default:
        return "";
    }
}

/* Opens the next of the tunnel's sockets. */
static bool open_socket(struct tunnel *tunnel, const char *file, struct inherited *inherited)
{
    const struct config_addresses *listen_on = &tunnel->config->listen;
    const struct braid_address *address = listen_on->at[tunnel->socket_count];
    const char *written = braid_address_text(address);
    struct tunnel_socket *opened = &tunnel->sockets[tunnel->socket_count];
    char text[ADDRESS_TEXT];

    opened->fd = claim(inherited, address);
    if (opened->fd < 0) {
        opened->fd = braid_address_listen(address, BACKLOG);
        if (opened->fd >= 0 && strncmp(written, "unix:", 5) == 0) {
            opened->path = written + 5;
        }
    }
    if (opened->fd >= 0) {
        opened->text = strdup(bound_address(opened->fd, text, sizeof(text)) ? text : written);
    }
    if (opened->text == NULL) {
        log_line(BRAID_LOG_ERR, "%s:%u: [%s %s] listen = %s: %s%s", file,
                 listen_on->lines[tunnel->socket_count], tunnel_role(tunnel), tunnel->config->name,
                 written, strerror(errno), advice(errno));
    }
    if (opened->fd < 0) {
        return false;
    }
    tunnel->socket_count++;
    if (tunnel->config->role == CONFIG_LOCAL) {
        sockopt_plain(opened->fd);
    }
    return opened->text != NULL;
}

static struct braid_options *make_options(const struct config_tunnel *config)
{
    struct braid_options *options = braid_options_new();
    int failed;

    if (options == NULL) {
        return NULL;
    }
    if (config->role == CONFIG_LOCAL) {
        braid_options_set_redundant(options, config->mode == CONFIG_REDUNDANT);
        failed = braid_options_set_grace(options, config->grace);
    } else {
        failed = braid_options_set_max_subflows(options, config->max_subflows);
    }
    if (config->seed) {
        failed |= braid_options_set_protocol(options, BRAID_PROTOCOL_SEED);
    } else if (config->accept_seed) {
        failed |= braid_options_set_protocol(options, BRAID_PROTOCOL_EITHER);
    }
    braid_options_set_bare_end(options, config->bare_end);
    braid_options_set_security(options, config->protection);
    if (failed != 0) {
        braid_options_free(options);
        return NULL;
    }
    return options;
}

struct braid_path *tunnel_make_path(const struct config_tunnel_path *config)
{
    const struct config_path *section = config->section;
    struct braid_path *path = braid_path_new(config->name);
    int failed = 0;

    if (path == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < config->remote_count; i++) {
        failed |= braid_path_add_remote(path, config->remotes[i]);
    }
    failed |= braid_path_set_subflows(path, config->subflows);
    braid_path_set_backup(path, config->backup);
    if (section != NULL) {
        failed |= braid_path_set_interface(path, section->interface) |
                  braid_path_set_source(path, section->source) |
                  braid_path_set_congestion_control(path, section->congestion_control);
        braid_path_set_max_rate(path, section->max_rate);
    }
    if (failed != 0) {
        braid_path_free(path);
        return NULL;
    }
    return path;
}

static bool make_paths(struct tunnel *tunnel)
{
    size_t count = tunnel->config->path_count;

    tunnel->paths = calloc(count + 1, sizeof(struct braid_path *));
    for (size_t i = 0; tunnel->paths != NULL && i < count; i++) {
        tunnel->paths[i] = tunnel_make_path(&tunnel->config->paths[i]);
        if (tunnel->paths[i] == NULL) {
            return false;
        }
    }
    return tunnel->paths != NULL;
}

static bool open_tunnel(struct tunnel *tunnel, const struct config *config,
                        struct inherited *inherited)
{
    const struct config_addresses *listen_on = &tunnel->config->listen;

    tunnel->options = make_options(tunnel->config);
    tunnel->sockets = calloc(listen_on->count, sizeof(*tunnel->sockets));
    if (tunnel->options == NULL || tunnel->sockets == NULL || !make_paths(tunnel)) {
        log_line(BRAID_LOG_ERR, "[%s %s]: out of memory", tunnel_role(tunnel),
                 tunnel->config->name);
        return false;
    }
    for (size_t i = 0; i < listen_on->count; i++) {
        if (!open_socket(tunnel, config->file, inherited)) {
            return false;
        }
    }
    return true;
}

static bool all_claimed(const struct inherited *inherited, const char *file)
{
    bool all = true;

    for (int i = 0; i < inherited->count; i++) {
        char text[ADDRESS_TEXT] = "?";

        if (!inherited->claimed[i]) {
            (void)bound_address(inherited->first + i, text, sizeof(text));
            log_line(BRAID_LOG_ERR,
                     "%s: the service manager passed a socket at %s, which no listen key names: "
                     "make ListenStream= and listen = the same",
                     file, text);
            all = false;
        }
    }
    return all;
}

static bool take_inherited(struct inherited *inherited)
{
    inherited->count = notify_take_sockets(&inherited->first);
    if (inherited->count < 0) {
        log_line(BRAID_LOG_ERR, "taking over the service manager's sockets: %s",
                 strerror(-inherited->count));
        return false;
    }
    inherited->claimed = calloc((size_t)inherited->count + 1, sizeof(*inherited->claimed));
    if (inherited->claimed == NULL) {
        log_line(BRAID_LOG_ERR, "out of memory");
        return false;
    }
    return true;
}

struct tunnel *tunnels_open(const struct config *config)
{
    struct inherited inherited = {.first = -1};
    struct tunnel *tunnels;
    bool opened = true;

    if (!take_inherited(&inherited)) {
        return NULL;
    }
    tunnels = calloc(config->tunnel_count, sizeof(*tunnels));
    for (size_t i = 0; tunnels != NULL && i < config->tunnel_count; i++) {
        tunnels[i].config = &config->tunnels[i];
        opened = opened && open_tunnel(&tunnels[i], config, &inherited);
    }
    if (tunnels != NULL && !(opened && all_claimed(&inherited, config->file))) {
        tunnels_free(tunnels, config->tunnel_count);
        tunnels = NULL;
    }
    free(inherited.claimed);
    return tunnels;
}

static void close_sockets(struct tunnel *tunnel)
{
    for (size_t i = 0; i < tunnel->socket_count; i++) {
        struct tunnel_socket *opened = &tunnel->sockets[i];

        if (opened->fd < 0) {
            continue;
        }
        /* The file goes first, while nobody else can have put a socket of theirs in its place. */
        if (opened->path != NULL) {
            (void)unlink(opened->path);
        }
        close(opened->fd);
        opened->fd = -1;
    }
}

void tunnels_close_sockets(struct tunnel *tunnels, size_t count, enum config_role role)
{
    for (size_t i = 0; i < count; i++) {
        if (tunnels[i].config->role == role) {
            close_sockets(&tunnels[i]);
        }
    }
}

void tunnels_free(struct tunnel *tunnels, size_t count)
{
    if (tunnels == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct tunnel *tunnel = &tunnels[i];

        close_sockets(tunnel);
        for (size_t j = 0; j < tunnel->socket_count; j++) {
            free(tunnel->sockets[j].text);
        }
        free(tunnel->sockets);
        braid_options_free(tunnel->options);
        for (size_t j = 0; tunnel->paths != NULL && j < tunnel->config->path_count; j++) {
            braid_path_free(tunnel->paths[j]);
        }
        free(tunnel->paths);
    }
    free(tunnels);
}
