/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/config_check.h"
#include "daemon/config_ini.h"
#include "daemon/config_paths.h"
#include "daemon/config_report.h"
#include "daemon/config_security.h"
#include "daemon/config_table.h"

#define MAX_NAME 64 /* bytes of a tunnel's name */
#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

/* A configuration while it is put together. */
struct builder {
    struct config *config;
    struct config_ini *ini;
    struct config_report *report;
};

/* One section while its keys are read. */
struct scope {
    enum config_kind kind;
    struct config_ini_section *section;
    void *base; /* struct config or struct config_tunnel */
    /* The line of each key of the table, or of what was meant for it; 0: not there. */
    unsigned first[CONFIG_TABLE_MAX];
};

static size_t index_of(const struct config_key *key)
{
    return (size_t)(key - config_table);
}

static void *field_of(const struct scope *scope, const struct config_key *key)
{
    return (char *)scope->base + key->field;
}

/* Marks a value as of no use, now that this has been reported. */
static void discard(struct config_ini_entry *entry)
{
    free(entry->value);
    entry->value = NULL;
}

/* Says that there is no such key here, and what may have been meant. */
static void refuse_key(struct builder *b, struct scope *scope, struct config_ini_entry *entry)
{
    const struct config_key *nearest = config_table_nearest(scope->kind, entry->key);
    char names[256];
    char hint[128] = "";

    config_table_names(scope->kind, names, sizeof(names));
    for (int kind = 0; nearest == NULL && *hint == '\0' && kind < CONFIG_KINDS; kind++)
        if (config_table_find((enum config_kind)kind, entry->key) != NULL)
            snprintf(hint, sizeof(hint), ", it belongs to %s", config_kinds[kind].header);
    if (nearest != NULL) {
        snprintf(hint, sizeof(hint), ", did you mean %s?", nearest->name);
        if (scope->first[index_of(nearest)] == 0)
            scope->first[index_of(nearest)] = entry->line;
    }
    config_report_add(b->report, entry->line, scope->section->header, entry->key,
                      "unknown key%s; accepted: %s", hint,
                      *names != '\0' ? names : "leave the section out");
    discard(entry);
}

/* Completes what has been appended. */
static void note_line(struct scope *scope, const struct config_key *key, unsigned line)
{
    if (key->texts) {
        struct config_texts *list = field_of(scope, key);

        list->lines[list->count - 1] = line;
    } else {
        struct config_addresses *list = field_of(scope, key);

        list->lines[list->count - 1] = line;
    }
}

static void read_value(struct builder *b, struct scope *scope, const struct config_key *key,
                       struct config_ini_entry *entry)
{
    const char *why = key->parse(key, entry->value, field_of(scope, key));

    if (why == NULL) {
        if (key->repeatable || key->texts)
            note_line(scope, key, entry->line);
        return;
    }
    if (*entry->value == '\0')
        config_report_add(b->report, entry->line, scope->section->header, key->name,
                          "no value; accepted: %s", key->accepted);
    else
        config_report_add(b->report, entry->line, scope->section->header, key->name,
                          "\"%s\": %s; accepted: %s", entry->value, why, key->accepted);
    discard(entry);
}

static void read_entry(struct builder *b, struct scope *scope, struct config_ini_entry *entry)
{
    const struct config_key *key = config_table_find(scope->kind, entry->key);
    unsigned *first;

    if (key == NULL && entry->value == NULL)
        key = config_table_nearest(scope->kind, entry->key);
    if (key == NULL) {
        if (entry->value != NULL)
            refuse_key(b, scope, entry);
        return;
    }
    first = &scope->first[index_of(key)];
    if (entry->value == NULL) {
        *first = entry->line;
    } else if (key->parse == NULL) {
        config_report_add(b->report, entry->line, scope->section->header, key->name,
                          "not supported yet; accepted: leave it out");
        discard(entry);
    } else if (*first > 0 && !key->repeatable) {
        config_report_add(b->report, entry->line, scope->section->header, key->name,
                          "set a second time, after line %u; accepted: once in a section", *first);
        discard(entry);
    } else {
        *first = entry->line;
        read_value(b, scope, key, entry);
    }
}

