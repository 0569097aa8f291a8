/* SPDX-License-Identifier: MIT */
/* Every key: what it accepts and becomes, what it refuses, and its default. */
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include <braid/braid.h>

#include "daemon/config.h"
#include "daemon/config_table.h"
#include "tests/unit/config_file.h"

/* A path of 107 bytes, the longest a unix socket can have. */
#define TEN "/abcdefghi"
#define PATH_107 TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "/abcdef"

/* A value of a key, in a file where all else is right. */
struct value {
    enum config_kind kind;
    const char *key;
    const char *text;
    const char
        *why; /* NULL: accepted; "*": refused with what stands elsewhere (test_config_paths) */
};

#define B CONFIG_KIND_BRAIDD
#define L CONFIG_KIND_LOCAL
#define R CONFIG_KIND_REMOTE
#define P CONFIG_KIND_PATH

static const struct value values[] = {
    {B, "workers", "auto", NULL},
    {B, "workers", "1", NULL},
    {B, "workers", "64", NULL},
    {B, "workers", "064", NULL},
    {B, "workers", "0", "out of range"},
    {B, "workers", "65", "out of range"},
    {B, "workers", "4294967297", "out of range"},
    {B, "workers", "18446744073709551617", "out of range"},
    {B, "workers", "-1", "not a whole number"},
    {B, "workers", "+1", "not a whole number"},
    {B, "workers", "0x1", "not a whole number"},
    {B, "workers", "1.5", "not a whole number"},
    {B, "workers", "2 threads", "not a whole number"},
    {B, "workers", "Auto", "not a whole number"},
    {B, "control", "none", NULL},
    {B, "control", "/run/braid/control.sock", NULL},
    {B, "control", PATH_107, NULL},
    {B, "control", PATH_107 "g", "too long for the path of a socket"},
    {B, "control", "control.sock", "not an absolute path"},
    {B, "control", "unix:/run/braid/control.sock", "not an absolute path"},
    {B, "log-level", "error", NULL},
    {B, "log-level", "warning", NULL},
    {B, "log-level", "notice", NULL},
    {B, "log-level", "info", NULL},
    {B, "log-level", "debug", NULL},
    {B, "log-level", "INFO", "no such level"},
    {B, "log-level", "err", "no such level"},
    {B, "log-level", "7", "no such level"},
    {B, "max-sessions", "1", NULL},
    {B, "max-sessions-per-key", "1000000", NULL},
    {B, "max-sessions-per-key", "0", "out of range"},
    {B, "max-half-open", "1", NULL},
    {B, "max-half-open", "0", "out of range"},
    {B, "max-half-open-per-source", "1000000", NULL},
    {B, "max-half-open-per-source", "1000001", "out of range"},
    {B, "max-half-open-memory", "16mib", NULL},
    {B, "max-half-open-memory", "1mib", "out of range"},
    {B, "hello-time", "100ms", NULL},
    {B, "hello-time", "60s", NULL},
    {B, "hello-time", "99ms", "out of range"},
    {B, "max-join-failures", "0", NULL},
    {B, "max-join-failures", "100001", "out of range"},
    {B, "user", "none", NULL},
    {B, "user", "root", NULL},
    {B, "user", "nobody-of-that-name", "no such user"},
    {B, "max-sessions", "1000000", NULL},
    {B, "max-sessions", "0", "out of range"},
    {B, "max-sessions", "1000001", "out of range"},
    {B, "max-sessions", "auto", NULL},
    {B, "max-sessions", "10k", "not a whole number"},
    {B, "max-memory", "1%", NULL},
    {B, "max-memory", "100%", NULL},
    {B, "max-memory", "16mib", NULL},
    {B, "max-memory", "512mib", NULL},
    {B, "max-memory", "2gib", NULL},
    {B, "max-memory", "1tib", NULL},
    {B, "max-memory", "0%", "out of range"},
    {B, "max-memory", "101%", "out of range"},
    {B, "max-memory", "15mib", "out of range"},
    {B, "max-memory", "99999999gib", "out of range"},
    {B, "max-memory", "25", "has no unit"},
    {B, "max-memory", "25 %", "unknown unit"},
    {B, "max-memory", "512mb", "unknown unit"},
    {B, "max-memory", "2GiB", "unknown unit"},
    {B, "max-memory", "-1%", "not a number"},
    {B, "max-memory", "all", "not a number"},

    {L, "listen", "127.0.0.1:1", NULL},
    {L, "listen", "0.0.0.0:65535", NULL},
    {L, "listen", "[::1]:1", NULL},
    {L, "listen", "[::]:0", NULL},
    {L, "listen", "unix:/run/x", NULL},
    {L, "listen", "localhost:1", "a host name cannot be listened on"},
    {L, "listen", "name.example:1", "a host name cannot be listened on"},
    {L, "listen", "127.0.0.1", ""},
    {L, "listen", "127.0.0.1:65536", ""},
    {L, "listen", "1.2.3:80", ""},
    {L, "listen", "::1:80", ""},
    {L, "listen", "unix:", ""},
    {L, "remote", "127.0.0.1:1", NULL},
    {L, "remote", "[::1]:65535", NULL},
    {L, "remote", "localhost:1", NULL},
    {L, "remote", "unix:/run/x", NULL},
    {L, "remote", "unix:/run/x:0", NULL},
    {L, "remote", "127.0.0.1:0", "port 0 cannot be connected to"},
    {L, "remote", "localhost:00", "port 0 cannot be connected to"},
    {L, "remote", "[::1]:0", "port 0 cannot be connected to"},
    {L, "remote", "localhost", ""},
    {L, "remote", "127.0.0.1:1 127.0.0.1:2", ""},
    {L, "paths", "one", NULL},
    {L, "paths", "two  one", NULL},
    {L, "paths", "three", "*"},
    {L, "paths", "one one", "*"},
    {L, "paths", "one,two", "*"},
    {L, "key", "a/b.pem", "not an absolute path"},
    {L, "certificate", "a/b.pem", "not an absolute path"},
    {L, "private-key", "a/b.pem", "not an absolute path"},
    {L, "ca", "a/b.pem", "not an absolute path"},
    {L, "peer-name", "*.example.net", "no name that a certificate could bear"},
    {L, "security", "none", NULL},
    {L, "security", "None", "no such security"},
    {L, "security", "tls", "no such security"},
    {L, "insecure", "yes", NULL},
    {L, "insecure", "no", NULL},
    {L, "insecure", "true", "neither yes nor no"},
    {L, "insecure", "yesno", "neither yes nor no"},
    {L, "subflows", "auto", NULL},
    {L, "subflows", "1", NULL},
    {L, "subflows", "16", NULL},
    {L, "subflows", "0", "out of range"},
    {L, "subflows", "17", "out of range"},
    {L, "subflows", "four", "not a whole number"},
    {L, "mode", "aggregate", NULL},
    {L, "mode", "redundant", NULL},
    {L, "mode", "backup", NULL},
    {L, "mode", "roundrobin", "no such mode"},
    {L, "protocol", "braid", NULL},
    {L, "protocol", "seed", NULL},
    {L, "protocol", "Seed", "no such protocol"},
    {L, "bare-end", "yes", NULL},
    {L, "bare-end", "true", "neither yes nor no"},
    {R, "protocol", "braid", NULL},
    {R, "protocol", "seed", NULL},
    {R, "protocol", "mptcp", "no such protocol"},
    {R, "accept-seed", "yes", NULL},
    {R, "accept-seed", "no", NULL},
    {R, "accept-seed", "1", "neither yes nor no"},
    {R, "bare-end", "no", NULL},
    {R, "bare-end", "both", "neither yes nor no"},
    {L, "grace", "0", NULL},
    {L, "grace", "0s", NULL},
    {L, "grace", "1ms", NULL},
    {L, "grace", "3600s", NULL},
    {L, "grace", "3600000ms", NULL},
    {L, "grace", "60m", NULL},
    {L, "grace", "1h", NULL},
    {L, "grace", "3601s", "out of range"},
    {L, "grace", "2h", "out of range"},
    {L, "grace", "3600001ms", "out of range"},
    {L, "grace", "99999999999999999999h", "out of range"},
    {L, "grace", "60", "has no unit"},
    {L, "grace", "60 s", "unknown unit"},
    {L, "grace", "1d", "unknown unit"},
    {L, "grace", "60S", "unknown unit"},
    {L, "grace", "s", "not a time"},
    {L, "grace", "-1s", "not a time"},
    {L, "grace", "1.5s", "unknown unit"},

    {R, "listen", "127.0.0.1:1", NULL},
    {R, "listen", "unix:/run/x", NULL},
    {R, "listen", "localhost:1", "a host name cannot be listened on"},
    {R, "target", "127.0.0.1:80", NULL},
    {R, "target", "192.0.2.1:80", NULL},
    {R, "target", "[2001:db8::1]:80", NULL},
    {R, "target", "name.example:80", NULL},
    {R, "target", "unix:/run/x", NULL},
    {R, "target", "name.example:0", "port 0 cannot be connected to"},
    {R, "target", "name.example", ""},
    {R, "target", "http://name.example:80", ""},
    {R, "key", "a/b.pem", "not an absolute path"},
    {R, "certificate", "a/b.pem", "not an absolute path"},
    {R, "private-key", "a/b.pem", "not an absolute path"},
    {R, "ca", "a/b.pem", "not an absolute path"},
    {R, "peer-name", "*.example.net", "no name that a certificate could bear"},
    {R, "security", "none", NULL},
    {R, "security", "key", "no such security"},
    {R, "insecure", "yes", NULL},
    {R, "insecure", "1", "neither yes nor no"},
    {R, "max-subflows", "1", NULL},
    {R, "max-subflows", "64", NULL},
    {R, "max-subflows", "0", "out of range"},
    {R, "max-subflows", "65", "out of range"},
    {R, "max-subflows", "auto", "not a whole number"},

    {P, "interface", "eth0", NULL},
    {P, "interface", "enp0s31f6.4094", NULL},
    {P, "interface", "abcdefghijklmno", NULL},
    {P, "interface", "abcdefghijklmnop", "not the name of an interface"},
    {P, "interface", "eth0 eth1", "not the name of an interface"},
    {P, "interface", "eth0:1", "not the name of an interface"},
    {P, "interface", "a/b", "not the name of an interface"},
    {P, "interface", "..", "not the name of an interface"},
    {P, "source", "192.0.2.7", NULL},
    {P, "source", "2001:db8::7", "*"}, /* the tunnel's remote is IPv4 */
    {P, "source", "192.0.2.7:80", "not an address without a port"},
    {P, "source", "[2001:db8::7]", "not an address without a port"},
    {P, "source", "eth0", "not an address without a port"},
    {P, "source", "192.0.2.0/24", "not an address without a port"},
    {P, "remote", "127.0.0.1:1", NULL},
    {P, "remote", "localhost:1", NULL},
    {P, "remote", "127.0.0.1:0", "port 0 cannot be connected to"},
    {P, "remote", "tunnel", ""},
    {P, "subflows", "auto", NULL},
    {P, "subflows", "16", NULL},
    {P, "subflows", "0", "out of range"},
    {P, "subflows", "17", "out of range"},
    {P, "priority", "auto", NULL},
    {P, "priority", "primary", NULL},
    {P, "priority", "low", "no such priority"},
    {P, "max-rate", "8kbit", NULL},
    {P, "max-rate", "8000bit", NULL},
    {P, "max-rate", "20mbit", NULL},
    {P, "max-rate", "1000gbit", NULL},
    {P, "max-rate", "7kbit", "out of range"},
    {P, "max-rate", "1001gbit", "out of range"},
    {P, "max-rate", "9999999999gbit", "out of range"},
    {P, "max-rate", "20", "has no unit"},
    {P, "max-rate", "20mbps", "unknown unit"},
    {P, "max-rate", "1.5mbit", "unknown unit"},
    {P, "max-rate", "none", "not a number"},
    {P, "congestion-control", "cubic", NULL},
    {P, "congestion-control", "bpf_dctcp-2", NULL},
    {P, "congestion-control", "cubic bbr", "not a name"},
    {P, "congestion-control", "abcdefghijklmnop", "not a name"},
};

