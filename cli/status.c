/* SPDX-License-Identifier: MIT */
#include "cli/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* In the order of the enumerations in the header. */
static const struct status_kind daemon_kind = {
    "daemon",
    "tunnels",
    NULL,
    18,
    {
        {"version", "version", STATUS_TEXT},
        {"pid", "pid", STATUS_NUMBER},
        {"uptime", "uptime", STATUS_NUMBER},
        {"workers", "workers", STATUS_NUMBER},
        {"state", "state", STATUS_TEXT},
        {"sessions", "sessions", STATUS_NUMBER},
        {"max-sessions", "max_sessions", STATUS_NUMBER},
        {"memory", "memory", STATUS_NUMBER},
        {"max-memory", "max_memory", STATUS_NUMBER},
        {"rss", "rss", STATUS_NUMBER},
        {"half-open", "half_open", STATUS_NUMBER},
        {"half-open-memory", "half_open_memory", STATUS_NUMBER},
        {"turned-away", "turned_away", STATUS_NUMBER},
        {"turned-away-source", "turned_away_source", STATUS_NUMBER},
        {"turned-away-failures", "turned_away_failures", STATUS_NUMBER},
        {"turned-away-key", "turned_away_key", STATUS_NUMBER},
        {"join-failures", "join_failures", STATUS_NUMBER},
        {"config", "config", STATUS_TEXT},
    },
};
static const struct status_kind tunnel_kind = {
    "tunnel",
    "sessions",
    "paths",
    13,
    {
        {"name", "name", STATUS_TEXT},
        {"role", "role", STATUS_TEXT},
        {"listen", "listen", STATUS_LIST},
        {"remote", "remote", STATUS_LIST},
        {"target", "target", STATUS_TEXT},
        {"subflows", "subflows", STATUS_NUMBER},
        {"max-subflows", "max_subflows", STATUS_NUMBER},
        {"mode", "mode", STATUS_TEXT},
        {"grace", "grace", STATUS_NUMBER},
        {"security", "security", STATUS_TEXT},
        {"protocol", "protocol", STATUS_TEXT},
        {"sessions", "session_count", STATUS_NUMBER},
        {"total", "total", STATUS_NUMBER},
    },
};
static const struct status_kind path_kind = {
    "path",
    NULL,
    NULL,
    12,
    {
        {"tunnel", NULL, STATUS_TEXT},
        {"name", "name", STATUS_TEXT},
        {"interface", "interface", STATUS_TEXT},
        {"source", "source", STATUS_TEXT},
        {"remote", "remote", STATUS_LIST},
        {"priority", "priority", STATUS_TEXT},
        {"state", "state", STATUS_TEXT},
        {"age", "age", STATUS_NUMBER},
        {"subflows", "subflows", STATUS_NUMBER},
        {"rtt", "rtt", STATUS_NUMBER},
        {"rate", "rate", STATUS_NUMBER},
        {"error", "error", STATUS_TEXT},
    },
};
static const struct status_kind session_kind = {
    "session",
    "subflows",
    NULL,
    16,
    {
        {"id", "id", STATUS_TEXT},
        {"tunnel", NULL, STATUS_TEXT},
        {"role", NULL, STATUS_TEXT},
        {"client", "client", STATUS_TEXT},
        {"target", "target", STATUS_TEXT},
        {"state", "state", STATUS_TEXT},
        {"sent", "sent", STATUS_NUMBER},
        {"received", "received", STATUS_NUMBER},
        {"resent", "resent", STATUS_NUMBER},
        {"backlog", "backlog", STATUS_NUMBER},
        {"unread", "unread", STATUS_NUMBER},
        {"subflows", "subflow_count", STATUS_NUMBER},
        {"lost", "lost", STATUS_NUMBER},
        {"age", "age", STATUS_NUMBER},
        {"key", "key", STATUS_TEXT},
        {"protocol", "protocol", STATUS_TEXT},
    },
};
static const struct status_kind subflow_kind = {
    "subflow",
    NULL,
    NULL,
    12,
    {
        {"session", NULL, STATUS_TEXT},
        {"index", "index", STATUS_NUMBER},
        {"path", "path", STATUS_NUMBER},
        {"path-name", "path_name", STATUS_TEXT},
        {"local", "local", STATUS_TEXT},
        {"peer", "peer", STATUS_TEXT},
        {"state", "state", STATUS_TEXT},
        {"sent", "sent", STATUS_NUMBER},
        {"received", "received", STATUS_NUMBER},
        {"resent", "resent", STATUS_NUMBER},
        {"rtt", "rtt", STATUS_NUMBER},
        {"rate", "rate", STATUS_NUMBER},
    },
};

