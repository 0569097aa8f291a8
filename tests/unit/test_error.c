/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <braid/error.h>

#include "suite.h"

static const int known[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,   10, 11,
                            12, 13, 14, 15, 16, 96, 97, 98, 99, 100, 101};

#define KNOWN (sizeof known / sizeof *known)

/* Each reason has words of its own, fit to stand in the middle of a line. */
START_TEST(test_words)
{
    for (size_t i = 0; i < KNOWN; i++) {
        const char *text = braid_strerror(known[i]);
        size_t len = strlen(text);

        ck_assert_str_ne(text, "unknown error");
        ck_assert_uint_gt(len, 5);
        ck_assert_uint_le(len, 64); /* goes into RESET whole */
        ck_assert(text[len - 1] != '.');
        ck_assert(text[0] >= 'a' && text[0] <= 'z');
        for (size_t k = 0; k < i; k++)
            ck_assert_str_ne(text, braid_strerror(known[k]));
    }
}
END_TEST

START_TEST(test_unknown)
{
    static const int others[] = {-1, 18, 63, 64, 95, 102, 65535, 1 << 30};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        ck_assert_str_eq(braid_strerror(others[i]), "unknown error");
}
END_TEST

/* These numbers travel on the wire. */
START_TEST(test_numbers)
{
    ck_assert_int_eq(BRAID_OK, 0);
    ck_assert_int_eq(BRAID_ERR_PROTOCOL, 1);
    ck_assert_int_eq(BRAID_ERR_UNKNOWN_SESSION, 3);
    ck_assert_int_eq(BRAID_ERR_LIMIT, 5);
    ck_assert_int_eq(BRAID_ERR_FINISHED, 6);
    ck_assert_int_eq(BRAID_ERR_INSTANCE, 11);
    ck_assert_int_eq(BRAID_ERR_SECURITY, 16);
    ck_assert_int_eq(BRAID_ERR_TRUNCATED, 17);
    ck_assert_int_eq(BRAID_ERR_RESET, 96);
    ck_assert_int_eq(BRAID_ERR_REFUSED, 98);
    ck_assert_int_eq(BRAID_ERR_POLICY, 101);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_words, 0},
        {test_unknown, 0},
        {test_numbers, 0},
    };

    return SUITE_RUN("error", tests);
}