#define VALUES (sizeof(values) / sizeof(*values))

/* What else a section needs, a line for each key. */
static const char *const needed[CONFIG_KINDS][4] = {
    [L] = {"listen = 127.0.0.1:0", "remote = 127.0.0.1:1", "security = none"},
    [R] = {"listen = 127.0.0.1:0", "target = 127.0.0.1:1", "security = none"},
};

/* What a file needs besides for a key of a section of this kind. */
static const char *around(enum config_kind kind, const char *key)
{
    if (kind == P)
        return "[local t]\nlisten = 127.0.0.1:0\nremote = 127.0.0.1:1\nsecurity=none\n";
    if (kind == L && strcmp(key, "paths") == 0)
        return "[path one]\n[path two]\n";
    if (kind == B)
        return "[local t]\nlisten = 127.0.0.1:0\nremote = [::1]:1\nsecurity=none\n";
    return "";
}

static const char *const headers[CONFIG_KINDS] = {
    [B] = "[braidd]", [L] = "[local a]", [R] = "[remote a]", [CONFIG_KIND_PATH] = "[path a]"};

static bool replaces_none(const char *key)
{
    return strcmp(key, "key") == 0 || strcmp(key, "certificate") == 0;
}

/* What is there instead of security = none, and good only with files and others of its kind:
 * test_config_security.c. */
