/* SPDX-License-Identifier: MIT */
#include "daemon/route_check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/tunnel.h"

/* Routing tables for the commands: nothing uses such numbers by itself. */
#define FIRST_TABLE 1001
#define LINE_SIZE 512
#define RP_FILTER_STRICT 1

/* One path on the way to one of its remotes. */
struct check {
    const struct config *config;
    const struct config_path *section;
    const struct braid_path *path;
    const struct braid_address *remote;
    char interface[IF_NAMESIZE];   /* that it is meant to leave by; "": not known */
    char source[INET6_ADDRSTRLEN]; /* that it leaves from; "": not known */
    unsigned table;
    unsigned char *advised; /* what was told to do about the section, a set of enum advice */
    route_check_cb cb;
};

/* What is to be done, for IPv4; shifted by one for IPv6. */
enum advice {
    ADVICE_RULE = 1,
    ADVICE_ROUTE = 4,
};

/* ---- what is wrong --------------------------------------------------------------------------- */

static void tell(const struct check *check, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void tell(const struct check *check, const char *key, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list ap;
    int n;

    n = snprintf(line, sizeof(line), "%s:%u: [path %s] %s: ", check->config->file,
                 check->section->line, check->section->name, key);
    va_start(ap, format);
    if (n >= 0 && (size_t)n < sizeof(line)) {
        (void)vsnprintf(line + n, sizeof(line) - (size_t)n, format, ap);
    }
    va_end(ap);
    check->cb(line, false);
}

static void command(const struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void command(const struct check *check, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(line, sizeof(line), format, ap);
    va_end(ap);
    check->cb(line, true);
}

/* ---- what the machine has -------------------------------------------------------------------- */

static bool is_ipv6(const struct braid_address *address)
{
    return *braid_address_text(address) == '[';
}

/* An address of a machine's interface as text; "": it is of no internet family. */
static void host_text(const struct sockaddr *sa, char *text, socklen_t size)
{
    *text = '\0';
    if (sa->sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, text,
                        size);
    } else if (sa->sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, text,
                        size);
    }
}

/* Whether two texts are the same address. */
static bool is_same_host(const char *a, const char *b)
{
    unsigned char x[sizeof(struct in6_addr)];
    unsigned char y[sizeof(struct in6_addr)];
    int family = strchr(a, ':') != NULL ? AF_INET6 : AF_INET;
    size_t size = family == AF_INET6 ? sizeof(struct in6_addr) : sizeof(struct in_addr);

    return inet_pton(family, a, x) == 1 && inet_pton(family, b, y) == 1 && memcmp(x, y, size) == 0;
}

/* Fills in the interface that the path's source address belongs to. */
static void find_interface(struct check *check)
{
    struct ifaddrs *all = NULL;
    char text[INET6_ADDRSTRLEN];

    if (getifaddrs(&all) != 0) {
        return;
    }
    for (const struct ifaddrs *ifa = all; ifa != NULL; ifa = ifa->ifa_next) {
        if (ifa->ifa_addr == NULL) {
            continue;
        }
        host_text(ifa->ifa_addr, text, sizeof(text));
        if (*text != '\0' && is_same_host(text, check->section->source)) {
            snprintf(check->interface, sizeof(check->interface), "%s", ifa->ifa_name);
            break;
        }
    }
    freeifaddrs(all);
}

static bool is_point_to_point(const char *interface)
{
    struct ifaddrs *all = NULL;
    bool found = false;

    if (getifaddrs(&all) != 0) {
        return false;
    }
    for (const struct ifaddrs *ifa = all; ifa != NULL && !found; ifa = ifa->ifa_next) {
        found = strcmp(ifa->ifa_name, interface) == 0 && (ifa->ifa_flags & IFF_POINTOPOINT) != 0;
    }
    freeifaddrs(all);
    return found;
}

/* net.ipv4.conf.NAME.rp_filter; 0 where it cannot be read. */
static int read_rp_filter(const char *name)
{
    char path[128];
    int value = 0;
    FILE *in;

    snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", name);
    in = fopen(path, "re");
    if (in == NULL) {
        return 0;
    }
    if (fscanf(in, "%d", &value) != 1) {
        value = 0;
    }
    fclose(in);
    return value;
}

/* The kernel takes the larger one of two settings. */
static bool drops_asymmetric(const char *interface)
{
    int all = read_rp_filter("all");
    int own = read_rp_filter(interface);

    return (all > own ? all : own) == RP_FILTER_STRICT;
}

/* ---- what is to be done ---------------------------------------------------------------------- */

/*
 * Writes " via GATEWAY dev INTERFACE", with the gateway that the kernel has for the interface, or
 * the word where it has none and needs one.
 */
static void write_way(const struct check *check, char *text, size_t size)
{
    struct braid_path *bound = braid_path_new(check->section->name);
    struct braid_route route = {.gateway = ""};
    int error = -1;

    if (bound != NULL && braid_path_set_interface(bound, check->interface) == 0) {
        error = braid_path_get_route(bound, check->remote, true, &route);
    }
    braid_path_free(bound);
    if (error == 0 && *route.gateway != '\0') {
        snprintf(text, size, " via %s dev %s", route.gateway, check->interface);
    } else if (error == 0 || is_point_to_point(check->interface)) {
        snprintf(text, size, " dev %s", check->interface);
    } else {
        snprintf(text, size, " via GATEWAY dev %s", check->interface);
    }
}

