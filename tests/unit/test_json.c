/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"

static char *text;
static size_t length;
static struct json json;

static void setup(void)
{
    FILE *out = open_memstream(&text, &length);

    ck_assert_ptr_nonnull(out);
    json_init(&json, out);
}

static void teardown(void)
{
    free(text);
}

static const char *written(void)
{
    ck_assert_int_eq(fclose(json.out), 0);
    return text;
}

START_TEST(test_nesting)
{
    json_open_object(&json, NULL);
    json_number(&json, "a", 1);
    json_open_array(&json, "b");
    json_open_object(&json, NULL);
    json_close_object(&json);
    json_open_array(&json, NULL);
    json_close_array(&json);
    json_number(&json, NULL, UINT64_MAX);
    json_string(&json, NULL, "");
    json_close_array(&json);
    json_string(&json, "c", "d");
    json_close_object(&json);
    ck_assert_str_eq(written(), "{\"a\":1,\"b\":[{},[],18446744073709551615,\"\"],\"c\":\"d\"}");
}
END_TEST

static const struct {
    const char *value;
    const char *expected;
} strings[] = {
    {"plain / text", "\"plain / text\""},
    {"\"\\", "\"\\\"\\\\\""},
    {"\n\t\x01\x1f\x7f", "\"\\u000a\\u0009\\u0001\\u001f\\u007f\""},
    {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""},
    {"\x80", "\"\\ufffd\""},                                  /* a continuation of nothing */
    {"\xc3", "\"\\ufffd\""},                                  /* cut off by the end */
    {"\xe2\x82", "\"\\ufffd\\ufffd\""},                       /* cut off after two of three */
    {"\xc0\xaf", "\"\\ufffd\\ufffd\""},                       /* overlong */
    {"\xe0\x80\x80", "\"\\ufffd\\ufffd\\ufffd\""},            /* overlong */
    {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},            /* a surrogate */
    {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* beyond U+10FFFF */
    {"\xff\xfe", "\"\\ufffd\\ufffd\""},
    {"\xc3\x28", "\"\\ufffd(\""},
};

START_TEST(test_strings)
{
    json_string(&json, NULL, strings[_i].value);
    ck_assert_str_eq(written(), strings[_i].expected);
}
END_TEST

START_TEST(test_keys_are_escaped)
{
    json_open_object(&json, NULL);
    json_number(&json, "a\"b", 0);
    json_close_object(&json);
    ck_assert_str_eq(written(), "{\"a\\\"b\":0}");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *tcase = tcase_create("json");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_nesting);
    tcase_add_loop_test(tcase, test_strings, 0, (int)(sizeof(strings) / sizeof(strings[0])));
    tcase_add_test(tcase, test_keys_are_escaped);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