static bool is_file_of_secrets(const char *key)
{
    return replaces_none(key) || strcmp(key, "private-key") == 0 || strcmp(key, "ca") == 0 ||
           strcmp(key, "peer-name") == 0;
}

/* A file with this line, its third, in a section of a kind, and all that is needed around it. */
static void write_with(enum config_kind kind, const char *key, const char *line)
{
    char text[1024];
    size_t n = (size_t)snprintf(text, sizeof(text), "; a comment\n%s\n%s\n", headers[kind], line);

    for (size_t i = 0; needed[kind][i] != NULL; i++)
        if (strncmp(needed[kind][i], key, strlen(key)) != 0 &&
            !(replaces_none(key) && strncmp(needed[kind][i], "security", 8) == 0))
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\n", needed[kind][i]);
    n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", around(kind, key));
    config_file_write(text, n);
}

START_TEST(value_is_accepted_or_refused)
{
    const struct value *v = &values[_i];
    const struct config_key *key = config_table_find(v->kind, v->key);
    char line[256];
    char expected[512];
    char *errors;

    ck_assert_ptr_nonnull(key);
    snprintf(line, sizeof(line), "%s = %s", v->key, v->text);
    write_with(v->kind, v->key, line);
    errors = config_file_read("t.ini", NULL);
    if (v->why == NULL) {
        ck_assert_str_eq(errors, "");
    } else if (*v->why == '*') {
        ck_assert_ptr_nonnull(strstr(errors, "; accepted: "));
        ck_assert_str_eq(strchr(errors, '\n'), "\n");
    } else if (*v->why != '\0') {
        snprintf(expected, sizeof(expected), "t.ini:3: %.*s] %s: \"%s\": %s; accepted: %s\n",
                 (int)strlen(headers[v->kind]) - 1, headers[v->kind], v->key, v->text, v->why,
                 key->accepted);
        ck_assert_str_eq(errors, expected);
    } else { /* why is braid_address_new()'s to say */
        snprintf(line, sizeof(line), "t.ini:3: %s %s: \"%s\": ", headers[v->kind], v->key, v->text);
        snprintf(expected, sizeof(expected), "; accepted: %s\n", key->accepted);
        ck_assert_ptr_nonnull(strstr(errors, expected));
        ck_assert_int_eq(strncmp(errors, line, strlen(line)), 0);
        ck_assert_str_eq(strchr(errors, '\n'), "\n");
    }
    free(errors);
}
END_TEST

