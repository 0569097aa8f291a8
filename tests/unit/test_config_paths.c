/* SPDX-License-Identifier: MIT */
/*
 * Which paths a tunnel gets from its sections, with which subflows and priorities, and what of that
 * does not go together.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"

#include "config_file.h"

#define LOCAL "[local web]\nlisten = 127.0.0.1:8080\nsecurity = none\n"
#define REMOTES "remote = 127.0.0.1:7000\nremote = 127.0.0.1:7001\n"
#define PEER "name.example:80, 192.0.2.1:80, [2001:db8::1]:80 or unix:/path\n"

/* What the paths of the first tunnel are, one word each: "NAME:REMOTES:SUBFLOWS" and "b" or "p". */
static const struct {
    const char *text;
    const char *paths;
} resolved[] = {
    /* Without a section, each remote is a path. */
    {LOCAL "remote = 127.0.0.1:7000\n", "0:7000:4p"},
    {LOCAL REMOTES, "0:7000:1p 1:7001:1p"},
    {LOCAL REMOTES "subflows = 8\n", "0:7000:8p 1:7001:8p"},
    {LOCAL REMOTES "mode = backup\n", "0:7000:1p 1:7001:1b"},
    {LOCAL REMOTES "mode = redundant\n", "0:7000:1p 1:7001:1p"},

    /* With sections, all are used, each with its own remotes or the tunnel's. */
    {LOCAL "remote = 127.0.0.1:7000\n[path a]\n", "a:7000:4p"},
    {LOCAL REMOTES "[path a]\n[path b]\n", "a:7000,7001:1p b:7000,7001:1p"},
    {"[path a]\nremote = 127.0.0.1:1\n[path b]\nremote = 127.0.0.1:2\nremote = 127.0.0.1:3\n" LOCAL,
     "a:1:1p b:2,3:1p"},
    {LOCAL "remote = 127.0.0.1:7000\n[path a]\n[path b]\nremote = 127.0.0.1:2\n",
     "a:7000:1p b:2:1p"},

    /* Some are named, in that order. */
    {LOCAL "remote = 127.0.0.1:7000\npaths = c a\n[path a]\n[path b]\n[path c]\n",
     "c:7000:1p a:7000:1p"},
    {LOCAL "remote = 127.0.0.1:7000\npaths = b\n[path a]\n[path b]\n", "b:7000:4p"},

    /* Subflows. */
    {LOCAL "remote = 127.0.0.1:7000\n[path a]\nsubflows = 3\n[path b]\n", "a:7000:3p b:7000:1p"},
    {LOCAL "remote = 127.0.0.1:7000\nsubflows = 2\n[path a]\nsubflows = 14\n[path b]\n",
     "a:7000:14p b:7000:2p"},

    /* Priorities. */
    {LOCAL "remote = 127.0.0.1:7000\n[path a]\npriority = backup\n[path b]\n",
     "a:7000:1b b:7000:1p"},
    {LOCAL "remote = 127.0.0.1:7000\nmode = backup\n[path a]\n[path b]\n[path c]\n",
     "a:7000:1p b:7000:1b c:7000:1b"},
    {LOCAL "remote = 127.0.0.1:7000\nmode = backup\n[path a]\n[path b]\npriority = primary\n"
           "[path c]\npriority = backup\n",
     "a:7000:1p b:7000:1p c:7000:1b"},
};

START_TEST(paths_are_resolved)
{
    struct config *config = config_file_accept(resolved[_i].text);
    const struct config_tunnel *tunnel = &config->tunnels[0];
    char text[512] = "";
    unsigned subflows = 0;
    size_t n = 0;

    for (size_t i = 0; i < tunnel->path_count; i++) {
        const struct config_tunnel_path *path = &tunnel->paths[i];

        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s:", i > 0 ? " " : "", path->name);
        for (size_t k = 0; k < path->remote_count; k++)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", k > 0 ? "," : "",
                                  strrchr(braid_address_text(path->remotes[k]), ':') + 1);
        n += (size_t)snprintf(text + n, sizeof(text) - n, ":%u%c", path->subflows,
                              path->backup ? 'b' : 'p');
        subflows += path->subflows;
    }
    ck_assert_str_eq(text, resolved[_i].paths);
    ck_assert_uint_eq(tunnel->subflows, subflows);
    config_free(config);
}
END_TEST

START_TEST(values_reach_their_fields)
{
    struct config *config =
        config_file_accept("[path lte]\n"
                           "interface = wwan0\n"
                           "source = 192.0.2.7\n"
                           "remote = 127.0.0.1:7000\n"
                           "subflows = 2\n"
                           "priority = primary\n"
                           "max-rate = 20mbit\n"
                           "congestion-control = bbr\n" LOCAL "mode = redundant\n"
                           "[braidd]\nmax-memory = 512mib\n");
    const struct config_path *path = config->tunnels[0].paths[0].section;

    ck_assert_uint_eq(config->path_count, 1);
    ck_assert_ptr_eq(path, &config->paths[0]);
    ck_assert_str_eq(path->name, "lte");
    ck_assert_uint_eq(path->line, 1);
    ck_assert_str_eq(path->interface, "wwan0");
    ck_assert_str_eq(path->source, "192.0.2.7");
    ck_assert_str_eq(path->congestion_control, "bbr");
    ck_assert_uint_eq(path->subflows, 2);
    ck_assert_int_eq(path->priority, CONFIG_PRIMARY);
    ck_assert_uint_eq(path->max_rate, 2500000);
    ck_assert_int_eq(config->tunnels[0].mode, CONFIG_REDUNDANT);
    ck_assert_uint_eq(config->max_memory, UINT64_C(512) << 20);
    config_free(config);
}
END_TEST

