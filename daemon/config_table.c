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
    [CONFIG_KIND_PATH] = {"path", "[path NAME]", true, true},
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
        .name = "user",
        .parse = config_value_user,
        .field = offsetof(struct config, user),
        .fallback = "none",
        .accepted = "none or the name of a user",
        .help = "User to become once all addresses are listened on; none: stay who starts it",
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
        .parse = config_value_auto,
        .field = offsetof(struct config, max_sessions),
        .min = 1,
        .max = 1000000,
        .reloadable = true,
        .fallback = "auto",
        .accepted = "auto or 1 to 1000000",
        .help =
            "Most sessions at once, all tunnels together; auto: 10000, or what open files allow",
    },
    {
        .kind = CONFIG_KIND_BRAIDD,
        .name = "max-memory",
        .parse = config_value_memory,
        .field = offsetof(struct config, max_memory),
        .reloadable = true,
        .fallback = "25%",
        .accepted = "1% to 100%, or 16mib and more, as 512mib or 2gib",
        .help = "Most memory for sessions and their bytes; %: of the machine's",
    },
    {
        .kind = CONFIG_KIND_BRAIDD,
        .name = "max-sessions-per-key",
        .parse = config_value_number,
        .field = offsetof(struct config, max_sessions_per_key),
        .min = 1,
        .max = 1000000,
        .reloadable = true,
        .fallback = "5000",
        .accepted = "1 to 1000000",
        .help = "Most sessions at once of one key or certificate that [remote] sections accept",
    },
    {
        .kind = CONFIG_KIND_BRAIDD,
        .name = "max-half-open",
        .parse = config_value_number,
        .field = offsetof(struct config, max_half_open),
        .min = 1,
        .max = 1000000,
        .fallback = "4096",
        .accepted = "1 to 1000000",
        .help = "Most connections to [remote] sections that have not said what they are for",
    },
    {
        .kind = CONFIG_KIND_BRAIDD,
        .name = "max-half-open-per-source",
        .parse = config_value_number,
        .field = offsetof(struct config, max_half_open_per_source),
        .min = 1,
        .max = 1000000,
        .fallback = "1024",
        .accepted = "1 to 1000000",
        .help = "Most of these from one IPv4 network /24 or IPv6 network /56",
    },
    {
        .kind = CONFIG_KIND_BRAIDD,
        .name = "max-half-open-memory",
        .parse = config_value_memory,
        .field = offsetof(struct config, max_half_open_memory),
        .fallback = "32mib",
        .accepted = "1% to 100%, or 16mib and more, as 512mib or 2gib",
        .help = "Most memory for these, with what TLS takes for them; %: of the machine's",
    },
    {
        .kind = CONFIG_KIND_BRAIDD,
        .name = "hello-time",
        .parse = config_value_duration,
        .field = offsetof(struct config, hello_time),
        .min = 100,
        .max = 60000,
        .fallback = "5s",
        .accepted = "100ms to 60s, as 500ms or 5s",
        .help = "How long a connection may take to say what it is for",
    },
    {
        .kind = CONFIG_KIND_BRAIDD,
        .name = "max-join-failures",
        .parse = config_value_number,
        .field = offsetof(struct config, max_join_failures),
        .min = 0,
        .max = 100000,
        .fallback = "100",
        .accepted = "0 to 100000; 0 is no limit",
        .help = "Most connections a second from one source that prove no right to be here",
    },
    NOT_YET(BRAIDD, "metrics"),

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
        .repeatable = true,
        .reloadable = true,
        .absent = "none; each path must have its own",
        .accepted = PEER,
        .help = "Address of the remote endpoint; without [path], each is a path of its own",
    },
    {
        .kind = CONFIG_KIND_LOCAL,
        .name = "paths",
        .parse = config_value_names,
        .field = offsetof(struct config_tunnel, path_names),
        .reloadable = true,
        .absent = "all, in their order",
        .accepted = "names of [path NAME] sections, separated by spaces",
        .help = "Paths to the remote endpoint, the best first",
    },
    {
        .kind = CONFIG_KIND_LOCAL,
        .name = "key",
        .parse = config_value_files,
        .field = offsetof(struct config_tunnel, key),
        .texts = true,
        .reloadable = true,
        .absent = "none",
        .accepted = "an absolute path",
        .help = "File with the key that both ends share; braid keygen makes one",
    },
    {
        .kind = CONFIG_KIND_LOCAL,
        .name = "certificate",
        .parse = config_value_file,
        .field = offsetof(struct config_tunnel, certificate),
        .reloadable = true,
        .absent = "none",
        .accepted = "an absolute path",
        .help = "File with the certificate to show instead of a key, in PEM",
    },
    {
        .kind = CONFIG_KIND_LOCAL,
        .name = "private-key",
        .parse = config_value_file,
        .field = offsetof(struct config_tunnel, private_key),
        .reloadable = true,
        .absent = "none",
        .accepted = "an absolute path",
        .help = "File with the private key of the certificate, in PEM, not encrypted",
    },
    {
        .kind = CONFIG_KIND_LOCAL,
        .name = "ca",
        .parse = config_value_file,
        .field = offsetof(struct config_tunnel, ca),
        .reloadable = true,
        .absent = "none",
        .accepted = "an absolute path",
        .help = "File with the authorities that sign the peer's certificate, in PEM",
    },
    {
        .kind = CONFIG_KIND_LOCAL,
        .name = "peer-name",
        .parse = config_value_peer,
        .field = offsetof(struct config_tunnel, peer_name),
        .texts = true,
        .reloadable = true,
        .absent = "none",
        .accepted = "1 to 64 of A-Z a-z 0-9 _ . -",
        .help = "Name that the remote endpoint's certificate must bear",
    },
    {
        .kind = CONFIG_KIND_LOCAL,
        .name = "security",
        .parse = config_value_security,
        .field = offsetof(struct config_tunnel, security),
        .reloadable = true,
        .absent = "a key or a certificate is needed",
        .accepted = "none",
        .help = "none: neither key nor certificate, all is in clear",
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
        .accepted = "aggregate, redundant or backup",
        .help = "How a session uses its paths: all at once, each byte on two, or one",
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
    {
        .kind = CONFIG_KIND_LOCAL,
        .name = "protocol",
        .parse = config_value_protocol,
        .field = offsetof(struct config_tunnel, seed),
        .reloadable = true,
        .fallback = "braid",
        .accepted = "braid or seed",
        .help = "What is spoken on subflows; seed: the format of Banyc/mptcp",
    },
    {
        .kind = CONFIG_KIND_LOCAL,
        .name = "bare-end",
        .parse = config_value_flag,
        .field = offsetof(struct config_tunnel, bare_end),
        .reloadable = true,
        .fallback = "no",
        .accepted = "yes or no",
        .help = "Take the end of all connections for the end of a stream in the seed's format",
    },

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
        .name = "key",
        .parse = config_value_files,
        .field = offsetof(struct config_tunnel, key),
        .repeatable = true,
        .texts = true,
        .reloadable = true,
        .absent = "none",
        .accepted = "an absolute path",
        .help = "File with keys, one a line, that clients have; braid keygen makes one",
    },
    {
        .kind = CONFIG_KIND_REMOTE,
        .name = "certificate",
        .parse = config_value_file,
        .field = offsetof(struct config_tunnel, certificate),
        .reloadable = true,
        .absent = "none",
        .accepted = "an absolute path",
        .help = "File with the certificate to show instead of a key, in PEM",
    },
    {
        .kind = CONFIG_KIND_REMOTE,
        .name = "private-key",
        .parse = config_value_file,
        .field = offsetof(struct config_tunnel, private_key),
        .reloadable = true,
        .absent = "none",
        .accepted = "an absolute path",
        .help = "File with the private key of the certificate, in PEM, not encrypted",
    },
    {
        .kind = CONFIG_KIND_REMOTE,
        .name = "ca",
        .parse = config_value_file,
        .field = offsetof(struct config_tunnel, ca),
        .reloadable = true,
        .absent = "none",
        .accepted = "an absolute path",
        .help = "File with the authorities that sign the peer's certificate, in PEM",
    },
    {
        .kind = CONFIG_KIND_REMOTE,
        .name = "peer-name",
        .parse = config_value_peer,
        .field = offsetof(struct config_tunnel, peer_name),
        .repeatable = true,
        .texts = true,
        .reloadable = true,
        .absent = "none",
        .accepted = "1 to 64 of A-Z a-z 0-9 _ . -",
        .help = "Name that a client's certificate may bear",
    },
    {
        .kind = CONFIG_KIND_REMOTE,
        .name = "security",
        .parse = config_value_security,
        .field = offsetof(struct config_tunnel, security),
        .reloadable = true,
        .absent = "a key or a certificate is needed",
        .accepted = "none",
        .help = "none: neither key nor certificate, all is in clear",
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
    {
        .kind = CONFIG_KIND_REMOTE,
        .name = "protocol",
        .parse = config_value_protocol,
        .field = offsetof(struct config_tunnel, seed),
        .reloadable = true,
        .fallback = "braid",
        .accepted = "braid or seed",
        .help = "What is spoken on subflows; seed: the format of Banyc/mptcp",
    },
    {
        .kind = CONFIG_KIND_REMOTE,
        .name = "accept-seed",
        .parse = config_value_flag,
        .field = offsetof(struct config_tunnel, accept_seed),
        .reloadable = true,
        .fallback = "no",
        .accepted = "yes or no",
        .help = "Understand the seed's format too, beside braid's own",
    },
    {
        .kind = CONFIG_KIND_REMOTE,
        .name = "bare-end",
        .parse = config_value_flag,
        .field = offsetof(struct config_tunnel, bare_end),
        .reloadable = true,
        .fallback = "no",
        .accepted = "yes or no",
        .help = "Take the end of all connections for the end of a stream in the seed's format",
    },

    {
        .kind = CONFIG_KIND_PATH,
        .name = "interface",
        .parse = config_value_interface,
        .field = offsetof(struct config_path, interface),
        .reloadable = true,
        .absent = "any, as the routes say",
        .accepted = "the name of a network interface, of at most 15 bytes",
        .help = "Interface that subflows leave by",
    },
    {
        .kind = CONFIG_KIND_PATH,
        .name = "source",
        .parse = config_value_source,
        .field = offsetof(struct config_path, source),
        .reloadable = true,
        .absent = "any, as the routes say",
        .accepted = "192.0.2.7 or 2001:db8::7",
        .help = "Address that subflows leave from",
    },
    {
        .kind = CONFIG_KIND_PATH,
        .name = "remote",
        .parse = config_value_remote,
        .field = offsetof(struct config_path, remote),
        .repeatable = true,
        .reloadable = true,
        .absent = "the tunnel's",
        .accepted = PEER,
        .help = "Address of the remote endpoint on this path; of several, the first that answers",
    },
    {
        .kind = CONFIG_KIND_PATH,
        .name = "subflows",
        .parse = config_value_auto,
        .field = offsetof(struct config_path, subflows),
        .min = 1,
        .max = 16,
        .reloadable = true,
        .fallback = "auto",
        .accepted = "auto or 1 to 16, and at most 16 over all paths",
        .help = "Subflows of a session on this path; auto: as the tunnel says",
    },
    {
        .kind = CONFIG_KIND_PATH,
        .name = "priority",
        .parse = config_value_priority,
        .field = offsetof(struct config_path, priority),
        .reloadable = true,
        .fallback = "auto",
        .accepted = "auto, primary or backup",
        .help = "Whether it is used always, or while no primary path works",
    },
    {
        .kind = CONFIG_KIND_PATH,
        .name = "max-rate",
        .parse = config_value_rate,
        .field = offsetof(struct config_path, max_rate),
        .reloadable = true,
        .absent = "no limit",
        .accepted = "8kbit to 1000gbit, as 500kbit, 20mbit or 1gbit",
        .help = "Most that a session sends on this path",
    },
    {
        .kind = CONFIG_KIND_PATH,
        .name = "congestion-control",
        .parse = config_value_congestion,
        .field = offsetof(struct config_path, congestion_control),
        .reloadable = true,
        .absent = "the system's",
        .accepted = "a name such as cubic or bbr",
        .help = "Congestion control of subflows, for what is sent from here",
    },
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