/* Fills in what was not written, or says that it must be. */
static void read_defaults(struct builder *b, struct scope *scope, unsigned line)
{
    for (size_t i = 0; i < config_table_size; i++) {
        const struct config_key *key = &config_table[i];

        if (key->kind != scope->kind || scope->first[i] > 0)
            continue;
        if (key->required)
            config_report_add(b->report, line, scope->section->header, key->name,
                              "missing; accepted: %s", key->accepted);
        else if (key->fallback != NULL &&
                 key->parse(key, key->fallback, field_of(scope, key)) != NULL)
            config_report_no_memory(b->report);
    }
}

static void read_section(struct builder *b, struct config_ini_section *section,
                         enum config_kind kind, void *base)
{
    struct scope scope = {.kind = kind, .section = section, .base = base};

    for (size_t i = 0; i < section->count; i++)
        read_entry(b, &scope, &section->entries[i]);
    read_defaults(b, &scope, section->line);
}

static void read_tunnel(struct builder *b, struct config_ini_section *section,
                        enum config_kind kind)
{
    struct config *config = b->config;
    struct config_tunnel *tunnel;

    tunnel = reallocarray(config->tunnels, config->tunnel_count + 1, sizeof(*tunnel));
    if (tunnel == NULL) {
        config_report_no_memory(b->report);
        return;
    }
    config->tunnels = tunnel;
    tunnel += config->tunnel_count++;
    *tunnel = (struct config_tunnel){
        .role = kind == CONFIG_KIND_LOCAL ? CONFIG_LOCAL : CONFIG_REMOTE,
        .name = strdup(section->name != NULL ? section->name : ""),
        .line = section->line,
    };
    if (tunnel->name == NULL)
        config_report_no_memory(b->report);
    read_section(b, section, kind, tunnel);
}

static void read_path(struct builder *b, struct config_ini_section *section)
{
    struct config *config = b->config;
    struct config_path *path;

    path = reallocarray(config->paths, config->path_count + 1, sizeof(*path));
    if (path == NULL) {
        config_report_no_memory(b->report);
        return;
    }
    config->paths = path;
    path += config->path_count++;
    *path = (struct config_path){
        .name = strdup(section->name != NULL ? section->name : ""),
        .line = section->line,
    };
    if (path->name == NULL)
        config_report_no_memory(b->report);
    read_section(b, section, CONFIG_KIND_PATH, path);
}

/* Reports a header that may not stand there; its keys are checked all the same. */
static void check_header(struct builder *b, const struct config_ini_section *section,
                         enum config_kind kind)
{
    const struct config_kind_info *info = &config_kinds[kind];
    const struct config_ini_section *other = b->ini->sections;

    if (!info->supported)
        config_report_add(b->report, section->line, section->header, NULL,
                          "not supported yet; accepted: leave the section out");
    else if (info->named && section->name == NULL)
        config_report_add(b->report, section->line, section->header, NULL,
                          "has no name; accepted: %s", info->header);
    else if (!info->named && section->name != NULL)
        config_report_add(b->report, section->line, section->header, NULL,
                          "has a name; accepted: %s", info->header);
    else if (section->name != NULL && (strlen(section->name) > MAX_NAME ||
                                       section->name[strspn(section->name, NAME_BYTES)] != '\0'))
        config_report_add(b->report, section->line, section->header, NULL,
                          "the name is too long or has other bytes than A-Z a-z 0-9 _ . -; "
                          "accepted: 1 to 64 of these");
    while (other != section &&
           (other->header == NULL || strcmp(other->header, section->header) != 0))
        other++;
    if (other != section)
        config_report_add(b->report, section->line, section->header, NULL,
                          "a second section of this name, after line %u; accepted: once in a file",
                          other->line);
}

static void refuse_section(struct builder *b, const struct config_ini_section *section)
{
    enum config_kind nearest = config_kind_nearest(section->kind);
    char hint[64] = "";

    if (nearest != CONFIG_KINDS)
        snprintf(hint, sizeof(hint), ", did you mean %s?", config_kinds[nearest].header);
    config_report_add(b->report, section->line, section->header, NULL,
                      "unknown section%s; accepted: " CONFIG_HEADERS, hint);
}

