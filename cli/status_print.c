/* SPDX-License-Identifier: MIT */
#include "cli/status_print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/table.h"
#include "cli/units.h"

/* ---- table ----------------------------------------------------------------------------------- */

#define COLUMNS 11
#define CELL 160 /* two addresses; longer unix paths are cut off */

static const struct table_column columns[COLUMNS] = {
    {"SESSION", false}, {"ADDRESS", false}, {"STATE", false},    {"SENT", true},
    {"RECEIVED", true}, {"RESENT", true},   {"RTT", true},       {"RATE", true},
    {"AGE", true},      {"KEY", false},     {"PROTOCOL", false},
};

static int add_subflow(struct table *table, const struct status_record *subflow)
{
    char name[CELL];
    char address[CELL];
    char text[5][UNITS_TEXT];
    const char *cells[COLUMNS] = {
        name,
        address,
        status_text(subflow, SUBFLOW_STATE),
        units_bytes(status_number(subflow, SUBFLOW_SENT), text[0]),
        units_bytes(status_number(subflow, SUBFLOW_RECEIVED), text[1]),
        units_bytes(status_number(subflow, SUBFLOW_RESENT), text[2]),
        "",
        "",
        "",
        "",
        "",
    };

    if (subflow->values[SUBFLOW_PATH_NAME].present) {
        snprintf(name, sizeof(name), "  %" PRIu64 " path %s", status_number(subflow, SUBFLOW_INDEX),
                 status_text(subflow, SUBFLOW_PATH_NAME));
    } else {
        snprintf(name, sizeof(name), "  %" PRIu64 " path %" PRIu64,
                 status_number(subflow, SUBFLOW_INDEX), status_number(subflow, SUBFLOW_PATH));
    }
    snprintf(address, sizeof(address), "%s > %s", status_text(subflow, SUBFLOW_LOCAL),
             status_text(subflow, SUBFLOW_PEER));
    /* 0 means that it is not known yet. */
    if (status_number(subflow, SUBFLOW_RTT) > 0) {
        cells[6] = units_latency(status_number(subflow, SUBFLOW_RTT), text[3]);
    }
    if (status_number(subflow, SUBFLOW_RATE) > 0) {
        cells[7] = units_rate(status_number(subflow, SUBFLOW_RATE), text[4]);
    }
    return table_add_row(table, cells);
}

static int add_session(struct table *table, const struct status_record *session)
{
    char text[4][UNITS_TEXT];
    const char *cells[COLUMNS] = {
        status_text(session, SESSION_ID),
        status_text(session, SESSION_CLIENT),
        status_text(session, SESSION_STATE),
        units_bytes(status_number(session, SESSION_SENT), text[0]),
        units_bytes(status_number(session, SESSION_RECEIVED), text[1]),
        units_bytes(status_number(session, SESSION_RESENT), text[2]),
        "",
        "",
        units_age(status_number(session, SESSION_AGE), text[3]),
        status_text(session, SESSION_KEY),
        status_text(session, SESSION_PROTOCOL),
    };
    int result = table_add_row(table, cells);

    for (size_t i = 0; i < session->child_count; i++) {
        result |= add_subflow(table, &session->children[i]);
    }
    return result;
}

static void write_items(const struct status_record *record, size_t field, FILE *out)
{
    const char *item = status_text(record, field);

    for (size_t i = 0; i < record->values[field].count; i++) {
        fprintf(out, "%s%s", i == 0 ? "" : ", ", item);
        item = status_next_item(item);
    }
}