START_TEST(every_key_has_good_and_bad_values_above)
{
    for (size_t i = 0; i < config_table_size; i++) {
        const struct config_key *key = &config_table[i];
        bool good = is_file_of_secrets(key->name);
        bool bad = false;

        for (size_t j = 0; j < VALUES; j++) {
            if (values[j].kind != key->kind || strcmp(values[j].key, key->name) != 0)
                continue;
            good = good || values[j].why == NULL;
            bad = bad || values[j].why != NULL;
        }
        ck_assert_msg((good && bad) == (key->parse != NULL), "%s %s", headers[key->kind],
                      key->name);
    }
}
END_TEST

START_TEST(no_key_accepts_an_empty_value)
{
    for (size_t i = 0; i < config_table_size; i++) {
        const struct config_key *key = &config_table[i];
        char line[64];
        char expected[512];
        char *errors;

        if (key->parse == NULL)
            continue;
        snprintf(line, sizeof(line), "%s =", key->name);
        write_with(key->kind, key->name, line);
        errors = config_file_read("t.ini", NULL);
        snprintf(expected, sizeof(expected), "t.ini:3: %s %s: no value; accepted: %s\n",
                 headers[key->kind], key->name, key->accepted);
        ck_assert_str_eq(errors, expected);
        free(errors);
    }
}
END_TEST

