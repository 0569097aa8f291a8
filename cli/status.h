/* SPDX-License-Identifier: MIT */
/*
 * What braidd tells about itself, as a tree: the daemon, its tunnels, their paths and sessions, and
 * the subflows of these. Made from the lines of the control protocol.
 *
 * Kinds of lines and names in them that are not known here are skipped, so that a newer daemon can
 * be asked too; what is known and not told is empty.
 */
#ifndef BRAID_CLI_STATUS_H
#define BRAID_CLI_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATUS_VALUES_MAX 18

enum status_type {
    STATUS_TEXT,
    STATUS_NUMBER,
    STATUS_LIST, /* texts */
};

/* The values of each kind of record, by their place in struct status_record. */
enum {
    DAEMON_VERSION,
    DAEMON_PID,
    DAEMON_UPTIME,
    DAEMON_WORKERS,
    DAEMON_STATE,
    DAEMON_SESSIONS,
    DAEMON_MAX_SESSIONS,
    DAEMON_MEMORY,
    DAEMON_MAX_MEMORY,
    DAEMON_RSS,
    DAEMON_HALF_OPEN,
    DAEMON_HALF_OPEN_MEMORY,
    DAEMON_TURNED_AWAY,
    DAEMON_TURNED_AWAY_SOURCE,
    DAEMON_TURNED_AWAY_FAILURES,
    DAEMON_TURNED_AWAY_KEY,
    DAEMON_JOIN_FAILURES,
    DAEMON_CONFIG
};
enum {
    TUNNEL_NAME,
    TUNNEL_ROLE,
    TUNNEL_LISTEN,
    TUNNEL_REMOTE,
    TUNNEL_TARGET,
    TUNNEL_SUBFLOWS,
    TUNNEL_MAX_SUBFLOWS,
    TUNNEL_MODE,
    TUNNEL_GRACE,
    TUNNEL_SECURITY,
    TUNNEL_PROTOCOL,
    TUNNEL_SESSIONS,
    TUNNEL_TOTAL
};
enum {
    PATH_TUNNEL,
    PATH_NAME,
    PATH_INTERFACE,
    PATH_SOURCE,
    PATH_REMOTE,
    PATH_PRIORITY,
    PATH_STATE,
    PATH_AGE,
    PATH_SUBFLOWS,
    PATH_RTT,
    PATH_RATE,
    PATH_ERROR
};
enum {
    SESSION_ID,
    SESSION_TUNNEL,
    SESSION_ROLE,
    SESSION_CLIENT,
    SESSION_TARGET,
    SESSION_STATE,
    SESSION_SENT,
    SESSION_RECEIVED,
    SESSION_RESENT,
    SESSION_BACKLOG,
    SESSION_UNREAD,
    SESSION_SUBFLOWS,
    SESSION_LOST,
    SESSION_AGE,
    SESSION_KEY,
    SESSION_PROTOCOL
};
enum {
    SUBFLOW_SESSION,
    SUBFLOW_INDEX,
    SUBFLOW_PATH,
    SUBFLOW_PATH_NAME,
    SUBFLOW_LOCAL,
    SUBFLOW_PEER,
    SUBFLOW_STATE,
    SUBFLOW_SENT,
    SUBFLOW_RECEIVED,
    SUBFLOW_RESENT,
    SUBFLOW_RTT,
    SUBFLOW_RATE
};

/* One value of a record as it is written, and what it is called in JSON. */
struct status_field {
    const char *name;
    const char *json; /* NULL: not repeated there, since the nesting says it */
    enum status_type type;
};

struct status_kind {
    const char *name;
    const char *children; /* what the records below are called in JSON; NULL: none */
    const char *paths;    /* and what its paths are; NULL: it has none */
    size_t field_count;
    struct status_field fields[STATUS_VALUES_MAX];
};

struct status_value {
    bool present;
    uint64_t number; /* of STATUS_NUMBER */
    char *text;      /* of STATUS_TEXT; of STATUS_LIST the items, each with its zero */
    size_t count;    /* items of STATUS_LIST */
};

struct status_record {
    const struct status_kind *kind;
    struct status_value values[STATUS_VALUES_MAX];
    struct status_record *children; /* a daemon's tunnels, a tunnel's sessions, their subflows */
    size_t child_count;
    struct status_record *paths; /* a tunnel's */
    size_t path_count;
};

struct status {
    struct status_record daemon; /* the root */
    size_t last_tunnel;          /* that of the last session told, counted from 1 */
};

/* An empty tree. NULL: out of memory. */
struct status *status_new(void);

/* Frees a tree; NULL is allowed. */
void status_free(struct status *status);

/*
 * Takes one line of the answer, without its newline; it is changed.
 *
 * Returns NULL, or a static string that says what is wrong with it.
 */
const char *status_take_line(struct status *status, char *line);

/* A text or a list's first item; "" when it was not told. */
const char *status_text(const struct status_record *record, size_t field);

/* A number; 0 when it was not told. */
uint64_t status_number(const struct status_record *record, size_t field);

/* The item after `item` in a list that was given with status_text(). */
const char *status_next_item(const char *item);

#endif