static const char no_memory[] = "out of memory";

/* ---- the tree -------------------------------------------------------------------------------- */

static void clear(struct status_record *record)
{
    for (size_t i = 0; i < record->child_count; i++) {
        clear(&record->children[i]);
    }
    free(record->children);
    for (size_t i = 0; i < record->path_count; i++) {
        clear(&record->paths[i]);
    }
    free(record->paths);
    for (size_t i = 0; i < STATUS_VALUES_MAX; i++) {
        free(record->values[i].text);
    }
}

struct status *status_new(void)
{
    struct status *status = calloc(1, sizeof(*status));

    if (status != NULL) {
        status->daemon.kind = &daemon_kind;
    }
    return status;
}

void status_free(struct status *status)
{
    if (status != NULL) {
        clear(&status->daemon);
        free(status);
    }
}

/* A new last one of an array; NULL: out of memory. */
static struct status_record *add_record(struct status_record **records, size_t *count)
{
    struct status_record *added;

    /* Doubled each time a power of two is full. */
    if ((*count & (*count - 1)) == 0) {
        size_t room = *count == 0 ? 1 : *count * 2;
        struct status_record *grown = reallocarray(*records, room, sizeof(*grown));

        if (grown == NULL) {
            return NULL;
        }
        *records = grown;
    }
    added = &(*records)[(*count)++];
    memset(added, 0, sizeof(*added));
    return added;
}

const char *status_text(const struct status_record *record, size_t field)
{
    const char *text = record->values[field].text;

    return text == NULL ? "" : text;
}

uint64_t status_number(const struct status_record *record, size_t field)
{
    return record->values[field].number;
}

const char *status_next_item(const char *item)
{
    return item + strlen(item) + 1;
}

/* ---- a line ---------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    static const char digits[] = "0123456789ABCDEF0123456789abcdef";
    const char *found = c == '\0' ? NULL : strchr(digits, c);

    return found == NULL ? -1 : (int)((found - digits) % 16);
}

/* Undoes the percent encoding in place; false: it is broken, or hides a zero. */
static bool decode(char *text)
{
    char *to = text;

    while (*text != '\0') {
        if (*text == '%') {
            int high = hex_digit(text[1]);
            int low = high < 0 ? -1 : hex_digit(text[2]);

            if (low < 0 || high + low == 0) {
                return false;
            }
            *to++ = (char)(high * 16 + low);
            text += 3;
        } else {
            *to++ = *text++;
        }
    }
    *to = '\0';
    return true;
}

static const char *set_list(struct status_value *value, const char *text)
{
    char *copy = malloc(strlen(text) + 1);
    char *to = copy;
    const char *item = text;

    if (copy == NULL) {
        return no_memory;
    }
    value->text = copy;
    while (item != NULL) {
        const char *comma = strchr(item, ',');
        size_t length = comma == NULL ? strlen(item) : (size_t)(comma - item);

        memcpy(to, item, length);
        to[length] = '\0';
        if (!decode(to)) {
            return "broken percent encoding";
        }
        to += strlen(to) + 1;
        value->count++;
        item = comma == NULL ? NULL : comma + 1;
    }
    return NULL;
}

static const char *set_number(struct status_value *value, const char *text)
{
    char *end;

    if (*text < '0' || *text > '9') {
        return "not a number where one belongs";
    }
    errno = 0;
    value->number = strtoull(text, &end, 10);
    return *end != '\0' || errno != 0 ? "not a number where one belongs" : NULL;
}

