/* SPDX-License-Identifier: MIT */
#include "cli/status_print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/table.h"
#include "cli/units.h"

/* ---- table ----------------------------------------------------------------------------------- */

#define COLUMNS 9
#define CELL 160 /* two addresses; longer unix paths are cut off */

static const struct table_column columns[COLUMNS] = {
    {"SESSION", false}, {"ADDRESS", false}, {"STATE", false}, {"SENT", true}, {"RECEIVED", true},
    {"RESENT", true},   {"RTT", true},      {"RATE", true},   {"AGE", true},
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
    };

    snprintf(name, sizeof(name), "  %" PRIu64 " path %" PRIu64,
             status_number(subflow, SUBFLOW_INDEX), status_number(subflow, SUBFLOW_PATH));
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

/* "local web: 127.0.0.1:8080 > 127.0.0.1:7000, 4 subflows, aggregate, security none" */
static void write_tunnel(const struct status_record *tunnel, FILE *out)
{
    fprintf(out, "%s %s: ", status_text(tunnel, TUNNEL_ROLE), status_text(tunnel, TUNNEL_NAME));
    write_items(tunnel, TUNNEL_LISTEN, out);
    if (tunnel->values[TUNNEL_TARGET].present) {
        fprintf(out, " > %s, at most %" PRIu64 " subflows", status_text(tunnel, TUNNEL_TARGET),
                status_number(tunnel, TUNNEL_MAX_SUBFLOWS));
    } else {
        fputs(" > ", out);
        write_items(tunnel, TUNNEL_REMOTE, out);
        fprintf(out, ", %" PRIu64 " subflow%s, %s", status_number(tunnel, TUNNEL_SUBFLOWS),
                status_number(tunnel, TUNNEL_SUBFLOWS) == 1 ? "" : "s",
                status_text(tunnel, TUNNEL_MODE));
    }
    fprintf(out, ", security %s; %" PRIu64 " session%s, %" PRIu64 " in all",
            status_text(tunnel, TUNNEL_SECURITY), status_number(tunnel, TUNNEL_SESSIONS),
            status_number(tunnel, TUNNEL_SESSIONS) == 1 ? "" : "s",
            status_number(tunnel, TUNNEL_TOTAL));
}

static int add_tunnel(struct table *table, const struct status_record *tunnel)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    int result = -1;

    if (out == NULL) {
        return -1;
    }
    write_tunnel(tunnel, out);
    if (fclose(out) == 0) {
        result = table_add_line(table, "") | table_add_line(table, text);
    }
    free(text);
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
    char rss[UNITS_TEXT];

    fprintf(out,
            "braidd %s, pid %" PRIu64 ", %s, up %s, %" PRIu64 " worker%s\n"
            "%" PRIu64 " of %" PRIu64 " sessions, %s in buffers, %s resident\n",
            status_text(daemon, DAEMON_VERSION), status_number(daemon, DAEMON_PID),
            status_text(daemon, DAEMON_STATE),
            units_age(status_number(daemon, DAEMON_UPTIME), uptime),
            status_number(daemon, DAEMON_WORKERS),
            status_number(daemon, DAEMON_WORKERS) == 1 ? "" : "s",
            status_number(daemon, DAEMON_SESSIONS), status_number(daemon, DAEMON_MAX_SESSIONS),
            units_bytes(status_number(daemon, DAEMON_MEMORY), memory),
            units_bytes(status_number(daemon, DAEMON_RSS), rss));
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

static void print_children(struct json *json, const struct status_record *record)
{
    if (record->kind->children == NULL) {
        return;
    }
    json_open_array(json, record->kind->children);
    for (size_t i = 0; i < record->child_count; i++) {
        json_open_object(json, NULL);
        print_values(json, &record->children[i]);
        print_children(json, &record->children[i]);
        json_close_object(json);
    }
    json_close_array(json);
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