/* A percentage is one of what the machine has: a quarter of it is a quarter of all of it. */
START_TEST(memory_is_a_share)
{
    struct config *all = config_file_accept(LOCAL REMOTES "[braidd]\nmax-memory = 100%\n");
    struct config *some = config_file_accept(LOCAL REMOTES);

    ck_assert_uint_gt(all->max_memory, UINT64_C(16) << 20);
    ck_assert_uint_eq(some->max_memory, all->max_memory / 100 * 25);
    config_free(all);
    config_free(some);
}
END_TEST

static const struct {
    const char *text;
    const char *errors;
} mistakes[] = {
    {LOCAL, "t.ini:1: [local web] remote: missing; accepted: " PEER},
    {LOCAL "[path a]\nremote = 127.0.0.1:1\n[path b]\n",
     "t.ini:1: [local web] remote: missing, and [path b], line 6, has none of its own; accepted: "
     "" PEER},
    {LOCAL "remote = x\n[path a]\n",
     "t.ini:4: [local web] remote: \"x\": the port is missing: HOST:PORT is expected; accepted: "
     "" PEER},
    {LOCAL REMOTES "paths = a c\n[path a]\n[path b]\n",
     "t.ini:6: [local web] paths: there is no section [path c]; accepted: names of [path NAME] "
     "sections, separated by spaces\n"},
    {LOCAL REMOTES "paths = x\n",
     "t.ini:6: [local web] paths: there is no section [path x]; accepted: names of [path NAME] "
     "sections, separated by spaces\n"},
    {LOCAL REMOTES "paths =\n",
     "t.ini:6: [local web] paths: no value; accepted: names of [path NAME] sections, separated by "
     "spaces\n"},
    {LOCAL REMOTES "paths = a b a\n[path a]\n[path b]\n",
     "t.ini:6: [local web] paths: \"a\" is named twice; accepted: each path once\n"},
    {LOCAL REMOTES "[path a]\nsubflows = 8\n[path b]\nsubflows = 9\n",
     "t.ini:1: [local web] paths: 2 paths have 17 subflows; accepted: at most 16 over all paths\n"},
    {LOCAL REMOTES "subflows = 9\n[path a]\n[path b]\n",
     "t.ini:6: [local web] subflows: 2 paths have 18 subflows; accepted: at most 16 over all "
     "paths\n"},
    {LOCAL REMOTES "[path a]\npriority = backup\n[path b]\npriority = backup\n",
     "t.ini:1: [local web] paths: all of them are backup; accepted: at least one with priority = "
     "primary\n"},
    {LOCAL REMOTES "[path a]\nsource = ::1\n",
     "t.ini:6: [path a] source: \"::1\" and remote = 127.0.0.1:7000, line 4, are of different "
     "families; accepted: both IPv4 or both IPv6\n"},
    {LOCAL "remote = [::1]:1\n[path a]\nsource = 127.0.0.1\n",
     "t.ini:5: [path a] source: \"127.0.0.1\" and remote = [::1]:1, line 4, are of different "
     "families; accepted: both IPv4 or both IPv6\n"},
    {LOCAL "remote = [::1]:1\nremote = 127.0.0.1:1\n[path a]\nsource = 127.0.0.1\n", ""},
    {LOCAL "remote = localhost:1\n[path a]\nsource = ::1\n", ""},
    {LOCAL "remote = unix:/x\n[path a]\ninterface = lo\n",
     "t.ini:4: [path a] remote: \"unix:/x\" is not reached by an interface or from an address; "
     "accepted: an internet address, or a path without interface and source\n"},
    {LOCAL "remote = unix:/x\n[path a]\nmax-rate = 1mbit\n", ""},
    /* What a path adds counts for security too. */
    {LOCAL REMOTES "[path a]\n[path b]\nremote = 192.0.2.1:1\n",
     "t.ini:3: [local web] security: \"none\" is refused because remote = 192.0.2.1:1, line 8, is "
     "not a loopback address; accepted: none with loopback addresses only, or with insecure = "
     "yes\n"},
    {LOCAL REMOTES "paths = a\n[path a]\n[path b]\nremote = 192.0.2.1:1\n", ""},
    {LOCAL "remote = 127.0.0.1:1\nremote = 127.0.0.1:2\nremote = 127.0.0.1:3\n"
           "remote = 127.0.0.1:4\nremote = 127.0.0.1:5\nremote = 127.0.0.1:6\n"
           "remote = 127.0.0.1:7\nremote = 127.0.0.1:8\nremote = 127.0.0.1:9\n[path a]\n",
     "t.ini:12: [path a] remote: [local web] has 9 addresses on this path; accepted: at most 8\n"},
};

START_TEST(mistakes_are_told)
{
    if (*mistakes[_i].errors != '\0')
        config_file_refuse(mistakes[_i].text, mistakes[_i].errors);
    else
        config_free(config_file_accept(mistakes[_i].text));
}
END_TEST

#define COUNT(ARRAY) (int)(sizeof(ARRAY) / sizeof(*(ARRAY)))

int main(void)
{
    Suite *suite = suite_create("config_paths");
    TCase *tc = tcase_create("paths");
    SRunner *runner;
    int failed;

    tcase_add_unchecked_fixture(tc, config_file_setup, config_file_teardown);
    tcase_add_loop_test(tc, paths_are_resolved, 0, COUNT(resolved));
    tcase_add_test(tc, values_reach_their_fields);
    tcase_add_test(tc, memory_is_a_share);
    tcase_add_loop_test(tc, mistakes_are_told, 0, COUNT(mistakes));
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