START_TEST(keys_of_later_versions_are_not_supported_yet)
{
    unsigned count = 0;

    for (size_t i = 0; i < config_table_size; i++) {
        const struct config_key *key = &config_table[i];
        char line[64];
        char expected[256];
        char *errors;

        if (key->parse != NULL)
            continue;
        snprintf(line, sizeof(line), "%s = x", key->name);
        write_with(key->kind, "-", line);
        errors = config_file_read("t.ini", NULL);
        snprintf(expected, sizeof(expected),
                 "t.ini:3: %s %s: not supported yet; accepted: leave it out\n", headers[key->kind],
                 key->name);
        ck_assert_str_eq(errors, expected);
        free(errors);
        count++;
    }
    ck_assert_uint_eq(count, 1);
}
END_TEST

#define LOCAL "[local web]\nlisten = 127.0.0.1:8080\nremote = 127.0.0.1:7000\nsecurity = none\n"
#define REMOTE "[remote web]\nlisten = 127.0.0.1:7000\ntarget = 127.0.0.1:80\nsecurity = none\n"

START_TEST(defaults_are_those_of_the_table)
{
    struct config *config = config_file_accept(LOCAL REMOTE);
    cpu_set_t set;

    ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
    ck_assert_str_eq(config->file, "t.ini");
    ck_assert_uint_eq(config->workers, CPU_COUNT(&set) < 64 ? (unsigned)CPU_COUNT(&set) : 64);
    ck_assert_ptr_null(config->control);
    ck_assert_int_eq(config->log_level, BRAID_LOG_INFO);
    ck_assert_uint_eq(config->max_sessions, 0);
    ck_assert_uint_eq(config->max_sessions_per_key, 5000);
    ck_assert_uint_eq(config->max_half_open, 4096);
    ck_assert_uint_eq(config->max_half_open_per_source, 1024);
    ck_assert_uint_eq(config->max_half_open_memory, 32 << 20);
    ck_assert_uint_eq(config->hello_time, 5000);
    ck_assert_uint_eq(config->max_join_failures, 100);
    ck_assert_ptr_null(config->user.name);
    ck_assert_uint_eq(config->tunnel_count, 2);

    ck_assert_int_eq(config->tunnels[0].role, CONFIG_LOCAL);
    ck_assert_uint_eq(config->tunnels[0].subflows, 4);
    ck_assert_int_eq(config->tunnels[0].mode, CONFIG_AGGREGATE);
    ck_assert_uint_eq(config->tunnels[0].grace, 60000);
    ck_assert(!config->tunnels[0].insecure);

    ck_assert_int_eq(config->tunnels[1].role, CONFIG_REMOTE);
    ck_assert_uint_eq(config->tunnels[1].max_subflows, 16);
    ck_assert(!config->tunnels[1].insecure);
    config_free(config);
}
END_TEST

START_TEST(workers_follow_the_affinity)
{
    cpu_set_t before;
    cpu_set_t one;
    struct config *config;
    size_t cpu = 0;

    ck_assert_int_eq(sched_getaffinity(0, sizeof(before), &before), 0);
    while (!CPU_ISSET(cpu, &before))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
    config = config_file_accept(LOCAL);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(before), &before), 0);
    ck_assert_uint_eq(config->workers, 1);
    config_free(config);
}
END_TEST

