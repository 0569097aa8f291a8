/* SPDX-License-Identifier: MIT */
#include "daemon/config_paths.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"
#include "daemon/config_ini.h"
#include "daemon/config_report.h"
#include "daemon/config_table.h"

#define MAX_SUBFLOWS 16 /* of a session, over all paths */

/* A tunnel whose paths are put together. */
struct resolver {
    struct config *config;
    struct config_tunnel *tunnel;
    const struct config_ini_section *section;
    struct config_report *report;
};

/* Whether a key was written, but not understood; that has been reported. */
static bool is_refused(const struct config_ini_section *section, const char *key)
{
    const struct config_ini_entry *entry = config_ini_find(section, key);

    return entry != NULL && entry->value == NULL;
}

/* The line of a key; of the section's header, where it does not stand there. */
static unsigned line_of(const struct resolver *r, const char *key)
{
    const struct config_ini_entry *entry = config_ini_find(r->section, key);

    return entry != NULL ? entry->line : r->section->line;
}

/* ---- which there are ------------------------------------------------------------------------- */

/* A new last path, without anything; NULL: no memory, which is reported. */
static struct config_tunnel_path *add_path(struct resolver *r)
{
    struct config_tunnel *tunnel = r->tunnel;
    struct config_tunnel_path *grown;

    grown = reallocarray(tunnel->paths, tunnel->path_count + 1, sizeof(*grown));
    if (grown == NULL) {
        config_report_no_memory(r->report);
        return NULL;
    }
    tunnel->paths = grown;
    memset(&grown[tunnel->path_count], 0, sizeof(*grown));
    return &grown[tunnel->path_count++];
}

static void add_section(struct resolver *r, const struct config_path *section)
{
    struct config_tunnel_path *path = add_path(r);
    const struct config_addresses *remote =
        section->remote.count > 0 ? &section->remote : &r->tunnel->remote;

    if (path == NULL)
        return;
    path->section = section;
    snprintf(path->name, sizeof(path->name), "%s", section->name);
    path->remotes = remote->at;
    path->lines = remote->lines;
    path->remote_count = remote->count;
}

static const struct config_path *find_section(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->path_count; i++)
        if (strcmp(config->paths[i].name, name) == 0)
            return &config->paths[i];
    return NULL;
}

static bool has_path(const struct config_tunnel *tunnel, const struct config_path *section)
{
    for (size_t i = 0; i < tunnel->path_count; i++)
        if (tunnel->paths[i].section == section)
            return true;
    return false;
}

static void add_named(struct resolver *r)
{
    const struct config_names *names = &r->tunnel->path_names;

    for (size_t i = 0; i < names->count; i++) {
        const struct config_path *section = find_section(r->config, names->at[i]);

        if (section == NULL)
            config_report_add(r->report, line_of(r, "paths"), r->section->header, "paths",
                              "there is no section [path %s]; accepted: names of [path NAME] "
                              "sections, separated by spaces",
                              names->at[i]);
        else if (has_path(r->tunnel, section))
            config_report_add(r->report, line_of(r, "paths"), r->section->header, "paths",
                              "\"%s\" is named twice; accepted: each path once", names->at[i]);
        else
            add_section(r, section);
    }
}

/* Every remote is a path of its own. */
static void add_remotes(struct resolver *r)
{
    const struct config_addresses *remote = &r->tunnel->remote;

    for (size_t i = 0; i < remote->count; i++) {
        struct config_tunnel_path *path = add_path(r);

        if (path == NULL)
            return;
        snprintf(path->name, sizeof(path->name), "%zu", i);
        path->remotes = &remote->at[i];
        path->lines = &remote->lines[i];
        path->remote_count = 1;
    }
}

static void add_all(struct resolver *r)
{
    if (r->tunnel->path_names.count > 0 || is_refused(r->section, "paths"))
        add_named(r);
    else if (r->config->path_count == 0)
        add_remotes(r);
    else
        for (size_t i = 0; i < r->config->path_count; i++)
            add_section(r, &r->config->paths[i]);
}

/* ---- what they are --------------------------------------------------------------------------- */

/* With mode = backup the first is the primary one, unless some section says more than nothing. */
static void set_priorities(struct config_tunnel *tunnel)
{
    bool said = false;

    for (size_t i = 0; i < tunnel->path_count; i++) {
        const struct config_path *section = tunnel->paths[i].section;

        said = said || (section != NULL && section->priority != CONFIG_PRIORITY_AUTO);
    }
    for (size_t i = 0; i < tunnel->path_count; i++) {
        const struct config_path *section = tunnel->paths[i].section;

        if (section != NULL && section->priority == CONFIG_BACKUP_PATH)
            tunnel->paths[i].backup = true;
        else
            tunnel->paths[i].backup = tunnel->mode == CONFIG_BACKUP && !said && i > 0;
    }
}