static const char *set_value(struct status_record *record, const char *name, char *text)
{
    const struct status_kind *kind = record->kind;
    struct status_value *value;
    size_t field = 0;

    while (field < kind->field_count && strcmp(kind->fields[field].name, name) != 0) {
        field++;
    }
    value = &record->values[field];
    if (field == kind->field_count || value->present) {
        return NULL;
    }
    value->present = true;
    if (kind->fields[field].type == STATUS_NUMBER) {
        return set_number(value, text);
    }
    if (kind->fields[field].type == STATUS_LIST) {
        return set_list(value, text);
    }
    if (!decode(text)) {
        return "broken percent encoding";
    }
    value->text = strdup(text);
    return value->text == NULL ? no_memory : NULL;
}

/* The tunnel that a session's line names, counted from 1; 0: none. */
static size_t find_tunnel(const struct status_record *daemon, const struct status_record *session)
{
    for (size_t i = 0; i < daemon->child_count; i++) {
        const struct status_record *tunnel = &daemon->children[i];

        if (strcmp(status_text(tunnel, TUNNEL_NAME), status_text(session, SESSION_TUNNEL)) == 0 &&
            strcmp(status_text(tunnel, TUNNEL_ROLE), status_text(session, SESSION_ROLE)) == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* The tunnel that was told last, if that is its name: its paths follow it. */
static struct status_record *last_tunnel(struct status_record *daemon, const char *name)
{
    struct status_record *tunnel;

    if (daemon->child_count == 0) {
        return NULL;
    }
    tunnel = &daemon->children[daemon->child_count - 1];
    return strcmp(status_text(tunnel, TUNNEL_NAME), name) == 0 ? tunnel : NULL;
}

/* Where a record belongs; NULL: nowhere. */
static struct status_record *find_parent(struct status *status, const struct status_record *record)
{
    struct status_record *tunnel;
    struct status_record *session;

    if (record->kind == &tunnel_kind) {
        return &status->daemon;
    }
    if (record->kind == &path_kind) {
        return last_tunnel(&status->daemon, status_text(record, PATH_TUNNEL));
    }
    if (record->kind == &session_kind) {
        status->last_tunnel = find_tunnel(&status->daemon, record);
    }
    if (status->last_tunnel == 0) {
        return NULL;
    }
    tunnel = &status->daemon.children[status->last_tunnel - 1];
    if (record->kind == &session_kind) {
        return tunnel;
    }
    session = &tunnel->children[tunnel->child_count - 1];
    return strcmp(status_text(session, SESSION_ID), status_text(record, SUBFLOW_SESSION)) == 0
               ? session
               : NULL;
}

/* Moves a record into the tree: sessions below their tunnel, subflows below the last session. */
static const char *place(struct status *status, struct status_record *record)
{
    struct status_record *parent;
    struct status_record *child;

    if (record->kind == &daemon_kind) {
        struct status_record old = status->daemon;

        memcpy(status->daemon.values, record->values, sizeof(record->values));
        memcpy(record->values, old.values, sizeof(record->values));
        return NULL;
    }
    parent = find_parent(status, record);
    if (parent == NULL) {
        return "a record that belongs to nothing before it";
    }
    if (record->kind == &path_kind) {
        child = add_record(&parent->paths, &parent->path_count);
    } else {
        child = add_record(&parent->children, &parent->child_count);
    }
    if (child == NULL) {
        status->last_tunnel = 0;
        return no_memory;
    }
    *child = *record;
    memset(record->values, 0, sizeof(record->values));
    return NULL;
}

static const struct status_kind *find_kind(const char *name)
{
    static const struct status_kind *const kinds[] = {&daemon_kind, &tunnel_kind, &path_kind,
                                                      &session_kind, &subflow_kind};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i]->name, name) == 0) {
            return kinds[i];
        }
    }
    return NULL;
}

const char *status_take_line(struct status *status, char *line)
{
    struct status_record record = {0};
    char *rest = NULL;
    char *word = strtok_r(line, " ", &rest);
    const char *wrong = NULL;

    if (word == NULL) {
        return "an empty line";
    }
    record.kind = find_kind(word);
    if (record.kind == NULL) {
        return NULL;
    }
    while (wrong == NULL && (word = strtok_r(NULL, " ", &rest)) != NULL) {
        char *value = strchr(word, '=');

        if (value == NULL) {
            wrong = "a value without a name";
        } else {
            *value = '\0';
            wrong = set_value(&record, word, value + 1);
        }
    }
    if (wrong == NULL) {
        wrong = place(status, &record);
    }
    clear(&record);
    return wrong;
}