START_TEST(values_reach_their_fields)
{
    struct config *config = config_file_accept("[remote db]\n"
                                               "listen = 0.0.0.0:7000\n"
                                               "target = db.example:5432\n"
                                               "security = none\n"
                                               "insecure = yes\n"
                                               "max-subflows = 3\n"
                                               "[local a_b.c-9]\n"
                                               "listen = 127.0.0.1:8080\n"
                                               "listen = unix:/run/x.sock\n"
                                               "remote = 192.0.2.1:7000\n"
                                               "listen = [::1]:8080\n"
                                               "remote = [2001:db8::1]:7000\n"
                                               "security = none\n"
                                               "insecure = yes\n"
                                               "subflows = 5\n"
                                               "mode = aggregate\n"
                                               "grace = 2m\n"
                                               "[braidd]\n"
                                               "workers = 7\n"
                                               "control = /run/c.sock\n"
                                               "log-level = debug\n"
                                               "max-sessions = 12\n");
    const struct config_tunnel *t = config->tunnels;

    ck_assert_uint_eq(config->workers, 7);
    ck_assert_str_eq(config->control, "/run/c.sock");
    ck_assert_int_eq(config->log_level, BRAID_LOG_DEBUG);
    ck_assert_uint_eq(config->max_sessions, 12);
    ck_assert_uint_eq(config->tunnel_count, 2);

    ck_assert_str_eq(t->name, "db");
    ck_assert_uint_eq(t->line, 1);
    ck_assert_int_eq(t->role, CONFIG_REMOTE);
    ck_assert_uint_eq(t->listen.count, 1);
    ck_assert_str_eq(braid_address_text(t->listen.at[0]), "0.0.0.0:7000");
    ck_assert_str_eq(braid_address_text(t->target), "db.example:5432");
    ck_assert_int_eq(t->security, CONFIG_SECURITY_NONE);
    ck_assert(t->insecure);
    ck_assert_uint_eq(t->max_subflows, 3);

    t++;
    ck_assert_str_eq(t->name, "a_b.c-9");
    ck_assert_uint_eq(t->line, 7);
    ck_assert_int_eq(t->role, CONFIG_LOCAL);
    ck_assert_uint_eq(t->listen.count, 3);
    ck_assert_str_eq(braid_address_text(t->listen.at[0]), "127.0.0.1:8080");
    ck_assert_str_eq(braid_address_text(t->listen.at[1]), "unix:/run/x.sock");
    ck_assert_str_eq(braid_address_text(t->listen.at[2]), "[::1]:8080");
    ck_assert_uint_eq(t->listen.lines[0], 8);
    ck_assert_uint_eq(t->listen.lines[1], 9);
    ck_assert_uint_eq(t->listen.lines[2], 11);
    ck_assert_uint_eq(t->remote.count, 2);
    ck_assert_str_eq(braid_address_text(t->remote.at[1]), "[2001:db8::1]:7000");
    ck_assert_uint_eq(t->remote.lines[1], 12);
    ck_assert_uint_eq(t->subflows, 10);
    ck_assert_uint_eq(t->grace, 120000);
    config_free(config);
}
END_TEST

/* Grace and subflows are computed; the others are read as they are. */
static const struct {
    const char *lines;
    unsigned subflows;
    unsigned grace;
} computed[] = {
    {"grace = 0\nsubflows = 1\n", 1, 0},
    {"grace = 500ms\nsubflows = 16\n", 16, 500},
    {"grace = 90s\nsubflows = auto\n", 4, 90000},
    {"grace = 3m\nremote = 127.0.0.1:7001\n", 2, 180000},
    {"grace = 1h\nremote = 127.0.0.1:7001\nremote = 127.0.0.1:7002\n", 3, 3600000},
    {"subflows = 4\nremote = 127.0.0.1:7001\nremote = [::1]:1\nremote = unix:/x\n", 16, 60000},
};

START_TEST(computed_values)
{
    char text[512];
    struct config *config;

    snprintf(text, sizeof(text), LOCAL "%s", computed[_i].lines);
    config = config_file_accept(text);
    ck_assert_uint_eq(config->tunnels[0].subflows, computed[_i].subflows);
    ck_assert_uint_eq(config->tunnels[0].grace, computed[_i].grace);
    config_free(config);
}
END_TEST

START_TEST(free_of_nothing)
{
    config_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *keys = tcase_create("keys");
    SRunner *runner;
    int failed;

    tcase_add_unchecked_fixture(keys, config_file_setup, config_file_teardown);
    tcase_add_loop_test(keys, value_is_accepted_or_refused, 0, VALUES);
    tcase_add_test(keys, every_key_has_good_and_bad_values_above);
    tcase_add_test(keys, no_key_accepts_an_empty_value);
    tcase_add_test(keys, keys_of_later_versions_are_not_supported_yet);
    tcase_add_test(keys, defaults_are_those_of_the_table);
    tcase_add_test(keys, workers_follow_the_affinity);
    tcase_add_test(keys, values_reach_their_fields);
    tcase_add_loop_test(keys, computed_values, 0, sizeof(computed) / sizeof(*computed));
    tcase_add_test(keys, free_of_nothing);
    suite_add_tcase(suite, keys);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
