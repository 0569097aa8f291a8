/* SPDX-License-Identifier: MIT */
#include "address.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <arpa/inet.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define UNIX_PREFIX "unix:"
#define HOST_MAX 253
#define LABEL_MAX 63

static bool read_port(const char *text, uint16_t *port)
{
    unsigned value = 0;

    if (*text == '\0' || strlen(text) > 5)
        return false;
    for (; *text != '\0'; text++) {
        if (!isdigit((unsigned char)*text))
            return false;
        value = value * 10 + (unsigned)(*text - '0');
    }
    if (value > UINT16_MAX)
        return false;
    *port = (uint16_t)value;
    return true;
}

/* Letters, digits, '-' and '_' in labels of 1 to 63, at most 253 in all; a final dot is allowed. */
static bool host_is_valid(const char *host)
{
    size_t label = 0;
    const char *c;

    if (strlen(host) > HOST_MAX)
        return false;
    for (c = host; *c != '\0'; c++) {
        if (*c == '.') {
            if (label == 0)
                return false;
            label = 0;
        } else {
            if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
                return false;
            if (++label > LABEL_MAX)
                return false;
        }
    }
    return c != host && (label != 0 || c - host > 1);
}

/* A host whose last label is a number can only be meant as an IPv4 address. */
static bool host_is_number(const char *host)
{
    const char *dot = strrchr(host, '.');
    const char *label = dot == NULL ? host : dot + 1;

    return *label != '\0' && label[strspn(label, "0123456789")] == '\0';
}

static const char *read_unix(struct braid_address *address, const char *path)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&address->sa;

    if (*path == '\0')
        return "the path of the unix socket is empty";
    if (strlen(path) >= sizeof un->sun_path)
        return "the path of the unix socket is longer than 107 bytes";
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, path);
    address->sa_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
    address->kind = BRAID_ADDRESS_UNIX;
    return NULL;
}

/* host is "2001:db8::1", or with a zone "fe80::1%eth0". */
static const char *read_ipv6(struct braid_address *address, const char *host, uint16_t port)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->sa;
    struct addrinfo hints = {
        .ai_family = AF_INET6, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found;

    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return "not an IPv6 address inside of the brackets";
    memcpy(in6, found->ai_addr, sizeof *in6);
    freeaddrinfo(found);
    in6->sin6_port = htons(port);
    address->sa_len = sizeof *in6;
    address->kind = BRAID_ADDRESS_NUMERIC;
    return NULL;
}

static const char *read_ipv4(struct braid_address *address, const char *host, uint16_t port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&address->sa;

    if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
        return "not an IPv4 address";
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    address->sa_len = sizeof *in;
    address->kind = BRAID_ADDRESS_NUMERIC;
    return NULL;
}