static void read_sections(struct builder *b)
{
    bool have_braidd = false;

    for (size_t i = 0; i < b->ini->count; i++) {
        struct config_ini_section *section = &b->ini->sections[i];
        enum config_kind kind;

        if (section->kind == NULL)
            continue;
        kind = config_kind_find(section->kind);
        if (kind == CONFIG_KINDS) {
            refuse_section(b, section);
            continue;
        }
        check_header(b, section, kind);
        if (kind == CONFIG_KIND_LOCAL || kind == CONFIG_KIND_REMOTE)
            read_tunnel(b, section, kind);
        else if (kind == CONFIG_KIND_PATH)
            read_path(b, section);
        else
            read_section(b, section, kind, b->config);
        have_braidd = have_braidd || kind == CONFIG_KIND_BRAIDD;
    }
    if (!have_braidd) {
        struct config_ini_section none = {0};

        read_section(b, &none, CONFIG_KIND_BRAIDD, b->config);
    }
}

/* The processors this process may run on, which taskset(1) and CPUAffinity= make fewer. */
static unsigned count_processors(void)
{
    const struct config_key *key = config_table_find(CONFIG_KIND_BRAIDD, "workers");
    cpu_set_t set;
    long n;

    n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set)
                                                     : sysconf(_SC_NPROCESSORS_ONLN);
    if (n < 1)
        return 1;
    return n < (long)key->max ? (unsigned)n : key->max;
}

/* Reads what there is into config; whether it can be used is told by the report. */
static void build(struct config *config, FILE *stream, struct config_report *report)
{
    struct config_ini ini;
    struct builder b = {.config = config, .ini = &ini, .report = report};

    if (config_ini_read(&ini, stream, report)) {
        read_sections(&b);
        if (config->workers == 0)
            config->workers = count_processors();
        config_paths_resolve(config, &ini, report);
        config_check(config, &ini, report);
        config_security_resolve(config, &ini, report);
    }
    config_ini_clear(&ini);
}

struct config *config_read(const char *file, FILE *errors)
{
    struct config_report report;
    struct config *config;
    FILE *stream = NULL;

    config_report_init(&report, file);
    config = calloc(1, sizeof(*config));
    if (config == NULL || (config->file = strdup(file)) == NULL)
        config_report_no_memory(&report);
    else if ((stream = fopen(file, "re")) == NULL)
        config_report_add(&report, 0, NULL, NULL, "cannot be opened: %s", strerror(errno));
    else
        build(config, stream, &report);
    if (stream != NULL)
        fclose(stream);
    if (!config_report_is_clean(&report)) {
        config_report_print(&report, errors);
        config_free(config);
        config = NULL;
    }
    config_report_clear(&report);
    return config;
}

static void free_addresses(struct config_addresses *list)
{
    for (size_t i = 0; i < list->count; i++)
        braid_address_free(list->at[i]);
    free(list->at);
    free(list->lines);
}

static void free_texts(struct config_texts *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->at[i]);
    free(list->at);
    free(list->lines);
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->tunnel_count; i++) {
        struct config_tunnel *tunnel = &config->tunnels[i];

        free(tunnel->name);
        free_addresses(&tunnel->listen);
        free_texts(&tunnel->key);
        free(tunnel->certificate);
        free(tunnel->private_key);
        free(tunnel->ca);
        free_texts(&tunnel->peer_name);
        braid_security_free(tunnel->protection);
        free_addresses(&tunnel->remote);
        for (size_t k = 0; k < tunnel->path_names.count; k++)
            free(tunnel->path_names.at[k]);
        free(tunnel->path_names.at);
        free(tunnel->paths);
        braid_address_free(tunnel->target);
    }
    for (size_t i = 0; i < config->path_count; i++) {
        struct config_path *path = &config->paths[i];

        free(path->name);
        free(path->interface);
        free(path->source);
        free(path->congestion_control);
        free_addresses(&path->remote);
    }
    free(config->paths);
    free(config->tunnels);
    free(config->control);
    free(config->user.name);
    free(config->file);
    free(config);
}
