/* SPDX-License-Identifier: MIT */
/* What braid server and client are made of: addresses, the format, the checksum, the bar. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/address.h"
#include "cli/crc32c.h"
#include "cli/file_wire.h"
#include "cli/progress.h"

/* ---- addresses ---- */

static const struct {
    const char *text;
    bool multipath;
    unsigned subflows;
    size_t count;
    const char *last;
} good[] = {
    {"tcp://127.0.0.1:80", false, 0, 1, "127.0.0.1:80"},
    {"tcp://[::1]:0", false, 0, 1, "[::1]:0"},
    {"tcp://name.example:7000", false, 0, 1, "name.example:7000"},
    {"mptcp://127.0.0.1:80", true, 0, 1, "127.0.0.1:80"},
    {"mptcp.1://127.0.0.1:80", true, 1, 1, "127.0.0.1:80"},
    {"mptcp.16://127.0.0.1:80,[::1]:81", true, 16, 2, "[::1]:81"},
    {"mptcp.3://a:1,b:2,c:3", true, 3, 3, "c:3"},
    {"mptcp://a:1,b:2,c:3,d:4,e:5,f:6,g:7,h:8", true, 0, 8, "h:8"},
    {"tcp://unix:/tmp/socket", false, 0, 1, "unix:/tmp/socket"},
};

START_TEST(test_good_addresses)
{
    struct address address;
    char why[256] = "";

    ck_assert_int_eq(address_parse(&address, good[_i].text, why, sizeof(why)), 0);
    ck_assert_str_eq(why, "");
    ck_assert_int_eq(address.multipath, good[_i].multipath);
    ck_assert_uint_eq(address.subflows, good[_i].subflows);
    ck_assert_uint_eq(address.count, good[_i].count);
    ck_assert_str_eq(braid_address_text(address.list[address.count - 1]), good[_i].last);
    address_clear(&address);
}
END_TEST

static const struct {
    const char *text;
    const char *why; /* a part of it */
} bad[] = {
    {"", "begins with"},
    {"127.0.0.1:80", "begins with"},
    {"udp://127.0.0.1:80", "begins with"},
    {"tcp.2://127.0.0.1:80", "begins with"},
    {"tcp://", "port is missing"},
    {"tcp://127.0.0.1", "port is missing"},
    {"tcp://127.0.0.1:99999", "port"},
    {"tcp://a:1,b:2", "one host only"},
    {"mptcp.://127.0.0.1:80", "N from 1 to 16"},
    {"mptcp.0://127.0.0.1:80", "from 1 to 16"},
    {"mptcp.17://127.0.0.1:80", "from 1 to 16"},
    {"mptcp.4x://127.0.0.1:80", "from 1 to 16"},
    {"mptcp.100://127.0.0.1:80", "from 1 to 16"},
    {"mptcp4://127.0.0.1:80", "from 1 to 16"},
    {"mptcp.2://a:1,b:2,c:3", "more hosts than subflows"},
    {"mptcp://a:1,", "port is missing"},
    {"mptcp://,a:1", "port is missing"},
    {"mptcp://a:1,b:2,c:3,d:4,e:5,f:6,g:7,h:8,i:9", "more than 8"},
};

START_TEST(test_bad_addresses)
{
    struct address address;
    char why[256] = "";

    ck_assert_int_eq(address_parse(&address, bad[_i].text, why, sizeof(why)), -1);
    ck_assert_msg(strstr(why, bad[_i].why) != NULL, "%s", why);
    ck_assert_ptr_nonnull(strstr(why, bad[_i].text));
    ck_assert_uint_eq(address.count, 0);
}
END_TEST

START_TEST(test_who_is_abroad)
{
    struct address address;
    char why[256];

    ck_assert_int_eq(
        address_parse(&address, "mptcp://127.0.0.1:1,[::1]:2,localhost:3", why, sizeof(why)), 0);
    ck_assert_ptr_null(address_abroad(&address));
    address_clear(&address);
    ck_assert_int_eq(address_parse(&address, "mptcp://127.0.0.1:1,0.0.0.0:2", why, sizeof(why)), 0);
    ck_assert_str_eq(address_abroad(&address), "0.0.0.0:2");
    address_clear(&address);
}
END_TEST