/* "local web: 127.0.0.1:8080 > 127.0.0.1:7000, 4 subflows, ..., security none, protocol braid" */
static void write_tunnel(const struct status_record *tunnel, FILE *out)
{
    fprintf(out, "%s %s: ", status_text(tunnel, TUNNEL_ROLE), status_text(tunnel, TUNNEL_NAME));
    write_items(tunnel, TUNNEL_LISTEN, out);
    if (tunnel->values[TUNNEL_TARGET].present) {
        fprintf(out, " > %s, at most %" PRIu64 " subflows", status_text(tunnel, TUNNEL_TARGET),
                status_number(tunnel, TUNNEL_MAX_SUBFLOWS));
    } else {
        fputs(" > ", out);
        if (tunnel->values[TUNNEL_REMOTE].present) {
            write_items(tunnel, TUNNEL_REMOTE, out);
        } else {
            fprintf(out, "%zu path%s", tunnel->path_count, tunnel->path_count == 1 ? "" : "s");
        }
        fprintf(out, ", %" PRIu64 " subflow%s, %s", status_number(tunnel, TUNNEL_SUBFLOWS),
                status_number(tunnel, TUNNEL_SUBFLOWS) == 1 ? "" : "s",
                status_text(tunnel, TUNNEL_MODE));
    }
    fprintf(out, ", security %s", status_text(tunnel, TUNNEL_SECURITY));
    if (tunnel->values[TUNNEL_PROTOCOL].present) {
        fprintf(out, ", protocol %s", status_text(tunnel, TUNNEL_PROTOCOL));
    }
    fprintf(out, "; %" PRIu64 " session%s, %" PRIu64 " in all",
            status_number(tunnel, TUNNEL_SESSIONS),
            status_number(tunnel, TUNNEL_SESSIONS) == 1 ? "" : "s",
            status_number(tunnel, TUNNEL_TOTAL));
}

/* "  path dsl: up for 3m12s, 2 subflows, 11.2 ms, 92.1 Mbit/s; eth0 > 192.0.2.1:7000" */
static void write_path(const struct status_record *path, FILE *out)
{
    char text[3][UNITS_TEXT];
    bool backup = strcmp(status_text(path, PATH_PRIORITY), "backup") == 0;

    fprintf(out, "  path %s: %s%s", status_text(path, PATH_NAME), backup ? "backup, " : "",
            status_text(path, PATH_STATE));
    if (strcmp(status_text(path, PATH_STATE), "unknown") != 0) {
        fprintf(out, " for %s", units_age(status_number(path, PATH_AGE), text[0]));
    }
    if (path->values[PATH_ERROR].present) {
        fprintf(out, " (%s)", status_text(path, PATH_ERROR));
    }
    fprintf(out, ", %" PRIu64 " subflow%s", status_number(path, PATH_SUBFLOWS),
            status_number(path, PATH_SUBFLOWS) == 1 ? "" : "s");
    if (status_number(path, PATH_RTT) > 0) {
        fprintf(out, ", %s", units_latency(status_number(path, PATH_RTT), text[1]));
    }
    if (status_number(path, PATH_RATE) > 0) {
        fprintf(out, ", %s", units_rate(status_number(path, PATH_RATE), text[2]));
    }
    fprintf(out, ";%s%s%s%s > ", path->values[PATH_INTERFACE].present ? " " : "",
            status_text(path, PATH_INTERFACE), path->values[PATH_SOURCE].present ? " " : "",
            status_text(path, PATH_SOURCE));
    write_items(path, PATH_REMOTE, out);
}

/* Adds what a function writes about a record as a line. */
static int add_line(struct table *table, void (*write)(const struct status_record *, FILE *),
                    const struct status_record *record)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    int result = -1;

    if (out == NULL) {
        return -1;
    }
    write(record, out);
    if (fclose(out) == 0) {
        result = table_add_line(table, text);
    }
    free(text);
    return result;
}

static int add_tunnel(struct table *table, const struct status_record *tunnel)
{
    int result = table_add_line(table, "") | add_line(table, write_tunnel, tunnel);

    for (size_t i = 0; i < tunnel->path_count; i++) {
        result |= add_line(table, write_path, &tunnel->paths[i]);
    }
    if (tunnel->child_count > 0) {
        result |= table_add_titles(table);
    }
    for (size_t i = 0; i < tunnel->child_count; i++) {
        result |= add_session(table, &tunnel->children[i]);
    }
    return result;
}

