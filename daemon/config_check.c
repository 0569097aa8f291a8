/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <braid/braid.h>

#include "daemon/config.h"
#include "daemon/config_check.h"
#include "daemon/config_ini.h"
#include "daemon/config_report.h"
#include "daemon/config_table.h"

/* A tunnel beside the section it was read from. */
struct origin {
    const struct config_tunnel *tunnel;
    const struct config_ini_section *section;
};

/* Whether a key was written, but not understood. */
static bool is_refused(const struct config_ini_section *section, const char *key)
{
    const struct config_ini_entry *entry = config_ini_find(section, key);

    return entry != NULL && entry->value == NULL;
}

/* A numeric address, read: two ways to write one compare equal. */
struct endpoint {
    int family; /* 0: only its text counts */
    unsigned char bytes[sizeof(struct in6_addr)];
    unsigned long port;
};

static struct endpoint read_endpoint(const char *text)
{
    struct endpoint endpoint = {0};
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN];
    size_t n;

    if (strncmp(text, "unix:", 5) == 0 || colon == NULL)
        return endpoint;
    n = (size_t)(colon - text);
    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
        endpoint.family = AF_INET6;
    } else {
        endpoint.family = AF_INET;
    }
    if (n >= sizeof(host))
        return (struct endpoint){0};
    memcpy(host, text, n);
    host[n] = '\0';
    if (inet_pton(endpoint.family, host, endpoint.bytes) != 1)
        return (struct endpoint){0};
    endpoint.port = strtoul(colon + 1, NULL, 10);
    return endpoint;
}

/* Whether the second of two listeners could not be opened. With port 0 each gets its own. */
static bool is_same(const char *a, const char *b)
{
    struct endpoint x = read_endpoint(a);
    struct endpoint y = read_endpoint(b);

    if (x.family == 0 || y.family == 0)
        return strcmp(a, b) == 0;
    return x.family == y.family && x.port == y.port && x.port != 0 &&
           memcmp(x.bytes, y.bytes, sizeof(x.bytes)) == 0;
}

/* Looks for an address among those that stand before entry `index` of tunnel `tunnels`. */
static unsigned find_before(const struct config *config, size_t tunnels, size_t index,
                            const char *text)
{
    for (size_t t = 0; t <= tunnels; t++) {
        const struct config_addresses *listen = &config->tunnels[t].listen;
        size_t count = t < tunnels ? listen->count : index;

        for (size_t i = 0; i < count; i++)
            if (is_same(braid_address_text(listen->at[i]), text))
                return listen->lines[i];
    }
    return 0;
}

static void check_listen(const struct config *config, size_t tunnel, const char *header,
                         struct config_report *report)
{
    const struct config_addresses *listen = &config->tunnels[tunnel].listen;

    for (size_t i = 0; i < listen->count; i++) {
        const char *text = braid_address_text(listen->at[i]);
        unsigned first = find_before(config, tunnel, i, text);

        if (first > 0)
            config_report_add(report, listen->lines[i], header, "listen",
                              "\"%s\" is listened on already, in line %u; accepted: an address "
                              "once in the file",
                              text, first);
        if (config->control != NULL && strncmp(text, "unix:", 5) == 0 &&
            strcmp(text + 5, config->control) == 0)
            config_report_add(report, listen->lines[i], header, "listen",
                              "\"%s\" is the control socket already; accepted: another path", text);
    }
}

/* An address and where it stands. */
struct address_at {
    const struct braid_address *address; /* NULL: none */
    unsigned line;
};

/* The first address that is not only this machine's own. */
static struct address_at find_open(struct braid_address *const *at, const unsigned *lines,
                                   size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!braid_address_is_loopback(at[i]))
            return (struct address_at){.address = at[i], .line = lines[i]};
    return (struct address_at){.address = NULL};
}