/* ---- the format: these bytes are the specification's ---- */

START_TEST(test_hello)
{
    static const uint8_t bytes[FILE_WIRE_HELLO] = {'B', 'R', 'D', 'F', 1, 1, 0, 0,
                                                   1,   2,   3,   4,   5, 6, 7, 8};
    struct file_wire_hello hello = {.role = FILE_WIRE_PUSH, .length = 0x0102030405060708};
    uint8_t got[FILE_WIRE_HELLO];

    file_wire_put_hello(got, &hello);
    ck_assert_mem_eq(got, bytes, sizeof(bytes));
    memset(&hello, 0, sizeof(hello));
    ck_assert_ptr_null(file_wire_get_hello(bytes, &hello));
    ck_assert_int_eq(hello.role, FILE_WIRE_PUSH);
    ck_assert_uint_eq(hello.length, 0x0102030405060708);
}
END_TEST

START_TEST(test_bad_hello)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *why;
    } cases[] = {
        {0, 'b', "no braid server"}, {3, 0, "no braid server"}, {4, 2, "version"},
        {5, 0, "neither"},           {5, 3, "neither"},
    };
    struct file_wire_hello hello = {.role = FILE_WIRE_PULL};
    uint8_t bytes[FILE_WIRE_HELLO];
    const char *why;

    file_wire_put_hello(bytes, &hello);
    bytes[cases[_i].at] = cases[_i].value;
    why = file_wire_get_hello(bytes, &hello);
    ck_assert_ptr_nonnull(why);
    ck_assert_ptr_nonnull(strstr(why, cases[_i].why));
}
END_TEST

START_TEST(test_header_and_sum)
{
    static const uint8_t header[FILE_WIRE_HEADER] = {1, 0x12, 0x34, 0x56};
    static const uint8_t sum[FILE_WIRE_SUM] = {0, 0, 0, 1, 0, 0, 0, 2, 0xde, 0xad, 0xbe, 0xef};
    struct file_wire_sum value = {.length = 0x100000002, .crc = 0xdeadbeef};
    enum file_wire_type type;
    uint8_t got[FILE_WIRE_SUM];
    size_t len;

    file_wire_put_header(got, FILE_WIRE_BYTES, 0x123456);
    ck_assert_mem_eq(got, header, sizeof(header));
    ck_assert_ptr_null(file_wire_get_header(header, FILE_WIRE_PUSH, &type, &len));
    ck_assert_int_eq(type, FILE_WIRE_BYTES);
    ck_assert_uint_eq(len, 0x123456);
    file_wire_put_sum(got, &value);
    ck_assert_mem_eq(got, sum, sizeof(sum));
    memset(&value, 0, sizeof(value));
    file_wire_get_sum(sum, &value);
    ck_assert_uint_eq(value.length, 0x100000002);
    ck_assert_uint_eq(value.crc, 0xdeadbeef);
}
END_TEST

/* Which records each end may send, and how long they are. */
static const struct {
    uint8_t type;
    uint32_t len;
    bool push, pull;
} records[] = {
    {0, 0, false, false},       {1, 0, false, false},    {1, 1, true, false},
    {1, 0xffffff, true, false}, {2, 12, true, false},    {2, 11, false, false},
    {2, 13, false, false},      {3, 12, false, true},    {3, 0, false, false},
    {4, 0, true, true},         {4, 200, true, true},    {4, 201, false, false},
    {5, 0, false, false},       {255, 12, false, false},
};

START_TEST(test_records)
{
    const uint8_t header[FILE_WIRE_HEADER] = {records[_i].type, (uint8_t)(records[_i].len >> 16),
                                              (uint8_t)(records[_i].len >> 8),
                                              (uint8_t)records[_i].len};
    enum file_wire_type type;
    size_t len;

    ck_assert_int_eq(file_wire_get_header(header, FILE_WIRE_PUSH, &type, &len) == NULL,
                     records[_i].push);
    ck_assert_int_eq(file_wire_get_header(header, FILE_WIRE_PULL, &type, &len) == NULL,
                     records[_i].pull);
}
END_TEST