static void print_daemon(const struct status_record *daemon, FILE *out)
{
    char uptime[UNITS_TEXT];
    char memory[UNITS_TEXT];
    char max_memory[UNITS_TEXT];
    char rss[UNITS_TEXT];

    fprintf(out,
            "braidd %s, pid %" PRIu64 ", %s, up %s, %" PRIu64 " worker%s\n"
            "%" PRIu64 " of %" PRIu64 " sessions, %s of %s in buffers, %s resident\n",
            status_text(daemon, DAEMON_VERSION), status_number(daemon, DAEMON_PID),
            status_text(daemon, DAEMON_STATE),
            units_age(status_number(daemon, DAEMON_UPTIME), uptime),
            status_number(daemon, DAEMON_WORKERS),
            status_number(daemon, DAEMON_WORKERS) == 1 ? "" : "s",
            status_number(daemon, DAEMON_SESSIONS), status_number(daemon, DAEMON_MAX_SESSIONS),
            units_bytes(status_number(daemon, DAEMON_MEMORY), memory),
            units_bytes(status_number(daemon, DAEMON_MAX_MEMORY), max_memory),
            units_bytes(status_number(daemon, DAEMON_RSS), rss));
}

/* Who has not proven anything yet, and what became of such; nothing where there was nobody. */
static void print_strangers(const struct status_record *daemon, FILE *out)
{
    uint64_t half_open = status_number(daemon, DAEMON_HALF_OPEN);
    uint64_t failures = status_number(daemon, DAEMON_JOIN_FAILURES);
    uint64_t turned_away = 0;
    char memory[UNITS_TEXT];

    for (size_t i = DAEMON_TURNED_AWAY; i <= DAEMON_TURNED_AWAY_KEY; i++) {
        turned_away += status_number(daemon, i);
    }
    if (half_open + turned_away + failures == 0) {
        return;
    }
    fprintf(out,
            "%" PRIu64 " half-open with %s, %" PRIu64 " turned away so far, %" PRIu64 " failed\n",
            half_open, units_bytes(status_number(daemon, DAEMON_HALF_OPEN_MEMORY), memory),
            turned_away, failures);
}

int status_print_table(const struct status *status, FILE *out)
{
    const struct status_record *daemon = &status->daemon;
    struct table *table = table_new(columns, COLUMNS);
    int result = 0;

    if (table == NULL) {
        return -1;
    }
    for (size_t i = 0; i < daemon->child_count; i++) {
        result |= add_tunnel(table, &daemon->children[i]);
    }
    if (result == 0) {
        print_daemon(daemon, out);
        print_strangers(daemon, out);
        table_write(table, out);
    }
    table_free(table);
    return result;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void print_value(struct json *json, const struct status_field *field,
                        const struct status_value *value)
{
    const char *item = value->text;

    switch (field->type) {
    case STATUS_TEXT:
        json_string(json, field->json, value->text);
        break;
    case STATUS_NUMBER:
        json_number(json, field->json, value->number);
        break;
    case STATUS_LIST:
        json_open_array(json, field->json);
        for (size_t i = 0; i < value->count; i++) {
            json_string(json, NULL, item);
            item = status_next_item(item);
        }
        json_close_array(json);
        break;
    }
}

static void print_values(struct json *json, const struct status_record *record)
{
    for (size_t i = 0; i < record->kind->field_count; i++) {
        const struct status_field *field = &record->kind->fields[i];

        if (field->json != NULL && record->values[i].present) {
            print_value(json, field, &record->values[i]);
        }
    }
}

static void print_children(struct json *json, const struct status_record *record);

static void print_records(struct json *json, const char *name, const struct status_record *records,
                          size_t count)
{
    json_open_array(json, name);
    for (size_t i = 0; i < count; i++) {
        json_open_object(json, NULL);
        print_values(json, &records[i]);
        print_children(json, &records[i]);
        json_close_object(json);
    }
    json_close_array(json);
}

static void print_children(struct json *json, const struct status_record *record)
{
    if (record->kind->paths != NULL) {
        print_records(json, record->kind->paths, record->paths, record->path_count);
    }
    if (record->kind->children != NULL) {
        print_records(json, record->kind->children, record->children, record->child_count);
    }
}

void status_print_json(const struct status *status, FILE *out)
{
    struct json json;

    json_init(&json, out);
    json_open_object(&json, NULL);
    json_number(&json, "version", 1);
    json_open_object(&json, "daemon");
    print_values(&json, &status->daemon);
    json_close_object(&json);
    print_children(&json, &status->daemon);
    json_close_object(&json);
    putc('\n', out);
}
