/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "daemon/config.h"
#include "daemon/config_table.h"

#define PEER "name.example:80, 192.0.2.1:80, [2001:db8::1]:80 or unix:/path"
#define BIND "192.0.2.1:80, [2001:db8::1]:80 or unix:/path"

#define NOT_YET(KIND, NAME)                                                                        \
    {                                                                                              \
        .kind = CONFIG_KIND_##KIND, .name = (NAME)                                                 \
    }

const struct config_kind_info config_kinds[CONFIG_KINDS] = {
    [CONFIG_KIND_BRAIDD] = {"braidd", "[braidd]", false, true},
    [CONFIG_KIND_LOCAL] = {"local", "[local NAME]", true, true},
    [CONFIG_KIND_REMOTE] = {"remote", "[remote NAME]", true, true},
    [CONFIG_KIND_PATH] = {"path", "[path NAME]", true, false},
};

/* In the order of the documents. */
const struct config_key config_table[] = {
    {
        .kind = CONFIG_KIND_BRAIDD,
        .name = "workers",
        .parse = config_value_auto,
        .field = offsetof(struct config, workers),
        .min = 1,
        .max = 64,
        .fallback = "auto",
        .accepted = "auto or 1 to 64",
        .help = "Threads that carry sessions; auto: as many as there are processors",
    },
    {
        .kind = CONFIG_KIND_BRAIDD,
        .name = "control",
        .parse = config_value_socket,
        .field = offsetof(struct config, control),
        .fallback = "none",
        .accepted = "none or an absolute path of at most 107 bytes",
        .help = "Unix socket that braid status asks",
    },
    {
        .kind = CONFIG_KIND_BRAIDD,
        .name = "log-level",
        .parse = config_value_level,
        .field = offsetof(struct config, log_level),
        .reloadable = true,
        .fallback = "info",
        .accepted = "error, warning, notice, info or debug",
        .help = "Least severe lines that are logged",
    },
    {
        .kind = CONFIG_KIND_BRAIDD,
        .name = "max-sessions",
        .parse = config_value_number,
        .field = offsetof(struct config, max_sessions),
        .min = 1,
        .max = 1000000,
        .reloadable = true,
        .fallback = "10000",
        .accepted = "1 to 1000000",
        .help = "Most sessions at the same time, all tunnels together",
    },
    NOT_YET(BRAIDD, "user"),
    NOT_YET(BRAIDD, "metrics"),
    NOT_YET(BRAIDD, "max-memory"),

    {
        .kind = CONFIG_KIND_LOCAL,
        .name = "listen",
        .parse = config_value_listen,
        .field = offsetof(struct config_tunnel, listen),
        .required = true,
        .repeatable = true,
        .accepted = BIND,
        .help = "Address to accept clients on",
    },
    {
        .kind = CONFIG_KIND_LOCAL,
        .name = "remote",
        .parse = config_value_remote,
        .field = offsetof(struct config_tunnel, remote),
        .required = true,
        .repeatable = true,
        .reloadable = true,
        .accepted = PEER,
        .help = "Address of the remote endpoint; each is a path of its own",
    },
    {
        .kind = CONFIG_KIND_LOCAL,
        .name = "security",
        .parse = config_value_security,
        .field = offsetof(struct config_tunnel, security),
        .required = true,
        .reloadable = true,
        .accepted = "none",
        .help = "How subflows are protected; none: not at all",
    },
    {
        .kind = CONFIG_KIND_LOCAL,
        .name = "insecure",
        .parse = config_value_flag,
        .field = offsetof(struct config_tunnel, insecure),
        .reloadable = true,
        .fallback = "no",
        .accepted = "yes or no",
        .help = "Allow security = none to remote addresses that are not loopback",
    },
    {
        .kind = CONFIG_KIND_LOCAL,
        .name = "subflows",
        .parse = config_value_auto,
        .field = offsetof(struct config_tunnel, subflows),
        .min = 1,
        .max = 16,
        .reloadable = true,
        .fallback = "auto",
        .accepted = "auto or 1 to 16, and at most 16 over all paths",
        .help = "Subflows on each path; auto: 4 for one path, 1 for each of several",
    },
    {
        .kind = CONFIG_KIND_LOCAL,
        .name = "mode",
        .parse = config_value_mode,
        .field = offsetof(struct config_tunnel, mode),
        .reloadable = true,
        .fallback = "aggregate",
        .accepted = "aggregate",
        .help = "How a session uses its subflows; aggregate: all of them at once",
    },
    {
        .kind = CONFIG_KIND_LOCAL,
        .name = "grace",
        .parse = config_value_duration,
        .field = offsetof(struct config_tunnel, grace),
        .min = 0,
        .max = 3600000,
        .reloadable = true,
        .fallback = "60s",
        .accepted = "0 to 3600s, as 500ms, 60s, 2m or 1h",
        .help = "How long a session without any subflow is kept",
    },
    NOT_YET(LOCAL, "key"),
    NOT_YET(LOCAL, "certificate"),
    NOT_YET(LOCAL, "private-key"),
    NOT_YET(LOCAL, "ca"),
    NOT_YET(LOCAL, "paths"),

    {
        .kind = CONFIG_KIND_REMOTE,
        .name = "listen",
        .parse = config_value_listen,
        .field = offsetof(struct config_tunnel, listen),
        .required = true,
        .repeatable = true,
        .accepted = BIND,
        .help = "Address to accept subflows on",
    },
    {
        .kind = CONFIG_KIND_REMOTE,
        .name = "target",
        .parse = config_value_target,
        .field = offsetof(struct config_tunnel, target),
        .required = true,
        .reloadable = true,
        .accepted = PEER,
        .help = "Address that every session is connected to",
    },
    {
        .kind = CONFIG_KIND_REMOTE,
        .name = "security",
        .parse = config_value_security,
        .field = offsetof(struct config_tunnel, security),
        .required = true,
        .reloadable = true,
        .accepted = "none",
        .help = "How subflows are protected; none: not at all",
    },
    {
        .kind = CONFIG_KIND_REMOTE,
        .name = "insecure",
        .parse = config_value_flag,
        .field = offsetof(struct config_tunnel, insecure),
        .reloadable = true,
        .fallback = "no",
        .accepted = "yes or no",
        .help = "Allow security = none on listen addresses that are not loopback",
    },
    {
        .kind = CONFIG_KIND_REMOTE,
        .name = "max-subflows",
        .parse = config_value_number,
        .field = offsetof(struct config_tunnel, max_subflows),
        .min = 1,
        .max = 64,
        .reloadable = true,
        .fallback = "16",
        .accepted = "1 to 64",
        .help = "Most subflows of one session",
    },
    NOT_YET(REMOTE, "key"),
    NOT_YET(REMOTE, "certificate"),
    NOT_YET(REMOTE, "private-key"),
    NOT_YET(REMOTE, "ca"),

    NOT_YET(PATH, "interface"),
    NOT_YET(PATH, "source"),
    NOT_YET(PATH, "remote"),
    NOT_YET(PATH, "subflows"),
    NOT_YET(PATH, "priority"),
    NOT_YET(PATH, "max-rate"),
    NOT_YET(PATH, "congestion-control"),
};