static void check_security(const struct origin *o, struct config_report *report)
{
    const struct config_tunnel *tunnel = o->tunnel;
    const struct config_ini_entry *security = config_ini_find(o->section, "security");
    struct address_at open = {.address = NULL};

    if (tunnel->security != CONFIG_SECURITY_NONE || security == NULL || tunnel->insecure ||
        is_refused(o->section, "insecure"))
        return;
    if (tunnel->role == CONFIG_REMOTE)
        open = find_open(tunnel->listen.at, tunnel->listen.lines, tunnel->listen.count);
    for (size_t i = 0; i < tunnel->path_count && open.address == NULL; i++)
        open = find_open(tunnel->paths[i].remotes, tunnel->paths[i].lines,
                         tunnel->paths[i].remote_count);
    if (open.address != NULL)
        config_report_add(
            report, security->line, o->section->header, "security",
            "\"none\" is refused because %s = %s, line %u, is not a loopback address; "
            "accepted: none with loopback addresses only, or with insecure = yes",
            tunnel->role == CONFIG_LOCAL ? "remote" : "listen", braid_address_text(open.address),
            open.line);
}

/* The line of a key, where it was written. */
static unsigned line_of(const struct origin *o, const char *key)
{
    const struct config_ini_entry *entry = config_ini_find(o->section, key);

    return entry != NULL ? entry->line : 0;
}

/* Addresses of unix sockets, under which TCP says nothing of what has arrived. */
static void check_tcp(const struct origin *o, const char *key, struct braid_address *const *at,
                      const unsigned *lines, size_t count, struct config_report *report)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(braid_address_text(at[i]), "unix:", 5) == 0)
            config_report_add(
                report, lines[i], o->section->header, key,
                "\"%s\" cannot carry protocol = seed; accepted: addresses with a port",
                braid_address_text(at[i]));
}

/* What the seed's format does not have. */
static void check_seed(const struct origin *o, struct config_report *report)
{
    static const char *const secrets[] = {"key", "certificate"};
    const struct config_tunnel *tunnel = o->tunnel;
    const char *asked = tunnel->seed ? "protocol = seed" : "accept-seed = yes";

    if (!tunnel->seed && !tunnel->accept_seed)
        return;
    for (size_t i = 0; i < sizeof(secrets) / sizeof(*secrets); i++)
        if (line_of(o, secrets[i]) > 0)
            config_report_add(report, line_of(o, secrets[i]), o->section->header, secrets[i],
                              "the seed's format has no encryption, so %s excludes it; accepted: "
                              "security = none instead, or another section for this",
                              asked);
    if (tunnel->mode != CONFIG_AGGREGATE && line_of(o, "mode") > 0)
        config_report_add(report, line_of(o, "mode"), o->section->header, "mode",
                          "the peer cannot be told with protocol = seed; accepted: aggregate");
    if (!tunnel->seed)
        return;
    if (tunnel->role == CONFIG_REMOTE)
        check_tcp(o, "listen", tunnel->listen.at, tunnel->listen.lines, tunnel->listen.count,
                  report);
    for (size_t i = 0; i < tunnel->path_count; i++)
        check_tcp(o, "remote", tunnel->paths[i].remotes, tunnel->paths[i].lines,
                  tunnel->paths[i].remote_count, report);
}

/* A header that was not understood may have been meant as a tunnel: then that is all to say. */
static void check_any_tunnel(const struct config *config, const struct config_ini *ini,
                             struct config_report *report)
{
    if (config->tunnel_count > 0)
        return;
    for (size_t i = 0; i < ini->count; i++)
        if (ini->sections[i].kind == NULL ||
            config_kind_find(ini->sections[i].kind) == CONFIG_KINDS)
            return;
    config_report_add(report, ini->lines > 0 ? ini->lines : 1, NULL, NULL,
                      "the file ends without a tunnel; accepted: at least one section "
                      "[local NAME] or [remote NAME]");
}

void config_check(const struct config *config, const struct config_ini *ini,
                  struct config_report *report)
{
    check_any_tunnel(config, ini, report);
    for (size_t i = 0; i < config->tunnel_count; i++) {
        struct origin o = {.tunnel = &config->tunnels[i]};

        o.section = config_ini_section_at(ini, o.tunnel->line);
        check_listen(config, i, o.section->header, report);
        check_security(&o, report);
        check_seed(&o, report);
    }
}