static void set_subflows(struct config_tunnel *tunnel)
{
    unsigned each = tunnel->subflows;

    if (each == 0)
        each = tunnel->path_count == 1 ? 4 : 1;
    tunnel->subflows = 0;
    for (size_t i = 0; i < tunnel->path_count; i++) {
        const struct config_path *section = tunnel->paths[i].section;

        tunnel->paths[i].subflows =
            section != NULL && section->subflows > 0 ? section->subflows : each;
        tunnel->subflows += tunnel->paths[i].subflows;
    }
}

/* ---- what does not go together --------------------------------------------------------------- */

/* Says that a tunnel has no remote where it needs one; false: there is nothing to say. */
static bool check_remotes(struct resolver *r)
{
    const struct config_key *key = config_table_find(CONFIG_KIND_LOCAL, "remote");

    if (is_refused(r->section, "remote"))
        return true;
    if (r->tunnel->remote.count == 0 && r->config->path_count == 0) {
        config_report_add(r->report, r->section->line, r->section->header, "remote",
                          "missing; accepted: %s", key->accepted);
        return true;
    }
    for (size_t i = 0; i < r->tunnel->path_count; i++) {
        const struct config_tunnel_path *path = &r->tunnel->paths[i];

        if (path->remote_count > 0)
            continue;
        config_report_add(r->report, r->section->line, r->section->header, "remote",
                          "missing, and [path %s], line %u, has none of its own; accepted: %s",
                          path->name, path->section->line, key->accepted);
        return true;
    }
    return false;
}

/* The family of a numeric address, as its first byte tells; 0: a name, which may be of both. */
static char family_of(const char *text)
{
    if (*text == '[')
        return '6';
    return text[strspn(text, "0123456789.")] == ':' ? '4' : 0;
}

/* Whether a source address could be the one of a connection to that remote. */
static bool can_reach(const char *source, const struct braid_address *remote)
{
    char family = family_of(braid_address_text(remote));

    return family == 0 || family == (strchr(source, ':') != NULL ? '6' : '4');
}

static void check_path(struct resolver *r, const struct config_tunnel_path *path)
{
    const struct config_path *section = path->section;
    bool reached = section->source == NULL;
    char header[80];

    snprintf(header, sizeof(header), "path %s", section->name);
    if (path->remote_count > BRAID_PATH_REMOTES)
        config_report_add(r->report, path->lines[BRAID_PATH_REMOTES], header, "remote",
                          "[%s] has %zu addresses on this path; accepted: at most %d",
                          r->section->header, path->remote_count, BRAID_PATH_REMOTES);
    for (size_t i = 0; i < path->remote_count; i++) {
        const char *text = braid_address_text(path->remotes[i]);

        if (strncmp(text, "unix:", 5) == 0 && (section->interface != NULL || !reached)) {
            config_report_add(r->report, path->lines[i], header, "remote",
                              "\"%s\" is not reached by an interface or from an address; "
                              "accepted: an internet address, or a path without interface and "
                              "source",
                              text);
            return;
        }
        reached = reached || can_reach(section->source, path->remotes[i]);
    }
    if (!reached)
        config_report_add(r->report, section->line, header, "source",
                          "\"%s\" and remote = %s, line %u, are of different families; accepted: "
                          "both IPv4 or both IPv6",
                          section->source, braid_address_text(path->remotes[0]), path->lines[0]);
}

static void check_subflows(struct resolver *r)
{
    const struct config_tunnel *tunnel = r->tunnel;
    const struct config_ini_entry *subflows = config_ini_find(r->section, "subflows");
    bool sections = tunnel->path_count > 0 && tunnel->paths[0].section != NULL;
    const char *key = subflows != NULL ? "subflows" : sections ? "paths" : "remote";
    unsigned line = line_of(r, key);

    if (tunnel->subflows <= MAX_SUBFLOWS)
        return;
    if (subflows == NULL && !sections)
        line = tunnel->remote.lines[tunnel->remote.count - 1];
    config_report_add(r->report, line, r->section->header, key,
                      "%zu paths have %u subflows; accepted: at most %d over all paths",
                      tunnel->path_count, tunnel->subflows, MAX_SUBFLOWS);
}

static void check_primary(struct resolver *r)
{
    for (size_t i = 0; i < r->tunnel->path_count; i++)
        if (!r->tunnel->paths[i].backup)
            return;
    config_report_add(r->report, line_of(r, "paths"), r->section->header, "paths",
                      "all of them are backup; accepted: at least one with priority = primary");
}

void config_paths_resolve(struct config *config, const struct config_ini *ini,
                          struct config_report *report)
{
    for (size_t i = 0; i < config->tunnel_count; i++) {
        struct resolver r = {.config = config, .tunnel = &config->tunnels[i], .report = report};

        if (r.tunnel->role != CONFIG_LOCAL)
            continue;
        r.section = config_ini_section_at(ini, r.tunnel->line);
        add_all(&r);
        set_priorities(r.tunnel);
        set_subflows(r.tunnel);
        if (check_remotes(&r) || r.tunnel->path_count == 0)
            continue;
        for (size_t k = 0; k < r.tunnel->path_count; k++)
            if (r.tunnel->paths[k].section != NULL)
                check_path(&r, &r.tunnel->paths[k]);
        check_subflows(&r);
        check_primary(&r);
    }
}