/* Whether that is the first time that it is advised: commands that add something work once. */
static bool is_new(const struct check *check, enum advice advice)
{
    unsigned char bit = (unsigned char)(advice << (is_ipv6(check->remote) ? 1 : 0));
    bool known = (*check->advised & bit) != 0;

    *check->advised |= bit;
    return !known;
}

/* What sends everything from the source address by the interface. */
static void command_rule(const struct check *check)
{
    const char *six = is_ipv6(check->remote) ? " -6" : "";
    char way[IF_NAMESIZE + INET6_ADDRSTRLEN + 16];

    write_way(check, way, sizeof(way));
    command(check, "ip%s route add default%s table %u", six, way, check->table);
    command(check, "ip%s rule add from %s lookup %u", six, check->source, check->table);
}

/* What gives the interface a route at all, one that nothing else prefers. */
static void command_route(const struct check *check)
{
    char way[IF_NAMESIZE + INET6_ADDRSTRLEN + 16];

    write_way(check, way, sizeof(way));
    command(check, "ip%s route add default%s metric 4096", is_ipv6(check->remote) ? " -6" : "",
            way);
}

/* ---- the check ------------------------------------------------------------------------------- */

/* Whether answers to what leaves by the interface would be thrown away there. */
static bool loses_answers(const struct check *check)
{
    struct braid_route route;

    return !is_ipv6(check->remote) && drops_asymmetric(check->interface) &&
           (braid_path_get_route(check->path, check->remote, false, &route) != 0 ||
            strcmp(route.interface, check->interface) != 0);
}

/* Fills in interface and source; false: the machine lacks them now, which is told. */
static bool identify(struct check *check, const char *source, int error)
{
    const struct config_path *section = check->section;

    snprintf(check->source, sizeof(check->source), "%s",
             section->source != NULL ? section->source : source);
    if (section->interface != NULL) {
        snprintf(check->interface, sizeof(check->interface), "%s", section->interface);
    } else {
        find_interface(check);
    }
    if (error == ENODEV) {
        tell(check, "interface", "there is no interface %s now", section->interface);
    } else if (error == EADDRNOTAVAIL && section->source == NULL) {
        tell(check, "interface", "%s has no address of the family of %s now", section->interface,
             braid_address_text(check->remote));
    } else if (error != 0 && section->source != NULL && *check->interface == '\0') {
        tell(check, "source", "%s is no address of this machine now", section->source);
    } else {
        return true;
    }
    return false;
}

static void check_way(struct check *check)
{
    const char *key = check->section->interface != NULL ? "interface" : "source";
    const char *remote = braid_address_text(check->remote);
    struct braid_route route = {.interface = ""};
    int error = braid_path_get_route(check->path, check->remote, true, &route);
    enum advice advice = error != 0 ? ADVICE_ROUTE : ADVICE_RULE;
    const char *then = "this changes it:";

    if (error == EAFNOSUPPORT) {
        return; /* the source address is for the remotes of its own family */
    }
    if (!identify(check, route.source, error) || *check->interface == '\0' ||
        (error == 0 && strcmp(route.interface, check->interface) == 0 && !loses_answers(check))) {
        return;
    }
    if (!is_new(check, advice)) {
        then = "the commands above change that, too";
        advice = 0;
    }
    if (error != 0) {
        tell(check, key, "%s has no route to %s: %s; %s", check->interface, remote, strerror(error),
             then);
    } else if (strcmp(route.interface, check->interface) != 0) {
        tell(check, key, "%s is to be left by, but what goes from %s to %s leaves by %s; %s",
             check->interface, check->source, remote, route.interface, then);
    } else {
        tell(check, key,
             "answers from %s that come by %s are dropped, as rp_filter is strict there; %s",
             remote, check->interface, then);
    }
    if (advice == ADVICE_ROUTE) {
        command_route(check);
    } else if (advice == ADVICE_RULE) {
        command_rule(check);
    }
}

static void check_path(const struct config *config, const struct config_tunnel_path *config_path,
                       unsigned char *advised, route_check_cb cb)
{
    struct braid_path *path = tunnel_make_path(config_path);
    size_t index = (size_t)(config_path->section - config->paths);
    struct check check = {
        .config = config,
        .section = config_path->section,
        .path = path,
        .table = FIRST_TABLE + (unsigned)index,
        .advised = &advised[index],
        .cb = cb,
    };

    for (size_t i = 0; path != NULL && i < config_path->remote_count; i++) {
        check.remote = config_path->remotes[i];
        /* A name would have to be resolved, and may be another address tomorrow. */
        if (!braid_address_is_name(check.remote) &&
            strncmp(braid_address_text(check.remote), "unix:", 5) != 0) {
            check_way(&check);
        }
    }
    braid_path_free(path);
}

void route_check(const struct config *config, route_check_cb cb)
{
    unsigned char *advised = calloc(config->path_count + 1, 1);

    for (size_t i = 0; advised != NULL && i < config->tunnel_count; i++) {
        const struct config_tunnel *tunnel = &config->tunnels[i];

        for (size_t k = 0; k < tunnel->path_count; k++) {
            const struct config_path *section = tunnel->paths[k].section;

            if (section != NULL && (section->interface != NULL || section->source != NULL)) {
                check_path(config, &tunnel->paths[k], advised, cb);
            }
        }
    }
    free(advised);
}
