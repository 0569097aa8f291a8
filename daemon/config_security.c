/* SPDX-License-Identifier: MIT */
#include "daemon/config_security.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <braid/braid.h>

#include "daemon/config.h"
#include "daemon/config_ini.h"
#include "daemon/config_report.h"
#include "daemon/config_table.h"

#define WHY_SIZE 1024

/* A tunnel beside the section it was read from. */
struct resolver {
    struct config_tunnel *tunnel;
    const struct config_ini_section *section;
    struct config_report *report;
    uid_t user; /* that the daemon becomes; 0: none */
};

/* The line of a key in the section; 0: it is not there. */
static unsigned line_of(const struct resolver *r, const char *key)
{
    const struct config_ini_entry *entry = config_ini_find(r->section, key);

    return entry != NULL ? entry->line : 0;
}

static void complain(const struct resolver *r, unsigned line, const char *key, const char *what)
{
    config_report_add(r->report, line, r->section->header, key, "%s", what);
}

/* Whether a key was written, and understood: what was not has been reported, and is enough. */
static bool is_set(const struct resolver *r, const char *key)
{
    const struct config_ini_entry *entry = config_ini_find(r->section, key);

    return entry != NULL && entry->value != NULL;
}

/* One of the ways to say who is who excludes the others; false: two are there. */
static bool check_alone(const struct resolver *r)
{
    static const char *const ways[] = {"key", "certificate", "security"};
    const char *first = NULL;

    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        if (!is_set(r, ways[i]))
            continue;
        if (first != NULL) {
            config_report_add(r->report, line_of(r, ways[i]), r->section->header, ways[i],
                              "does not go with %s, line %u; accepted: one of key, certificate "
                              "and security = none",
                              first, line_of(r, first));
            return false;
        }
        first = ways[i];
    }
    return true;
}

/* What goes with a certificate is there with it, and not without it. */
static bool check_certificate(const struct resolver *r)
{
    static const char *const with[] = {"private-key", "ca", "peer-name"};
    unsigned certificate = line_of(r, "certificate");
    bool good = true;

    for (size_t i = 0; i < sizeof(with) / sizeof(*with); i++) {
        if (line_of(r, with[i]) == 0 && is_set(r, "certificate"))
            complain(r, certificate, with[i],
                     "missing; accepted: certificate, private-key, ca and peer-name together");
        else if (is_set(r, with[i]) && certificate == 0)
            complain(r, line_of(r, with[i]), with[i],
                     "is of no use without certificate; accepted: certificate, private-key, ca "
                     "and peer-name together");
        good = good && is_set(r, with[i]) == is_set(r, "certificate");
    }
    return good;
}

static void load_keys(const struct resolver *r)
{
    const struct config_texts *files = &r->tunnel->key;
    char why[WHY_SIZE];

    for (size_t i = 0; i < files->count; i++) {
        int count = braid_security_load_keys(r->tunnel->protection, files->at[i], why, sizeof(why));

        if (count < 0)
            complain(r, files->lines[i], "key", why);
        else if (count > 1 && r->tunnel->role == CONFIG_LOCAL)
            config_report_add(r->report, files->lines[i], r->section->header, "key",
                              "%s: there are %d keys in it; accepted: a file with the one key of "
                              "this client",
                              files->at[i], count);
    }
}

static void load_certificate(const struct resolver *r)
{
    const struct config_tunnel *tunnel = r->tunnel;
    char why[WHY_SIZE];

    if (braid_security_load_certificate(tunnel->protection, tunnel->certificate,
                                        tunnel->private_key, tunnel->ca, why, sizeof(why)) != 0)
        complain(r, line_of(r, "certificate"), "certificate", why);
    for (size_t i = 0; i < tunnel->peer_name.count; i++)
        if (braid_security_add_peer(tunnel->protection, tunnel->peer_name.at[i]) != 0)
            config_report_add(r->report, tunnel->peer_name.lines[i], r->section->header,
                              "peer-name", "\"%s\" is there already; accepted: a name once",
                              tunnel->peer_name.at[i]);
}

static void load(const struct resolver *r)
{
    braid_security_set_owner(r->tunnel->protection, r->user);
    if (r->tunnel->certificate != NULL)
        load_certificate(r);
    else
        load_keys(r);
}

/* Whether a line says, or was meant to say, what protects the tunnel. */
static bool is_meant(const struct resolver *r)
{
    enum config_kind kind =
        r->tunnel->role == CONFIG_LOCAL ? CONFIG_KIND_LOCAL : CONFIG_KIND_REMOTE;

    for (size_t i = 0; i < r->section->count; i++) {
        const struct config_ini_entry *entry = &r->section->entries[i];
        const struct config_key *key = config_table_find(kind, entry->key);

        if (key == NULL && entry->value == NULL)
            key = config_table_nearest(kind, entry->key);
        if (key != NULL && (strcmp(key->name, "key") == 0 || strcmp(key->name, "security") == 0 ||
                            strcmp(key->name, "certificate") == 0))
            return true;
    }
    return false;
}

static void resolve(const struct resolver *r)
{
    struct config_tunnel *tunnel = r->tunnel;

    if (!check_alone(r) || !check_certificate(r))
        return;
    if (!is_meant(r))
        complain(r, tunnel->line, "key",
                 "missing; accepted: key = FILE, made by braid keygen > FILE and copied to the "
                 "other end; or certificate = FILE; or security = none");
    if (tunnel->key.count == 0 && tunnel->certificate == NULL)
        return;
    tunnel->protection = braid_security_new();
    if (tunnel->protection == NULL)
        config_report_no_memory(r->report);
    else
        load(r);
}

void config_security_resolve(struct config *config, const struct config_ini *ini,
                             struct config_report *report)
{
    for (size_t i = 0; i < config->tunnel_count; i++) {
        struct resolver r = {
            .tunnel = &config->tunnels[i], .report = report, .user = config->user.uid};

        r.section = config_ini_section_at(ini, r.tunnel->line);
        resolve(&r);
    }
}
