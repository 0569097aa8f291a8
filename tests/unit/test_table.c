/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/table.h"
#include "cli/units.h"

static const struct table_column columns[] = {{"NAME", false}, {"STATE", false}, {"BYTES", true}};

static char *text;
static size_t length;
static FILE *out;
static struct table *table;

static void setup(void)
{
    out = open_memstream(&text, &length);
    ck_assert_ptr_nonnull(out);
    table = table_new(columns, 3);
    ck_assert_ptr_nonnull(table);
}

static void teardown(void)
{
    table_free(table);
    free(text);
}

static void add(const char *name, const char *state, const char *bytes)
{
    const char *cells[] = {name, state, bytes};

    ck_assert_int_eq(table_add_row(table, cells), 0);
}

static const char *written(void)
{
    table_write(table, out);
    ck_assert_int_eq(fclose(out), 0);
    return text;
}

START_TEST(test_alignment)
{
    ck_assert_int_eq(table_add_titles(table), 0);
    add("a", "open", "1 B");
    add("longer", "x", "123 MiB");
    ck_assert_str_eq(written(), "NAME    STATE   BYTES\n"
                                "a       open      1 B\n"
                                "longer  x     123 MiB\n");
}
END_TEST

START_TEST(test_no_space_at_the_end)
{
    add("a", "wide state", "1");
    add("b", "", "");
    add("", "c", "");
    add("", "", "2");
    ck_assert_str_eq(written(), "a  wide state 1\n"
                                "b\n"
                                "   c\n"
                                "              2\n");
}
END_TEST

START_TEST(test_lines_do_not_widen)
{
    ck_assert_int_eq(table_add_line(table, "a line longer than any of the columns below it"), 0);
    add("a", "b", "c");
    ck_assert_str_eq(written(), "a line longer than any of the columns below it\na  b c\n");
}
END_TEST

START_TEST(test_characters_not_bytes)
{
    add("\xc3\xa4\xc3\xb6", "x", "1");
    add("ab", "y", "2");
    ck_assert_str_eq(written(), "\xc3\xa4\xc3\xb6  x 1\nab  y 2\n");
}
END_TEST

START_TEST(test_control_characters)
{
    ck_assert_int_eq(table_add_line(table, "\x1b[2J"), 0);
    add("a\nb", "\x7f", "\t");
    ck_assert_str_eq(written(), "?[2J\na?b  ? ?\n");
}
END_TEST

START_TEST(test_empty)
{
    ck_assert_str_eq(written(), "");
}
END_TEST

/* ---- units ---- */

static const struct {
    const char *(*format)(uint64_t, char *);
    uint64_t number;
    const char *expected;
} units[] = {
    {units_bytes, 0, "0 B"},
    {units_bytes, 1023, "1023 B"},
    {units_bytes, 1024, "1.00 KiB"},
    {units_bytes, 1536, "1.50 KiB"},
    {units_bytes, 10236, "10.0 KiB"},
    {units_bytes, 102390, "100 KiB"},
    {units_bytes, 1048575, "1.00 MiB"},
    {units_bytes, 123456789, "118 MiB"},
    {units_bytes, UINT64_MAX, "16384 PiB"},
    {units_rate, 0, "0 bit/s"},
    {units_rate, 124, "992 bit/s"},
    {units_rate, 125, "1.00 kbit/s"},
    {units_rate, 117500000, "940 Mbit/s"},
    {units_rate, 156250000, "1.25 Gbit/s"},
    {units_latency, 85, "85 us"},
    {units_latency, 12345, "12.3 ms"},
    {units_latency, 999900, "1.00 s"},
    {units_latency, 1500000, "1.50 s"},
    {units_age, 999999, "0s"},
    {units_age, 59999999, "59s"},
    {units_age, 60000000, "1m 00s"},
    {units_age, 3599000000, "59m 59s"},
    {units_age, 3600000000, "1h 00m"},
    {units_age, 86399000000, "23h 59m"},
    {units_age, 86400000000, "1d 00h"},
};

START_TEST(test_units)
{
    char buffer[UNITS_TEXT];

    ck_assert_str_eq(units[_i].format(units[_i].number, buffer), units[_i].expected);
    fclose(out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("table");
    TCase *tcase = tcase_create("table");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_alignment);
    tcase_add_test(tcase, test_no_space_at_the_end);
    tcase_add_test(tcase, test_lines_do_not_widen);
    tcase_add_test(tcase, test_characters_not_bytes);
    tcase_add_test(tcase, test_control_characters);
    tcase_add_test(tcase, test_empty);
    tcase_add_loop_test(tcase, test_units, 0, (int)(sizeof(units) / sizeof(units[0])));
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