/* copy may be cut up; a name's host stays in it. Returns what is wrong, or NULL. */
static const char *read_address(struct braid_address *address, char *copy)
{
    char *colon = strrchr(copy, ':');
    uint16_t port;
    char *end;

    if (strncmp(copy, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return read_unix(address, copy + strlen(UNIX_PREFIX));
    if (*copy == '[') {
        end = strchr(copy, ']');
        if (end == NULL || end[1] != ':')
            return "an IPv6 address is written as [ADDRESS]:PORT";
        if (!read_port(end + 2, &port))
            return "the port must be a number from 1 to 65535";
        *end = '\0';
        return read_ipv6(address, copy + 1, port);
    }
    if (colon == NULL)
        return "the port is missing: HOST:PORT is expected";
    if (strchr(copy, ':') != colon)
        return "an IPv6 address is written as [ADDRESS]:PORT";
    if (!read_port(colon + 1, &port))
        return "the port must be a number from 1 to 65535";
    *colon = '\0';
    if (*copy == '\0')
        return "the host is missing: HOST:PORT is expected";
    if (host_is_number(copy))
        return read_ipv4(address, copy, port);
    if (!host_is_valid(copy))
        return "not a valid host name";
    address->kind = BRAID_ADDRESS_NAME;
    address->host = copy;
    address->port = port;
    return NULL;
}

struct braid_address *braid_address_new(const char *text, const char **why)
{
    size_t size = strlen(text) + 1;
    struct braid_address *address = calloc(1, sizeof *address + 2 * size);
    const char *wrong = "out of memory";

    if (address == NULL)
        goto out;
    memcpy(address->text, text, size);
    memcpy(address->text + size, text, size);
    wrong = read_address(address, address->text + size);
    if (wrong != NULL) {
        free(address);
        address = NULL;
    }
out:
    if (address == NULL && why != NULL)
        *why = wrong;
    return address;
}

struct braid_address *braid_address_copy(const struct braid_address *address)
{
    return braid_address_new(address->text, NULL);
}

void braid_address_free(struct braid_address *address)
{
    free(address);
}

const char *braid_address_text(const struct braid_address *address)
{
    return address->text;
}

bool braid_address_is_name(const struct braid_address *address)
{
    return address->kind == BRAID_ADDRESS_NAME;
}

static bool ipv4_is_loopback(uint32_t network_order)
{
    return ntohl(network_order) >> 24 == 127;
}

bool braid_address_is_loopback(const struct braid_address *address)
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address->sa;
    uint32_t mapped;

    switch (address->kind) {
    case BRAID_ADDRESS_UNIX:
        return true;
    case BRAID_ADDRESS_NAME:
        return strcasecmp(address->host, "localhost") == 0;
    case BRAID_ADDRESS_NUMERIC:
        break;
    }
    if (address->sa.ss_family == AF_INET)
        return ipv4_is_loopback(((const struct sockaddr_in *)&address->sa)->sin_addr.s_addr);
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        memcpy(&mapped, &in6->sin6_addr.s6_addr[12], sizeof mapped);
        return ipv4_is_loopback(mapped);
    }
    return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

/* Removes a socket file that nobody listens on; whether there was one. */
static bool remove_stale(const struct braid_address *address)
{
    const char *path = ((const struct sockaddr_un *)&address->sa)->sun_path;
    struct stat st;
    bool stale;
    int fd;

    if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    stale = connect(fd, (const struct sockaddr *)&address->sa, address->sa_len) != 0 &&
            errno == ECONNREFUSED;
    close(fd);
    return stale && unlink(path) == 0;
}

static int bind_address(const struct braid_address *address, int fd)
{
    const struct sockaddr *sa = (const struct sockaddr *)&address->sa;

    if (bind(fd, sa, address->sa_len) == 0)
        return 0;
    if (address->kind != BRAID_ADDRESS_UNIX || errno != EADDRINUSE)
        return -1;
    if (remove_stale(address))
        return bind(fd, sa, address->sa_len);
    errno = EADDRINUSE;
    return -1;
}

int braid_address_listen(const struct braid_address *address, int backlog)
{
    int family = address->sa.ss_family;
    const int on = 1;
    int fd, saved;

    if (address->kind == BRAID_ADDRESS_NAME) {
        errno = EINVAL;
        return -1;
    }
    fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (family != AF_UNIX && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        goto failed;
    if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
        goto failed;
    if (bind_address(address, fd) != 0 || listen(fd, backlog) != 0)
        goto failed;
    return fd;
failed:
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

const char *braid_sockaddr_text(const struct sockaddr *sa, char *buf, size_t size)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
    const struct sockaddr_un *un = (const struct sockaddr_un *)sa;
    char host[INET6_ADDRSTRLEN];

    switch (sa->sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(buf, size, "%s:%u", host, (unsigned)ntohs(in->sin_port));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        if (in6->sin6_scope_id != 0)
            snprintf(buf, size, "[%s%%%u]:%u", host, (unsigned)in6->sin6_scope_id,
                     (unsigned)ntohs(in6->sin6_port));
        else
            snprintf(buf, size, "[%s]:%u", host, (unsigned)ntohs(in6->sin6_port));
        break;
    case AF_UNIX:
        snprintf(buf, size, UNIX_PREFIX "%.*s", (int)sizeof un->sun_path, un->sun_path);
        break;
    default:
        snprintf(buf, size, "?");
    }
    return buf;
}

void braid_endpoint_set(union braid_endpoint *endpoint, const struct sockaddr *sa)
{
    memset(endpoint, 0, sizeof *endpoint);
    endpoint->family = sa->sa_family;
    if (sa->sa_family == AF_INET)
        memcpy(&endpoint->in, sa, sizeof endpoint->in);
    else if (sa->sa_family == AF_INET6)
        memcpy(&endpoint->in6, sa, sizeof endpoint->in6);
}

socklen_t braid_endpoint_len(const union braid_endpoint *endpoint)
{
    switch (endpoint->family) {
    case AF_INET:
        return sizeof endpoint->in;
    case AF_INET6:
        return sizeof endpoint->in6;
    default:
        return sizeof endpoint->family;
    }
}

bool braid_endpoint_same_host(const union braid_endpoint *a, const union braid_endpoint *b)
{
    if (a->family != b->family)
        return false;
    if (a->family == AF_INET)
        return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    return a->family == AF_INET6 && IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr);
}