/* ---- the checksum ---- */

START_TEST(test_crc_of_known_bytes)
{
    uint8_t bytes[32];

    ck_assert_uint_eq(crc32c(0, "", 0), 0);
    ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
    memset(bytes, 0, sizeof(bytes)); /* RFC 3720, B.4 */
    ck_assert_uint_eq(crc32c(0, bytes, sizeof(bytes)), 0x8a9136aa);
    ck_assert_uint_eq(crc32c_portable(0, bytes, sizeof(bytes)), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    ck_assert_uint_eq(crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43);
}
END_TEST

/* Whatever helps, and however it is cut, it is the same. */
START_TEST(test_crc_in_parts)
{
    const size_t length = 100000;
    uint8_t *bytes = malloc(length);
    uint32_t whole;

    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)((i * 2654435761u) >> 11);
    }
    whole = crc32c_portable(0, bytes, length);
    ck_assert_uint_eq(crc32c(0, bytes, length), whole);
    for (size_t cut = 0; cut <= length; cut += 1 + cut / 3) {
        uint32_t crc = crc32c(0, bytes, cut);

        ck_assert_uint_eq(crc, crc32c_portable(0, bytes, cut));
        ck_assert_uint_eq(crc32c(crc, bytes + cut, length - cut), whole);
        ck_assert_uint_eq(crc32c_portable(crc, bytes + cut, length - cut), whole);
    }
    free(bytes);
}
END_TEST

/* ---- the bar ---- */

#define MIB ((uint64_t)1 << 20)

static const struct {
    struct progress_state state;
    unsigned columns;
    const char *line;
} lines[] = {
    {{0, UINT64_MAX, 0}, 79, "0 B"},
    {{3 * MIB, UINT64_MAX, MIB}, 79, "3.00 MiB  1.00 MiB/s"},
    {{50 * MIB, 100 * MIB, 10 * MIB},
     70,
     " 50 %  50.0 MiB of 100 MiB  10.0 MiB/s  0:05 left  [########........]"},
    {{50 * MIB, 100 * MIB, 10 * MIB}, 60, " 50 %  50.0 MiB of 100 MiB  10.0 MiB/s  0:05 left"},
    {{50 * MIB, 100 * MIB, 10 * MIB}, 20, " 50 %  50.0 MiB of 1"},
    {{100 * MIB, 100 * MIB, 0}, 40, "100 %  100 MiB of 100 MiB  [##########]"},
    {{0, 7200 * MIB, MIB}, 50, "  0 %  0 B of 7.03 GiB  1.00 MiB/s  2:00:00 left"},
    {{0, 754 * MIB, MIB}, 50, "  0 %  0 B of 754 MiB  1.00 MiB/s  12:34 left"},
    {{0, MIB, 1}, 30, "  0 %  0 B of 1.00 MiB  1 B/s"},
    {{2 * MIB, MIB, 0}, 79, "2.00 MiB"}, /* it has grown */
    {{0, 0, 0}, 79, "0 B"},
};

START_TEST(test_progress_line)
{
    char line[256];

    progress_line(&lines[_i].state, lines[_i].columns, line, sizeof(line));
    ck_assert_str_eq(line, lines[_i].line);
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

int main(void)
{
    Suite *suite = suite_create("file");
    TCase *tcase = tcase_create("file");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tcase, test_good_addresses, 0, COUNT(good));
    tcase_add_loop_test(tcase, test_bad_addresses, 0, COUNT(bad));
    tcase_add_test(tcase, test_who_is_abroad);
    tcase_add_test(tcase, test_hello);
    tcase_add_loop_test(tcase, test_bad_hello, 0, 5);
    tcase_add_test(tcase, test_header_and_sum);
    tcase_add_loop_test(tcase, test_records, 0, COUNT(records));
    tcase_add_test(tcase, test_crc_of_known_bytes);
    tcase_add_test(tcase, test_crc_in_parts);
    tcase_add_loop_test(tcase, test_progress_line, 0, COUNT(lines));
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