const size_t config_table_size = sizeof(config_table) / sizeof(*config_table);
_Static_assert(sizeof(config_table) / sizeof(*config_table) <= CONFIG_TABLE_MAX,
               "CONFIG_TABLE_MAX is too small");

enum config_kind config_kind_find(const char *name)
{
    int kind = 0;

    while (kind < CONFIG_KINDS && strcmp(config_kinds[kind].name, name) != 0)
        kind++;
    return (enum config_kind)kind;
}

const struct config_key *config_table_find(enum config_kind kind, const char *name)
{
    for (size_t i = 0; i < config_table_size; i++)
        if (config_table[i].kind == kind && strcmp(config_table[i].name, name) == 0)
            return &config_table[i];
    return NULL;
}

/* How many letters are to be added, dropped or changed to make b of a; "far" for long words. */
static unsigned distance(const char *a, const char *b)
{
    enum { LONGEST = 24, FAR = 99 };
    unsigned row[LONGEST + 1];
    size_t n = strlen(b);

    if (n > LONGEST || strlen(a) > LONGEST)
        return FAR;
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (; *a != '\0'; a++) {
        unsigned diagonal = row[0]++;

        for (size_t j = 1; j <= n; j++) {
            unsigned change = diagonal + (*a != b[j - 1]);
            unsigned other = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);

            diagonal = row[j];
            row[j] = change < other ? change : other;
        }
    }
    return row[n];
}

/* More than two letters of a word, or all of a short one, are not a slip any more. */
static bool is_slip(unsigned letters, const char *name)
{
    return letters <= 2 && letters < strlen(name);
}

enum config_kind config_kind_nearest(const char *name)
{
    unsigned best = 3;
    int nearest = CONFIG_KINDS;

    for (int i = 0; i < CONFIG_KINDS; i++) {
        unsigned letters = distance(name, config_kinds[i].name);

        if (config_kinds[i].supported && is_slip(letters, name) && letters < best) {
            best = letters;
            nearest = i;
        }
    }
    return (enum config_kind)nearest;
}

const struct config_key *config_table_nearest(enum config_kind kind, const char *name)
{
    const struct config_key *nearest = NULL;
    unsigned best = 3;

    for (size_t i = 0; i < config_table_size; i++) {
        const struct config_key *key = &config_table[i];
        unsigned letters = distance(name, key->name);

        if (key->kind == kind && key->parse != NULL && is_slip(letters, name) && letters < best) {
            best = letters;
            nearest = key;
        }
    }
    return nearest;
}

void config_table_names(enum config_kind kind, char *buf, size_t size)
{
    size_t used = 0;

    *buf = '\0';
    for (size_t i = 0; i < config_table_size; i++)
        if (config_table[i].kind == kind && config_table[i].parse != NULL && used < size)
            used += (size_t)snprintf(buf + used, size - used, "%s%s", used > 0 ? ", " : "",
                                     config_table[i].name);
}
