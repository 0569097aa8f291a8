/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <event2/event.h>

#include "daemon/options.h"

#define ARGUMENTS 6

struct command {
    const char *arguments[ARGUMENTS]; /* after "braidd" */
    enum options_action action;
    const char *config;
};

static const struct command good[] = {
    {{"-c", "a.ini"}, OPTIONS_RUN, "a.ini"},
    {{"-ca.ini"}, OPTIONS_RUN, "a.ini"},
    {{"--config", "a.ini"}, OPTIONS_RUN, "a.ini"},
    {{"--config=a.ini"}, OPTIONS_RUN, "a.ini"},
    {{"-c", "-t"}, OPTIONS_RUN, "-t"},
    {{"-t", "-c", "a.ini"}, OPTIONS_TEST, "a.ini"},
    {{"-c", "a.ini", "-t"}, OPTIONS_TEST, "a.ini"},
    {{"-tca.ini"}, OPTIONS_TEST, "a.ini"},
    {{"--config=a.ini", "--test"}, OPTIONS_TEST, "a.ini"},
    {{"-V"}, OPTIONS_VERSION, NULL},
    {{"--version"}, OPTIONS_VERSION, NULL},
    {{"-c", "a.ini", "-V"}, OPTIONS_VERSION, "a.ini"},
    {{"-h"}, OPTIONS_HELP, NULL},
    {{"--help"}, OPTIONS_HELP, NULL},
    {{"-h", "-V", "-t"}, OPTIONS_HELP, NULL},
    {{"-t", "-V", "-h"}, OPTIONS_HELP, NULL},
    {{"-c", "a.ini", "--"}, OPTIONS_RUN, "a.ini"},
};

static const struct {
    const char *arguments[ARGUMENTS];
    const char *error;
} bad[] = {
    {{NULL}, "no configuration; give one with --config FILE"},
    {{"-t"}, "no configuration; give one with --config FILE"},
    {{"-c"}, "-c needs a file; see braidd --help"},
    {{"--", "-c", "a.ini"}, "unexpected argument \"-c\"; see braidd --help"},
    {{"--t=1"}, "--t=1: no value is taken; see braidd --help"},
    {{"-:"}, "unknown option -:; see braidd --help"},
    {{"-tc"}, "-c needs a file; see braidd --help"},
    {{"--config"}, "--config needs a file; see braidd --help"},
    {{"-c", "a.ini", "-c", "b.ini"}, "--config is given twice; one configuration is accepted"},
    {{"-x"}, "unknown option -x; see braidd --help"},
    {{"-c", "a.ini", "-tx"}, "unknown option -x; see braidd --help"},
    {{"-c", "a.ini", "--daemon"}, "unknown option --daemon; see braidd --help"},
    {{"--daemon=yes"}, "unknown option --daemon=yes; see braidd --help"},
    {{"--test=yes"}, "--test=yes: no value is taken; see braidd --help"},
    {{"-c", "a.ini", "b.ini"}, "unexpected argument \"b.ini\"; see braidd --help"},
    {{"a.ini"}, "unexpected argument \"a.ini\"; see braidd --help"},
    {{"-V", "a.ini"}, "unexpected argument \"a.ini\"; see braidd --help"},
    {{"-c", "a.ini", "--", "-t"}, "unexpected argument \"-t\"; see braidd --help"},
};

/* Copies of the arguments, since getopt_long() may reorder them. */
static int parse(struct options *options, const char *const *arguments)
{
    static char words[ARGUMENTS + 1][64];
    char *argv[ARGUMENTS + 2] = {words[0]};
    int argc = 1;

    strcpy(words[0], "braidd");
    for (; argc <= ARGUMENTS && arguments[argc - 1] != NULL; argc++)
        argv[argc] = strcpy(words[argc], arguments[argc - 1]);
    return options_parse(options, argc, argv);
}

START_TEST(good_command_lines)
{
    struct options options;

    ck_assert_int_eq(parse(&options, good[_i].arguments), 0);
    ck_assert_int_eq(options.action, good[_i].action);
    ck_assert_pstr_eq(options.config, good[_i].config);
}
END_TEST

START_TEST(bad_command_lines)
{
    struct options options;

    ck_assert_int_eq(parse(&options, bad[_i].arguments), -1);
    ck_assert_str_eq(options.error, bad[_i].error);
}
END_TEST

/* getopt_long() keeps state in globals: that of one line must not show in the next. */
START_TEST(each_command_line_starts_afresh)
{
    char program[] = "braidd";
    char unknown[] = "-xt";
    char given[] = "-ca.ini";
    char *stopped[] = {program, unknown, NULL};
    char *next[] = {program, given, NULL};
    struct options options;

    ck_assert_int_eq(options_parse(&options, 2, stopped), -1);
    ck_assert_int_eq(options_parse(&options, 2, next), 0);
    ck_assert_int_eq(options.action, OPTIONS_RUN);
    ck_assert_str_eq(options.config, "a.ini");
}
END_TEST

START_TEST(long_arguments_are_cut_off)
{
    char argument[1024];
    char program[] = "braidd";
    char *argv[] = {program, argument, NULL};
    struct options options;

    memset(argument, 'a', sizeof(argument) - 1);
    argument[sizeof(argument) - 1] = '\0';
    ck_assert_int_eq(options_parse(&options, 2, argv), -1);
    ck_assert_uint_eq(strlen(options.error), sizeof(options.error) - 1);
}
END_TEST

static void print(void (*what)(FILE *), char *buf, size_t size)
{
    FILE *out = fmemopen(buf, size, "w");

    ck_assert_ptr_nonnull(out);
    what(out);
    ck_assert_int_eq(fclose(out), 0);
}

START_TEST(help_and_version)
{
    char text[2048];
    char expected[256];

    print(options_print_help, text, sizeof(text));
    ck_assert_str_eq(text,
                     "Usage: braidd -c FILE [-t]\n"
                     "\n"
                     "Carries TCP connections over several TCP connections at once.\n"
                     "\n"
                     "  -c, --config FILE  the configuration, see braidd.ini(5)\n"
                     "  -t, --test         check the configuration and exit\n"
                     "  -V, --version      print the versions of braid and libevent and exit\n"
                     "  -h, --help         print this and exit\n"
                     "\n"
                     "braidd stays in the foreground and logs to standard error; see "
                     "braidd(8).\n");
    print(options_print_version, text, sizeof(text));
    snprintf(expected, sizeof(expected), "braid %s (libevent %s, built with %s)\n", PACKAGE_VERSION,
             event_get_version(), LIBEVENT_VERSION);
    ck_assert_str_eq(text, expected);
}
END_TEST

#define COUNT(ARRAY) (int)(sizeof(ARRAY) / sizeof(*(ARRAY)))

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tc = tcase_create("command lines");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tc, good_command_lines, 0, COUNT(good));
    tcase_add_loop_test(tc, bad_command_lines, 0, COUNT(bad));
    tcase_add_test(tc, each_command_line_starts_afresh);
    tcase_add_test(tc, long_arguments_are_cut_off);
    tcase_add_test(tc, help_and_version);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
