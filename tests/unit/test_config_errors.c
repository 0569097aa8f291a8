/* SPDX-License-Identifier: MIT */
/* Every mistake that is not one value's alone: its line, its words, and nothing beside it. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "daemon/config.h"
#include "tests/unit/config_file.h"

#define HEADERS "[braidd], [local NAME], [remote NAME] or [path NAME]"
#define NO_KEY                                                                                     \
    "key: missing; accepted: key = FILE, made by braid keygen > FILE and copied to the other "     \
    "end; "                                                                                        \
    "or certificate = FILE; or security = none\n"
#define ADDRESS "192.0.2.1:80, [2001:db8::1]:80 or unix:/path"
#define LOCAL_KEYS                                                                                 \
    "listen, remote, paths, key, certificate, private-key, ca, peer-name, security, insecure, "    \
    "subflows, mode, grace, protocol, bare-end"
#define PATH_KEYS "interface, source, remote, subflows, priority, max-rate, congestion-control"
#define REMOTE_KEYS                                                                                \
    "listen, target, key, certificate, private-key, ca, peer-name, security, insecure, "           \
    "max-subflows, protocol, accept-seed, bare-end"

#define LOCAL "[local web]\nlisten = 127.0.0.1:8080\nremote = 127.0.0.1:7000\nsecurity = none\n"
#define REMOTE "[remote web]\nlisten = 127.0.0.1:7000\ntarget = 127.0.0.1:80\nsecurity = none\n"

#define TEN "aaaaaaaaaa"
#define NAME_64 TEN TEN TEN TEN TEN TEN "aaaa"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

struct mistake {
    const char *text;
    const char *errors; /* "": none */
};

/* ---- lines ----------------------------------------------------------------------------------- */

static const struct mistake syntax[] = {
    /* What is accepted. */
    {"\xef\xbb\xbf" LOCAL, ""},
    {"\xef\xbb\xbf; a comment\n" LOCAL, ""},
    {"# a comment\n\n   ; [another]\n\t# x = y\n" LOCAL, ""},
    {"; " HUNDRED HUNDRED HUNDRED "\n  # " HUNDRED HUNDRED HUNDRED "\n" LOCAL, ""},
    {"  [ local\t web ] ; there\n\tlisten=127.0.0.1:1\n remote = unix:/a;b#c ; d\nsecurity=none",
     ""},
    {"[local web]\r\nlisten = 127.0.0.1:1\r\nremote = 127.0.0.1:2 ; x\r\nsecurity = none", ""},
    {"[local web]#x\n\n  listen =127.0.0.1:1\t; x ; y\n  remote= 127.0.0.1:2\n  security=none ;\n",
     ""},
    {LOCAL REMOTE "[local " NAME_64 "]\nlisten=127.0.0.1:1\nremote=127.0.0.1:1\nsecurity=none\n",
     ""},

    /* What is not. */
    {"workers = 1\n" LOCAL,
     "t.ini:1: workers: stands before the first section; accepted: keys below " HEADERS "\n"},
    {"hello\n" LOCAL, "t.ini:1: not understood; accepted: KEY = VALUE\n"},
    {LOCAL "hello\n= x\nlog level = info\n  grace\n",
     "t.ini:5: [local web]: not understood; accepted: KEY = VALUE\n"
     "t.ini:6: [local web]: not understood; accepted: KEY = VALUE\n"
     "t.ini:7: [local web]: not understood; accepted: KEY = VALUE\n"
     "t.ini:8: [local web]: not understood; accepted: KEY = VALUE\n"},
    /* A key that was not understood is not also called missing. */
    {"[local web]\nlisten 127.0.0.1:80\nremote ; = 127.0.0.1:7000\nsecurity none\n",
     "t.ini:2: [local web]: not understood; accepted: KEY = VALUE\n"
     "t.ini:3: [local web]: not understood; accepted: KEY = VALUE\n"
     "t.ini:4: [local web]: not understood; accepted: KEY = VALUE\n"},
    {"[local web]\nlisten = " HUNDRED HUNDRED "\nremote = 127.0.0.1:7000\nsecurity = none",
     "t.ini:2: [local web]: the line is too long; accepted: at most 197 bytes, any length only for "
     "comments\n"},
    {"[local web\n" LOCAL,
     "t.ini:1: a section's header is not understood; accepted: " HEADERS " alone in its line\n"},
    {"[]\n[  ]\n[local a] listen = 127.0.0.1:1\n",
     "t.ini:1: a section's header is not understood; accepted: " HEADERS " alone in its line\n"
     "t.ini:2: a section's header is not understood; accepted: " HEADERS " alone in its line\n"
     "t.ini:3: a section's header is not understood; accepted: " HEADERS " alone in its line\n"},
    /* Keys below such a header are passed over, but not lines that are none. */
    {"[local web\nfoo = bar\nbar\n" LOCAL,
     "t.ini:1: a section's header is not understood; accepted: " HEADERS " alone in its line\n"
     "t.ini:3: not understood; accepted: KEY = VALUE\n"},
};

START_TEST(syntax_mistakes)
{
    config_file_refuse(syntax[_i].text, syntax[_i].errors);
}
END_TEST

/* ---- sections -------------------------------------------------------------------------------- */

static const struct mistake sections[] = {
    {"", "t.ini:1: the file ends without a tunnel; accepted: at least one section [local NAME] or "
         "[remote NAME]\n"},
    {"[braidd]\nworkers = 1\n; end\n",
     "t.ini:3: the file ends without a tunnel; accepted: at least one section [local NAME] or "
     "[remote NAME]\n"},
    {"[locl web]\nlisten = 127.0.0.1:80\n",
     "t.ini:1: [locl web]: unknown section, did you mean [local NAME]?; accepted: " HEADERS "\n"},
    {LOCAL "[tunnel web]\nx = y\n[web]\n[Remote b]\n[braid]\n",
     "t.ini:5: [tunnel web]: unknown section; accepted: " HEADERS "\n"
     "t.ini:7: [web]: unknown section; accepted: " HEADERS "\n"
     "t.ini:8: [Remote b]: unknown section, did you mean [remote NAME]?; accepted: " HEADERS "\n"
     "t.ini:9: [braid]: unknown section, did you mean [braidd]?; accepted: " HEADERS "\n"},
    {"[local]\nlisten = 127.0.0.1:8080\nremote = 127.0.0.1:7000\nsecurity = none\n",
     "t.ini:1: [local]: has no name; accepted: [local NAME]\n"},
    {"[remote]\nlisten = 127.0.0.1:8080\ntarget = 127.0.0.1:7000\nsecurity = none\n",
     "t.ini:1: [remote]: has no name; accepted: [remote NAME]\n"},
    {LOCAL "[braidd main]\n", "t.ini:5: [braidd main]: has a name; accepted: [braidd]\n"},
    {"[local a b]\nlisten = 127.0.0.1:8080\nremote = 127.0.0.1:7000\nsecurity = none\n",
     "t.ini:1: [local a b]: the name is too long or has other bytes than A-Z a-z 0-9 _ . -; "
     "accepted: 1 to 64 of these\n"},
    {"[local w\xc3\xbc]\nlisten = 127.0.0.1:8080\nremote = 127.0.0.1:7000\nsecurity = none\n",
     "t.ini:1: [local w\xc3\xbc]: the name is too long or has other bytes than A-Z a-z 0-9 _ . -; "
     "accepted: 1 to 64 of these\n"},
    {"[local " NAME_64 "a]\nlisten = 127.0.0.1:1\nremote = 127.0.0.1:7000\nsecurity = none\n",
     "t.ini:1: [local " NAME_64 "a]: the name is too long or has other bytes than A-Z a-z 0-9 _ . "
     "-; accepted: 1 to 64 of these\n"},
    {LOCAL "[local  web]\nlisten = 127.0.0.1:1\nremote = 127.0.0.1:2\nsecurity = none\n",
     "t.ini:5: [local web]: a second section of this name, after line 1; accepted: once in a "
     "file\n"},
    {REMOTE REMOTE,
     "t.ini:5: [remote web]: a second section of this name, after line 1; accepted: once in a "
     "file\n"
     "t.ini:6: [remote web] listen: \"127.0.0.1:7000\" is listened on already, in line 2; "
     "accepted: an address once in the file\n"},
    {"[braidd]\ncontrol = /a\n[braidd]\ncontrol = /b\n" LOCAL,
     "t.ini:3: [braidd]: a second section of this name, after line 1; accepted: once in a file\n"},
    {LOCAL REMOTE, ""},
    {LOCAL "[path dsl]\n", ""},
    {LOCAL "[path]\n", "t.ini:5: [path]: has no name; accepted: [path NAME]\n"},
    {LOCAL "[pth dsl]\n",
     "t.ini:5: [pth dsl]: unknown section, did you mean [path NAME]?; accepted: " HEADERS "\n"},
    {"[path dsl]\nfoo = bar\n",
     "t.ini:2: [path dsl] foo: unknown key; accepted: " PATH_KEYS "\n"
     "t.ini:2: the file ends without a tunnel; accepted: at least one section [local NAME] or "
     "[remote NAME]\n"},
};

START_TEST(section_mistakes)
{
    config_file_refuse(sections[_i].text, sections[_i].errors);
}
END_TEST

/* ---- keys ------------------------------------------------------------------------------------ */

static const struct mistake keys[] = {
    {LOCAL "graze = 1s\n",
     "t.ini:5: [local web] graze: unknown key, did you mean grace?; accepted: " LOCAL_KEYS "\n"},
    {LOCAL "Mode = aggregate\nsub-flows = 3\nfoo = bar\n",
     "t.ini:5: [local web] Mode: unknown key, did you mean mode?; accepted: " LOCAL_KEYS "\n"
     "t.ini:6: [local web] sub-flows: unknown key, did you mean subflows?; accepted: " LOCAL_KEYS
     "\n"
     "t.ini:7: [local web] foo: unknown key; accepted: " LOCAL_KEYS "\n"},
    {LOCAL "target = 127.0.0.1:80\nworkers = 3\n",
     "t.ini:5: [local web] target: unknown key, it belongs to [remote NAME]; accepted: " LOCAL_KEYS
     "\n"
     "t.ini:6: [local web] workers: unknown key, it belongs to [braidd]; accepted: " LOCAL_KEYS
     "\n"},
    {REMOTE "grace = 60s\n",
     "t.ini:5: [remote web] grace: unknown key, it belongs to [local NAME]; accepted: " REMOTE_KEYS
     "\n"},
    {LOCAL "protocol = seed\nbare-end = yes\n" REMOTE "accept-seed = yes\nbare-end = yes\n", ""},
    {LOCAL "protocol = seed\nmode = redundant\n" REMOTE "protocol = seed\n",
     "t.ini:6: [local web] mode: the peer cannot be told with protocol = seed; accepted: "
     "aggregate\n"},
    {"[local web]\nlisten = unix:/c\nremote = unix:/a\nsecurity = none\nprotocol = seed\n"
     "[remote web]\nlisten = unix:/b\nlisten = 127.0.0.1:1\ntarget = unix:/d\nsecurity = none\n"
     "protocol = seed\n",
     "t.ini:3: [local web] remote: \"unix:/a\" cannot carry protocol = seed; accepted: addresses "
     "with a port\n"
     "t.ini:7: [remote web] listen: \"unix:/b\" cannot carry protocol = seed; accepted: addresses "
     "with a port\n"},
    {LOCAL "protocol = mptcp\n" REMOTE "accept-seed = perhaps\n",
     "t.ini:5: [local web] protocol: \"mptcp\": no such protocol; accepted: braid or seed\n"
     "t.ini:10: [remote web] accept-seed: \"perhaps\": neither yes nor no; accepted: yes or no\n"},
    {"[braidd]\nloglevel = info\n" LOCAL,
     "t.ini:2: [braidd] loglevel: unknown key, did you mean log-level?; accepted: workers, "
     "control, user, log-level, max-sessions, max-memory, max-sessions-per-key, max-half-open, "
     "max-half-open-per-source, max-half-open-memory, hello-time, max-join-failures\n"},
    {"[local web]\n",
     "t.ini:1: [local web] listen: missing; accepted: " ADDRESS "\n"
     "t.ini:1: [local web] remote: missing; accepted: name.example:80, " ADDRESS "\n"
     "t.ini:1: [local web] " NO_KEY},
    {"; a\n[remote web]\n; b\n",
     "t.ini:2: [remote web] listen: missing; accepted: " ADDRESS "\n"
     "t.ini:2: [remote web] target: missing; accepted: name.example:80, " ADDRESS "\n"
     "t.ini:2: [remote web] " NO_KEY},
    /* What is misspelt, or has a bad value, is not also called missing. */
    {"[remote web]\nlisen = 127.0.0.1:1\ntarget = localhost\nsecurity = tls\n",
     "t.ini:2: [remote web] lisen: unknown key, did you mean listen?; accepted: " REMOTE_KEYS "\n"
     "t.ini:3: [remote web] target: \"localhost\": the port is missing: HOST:PORT is expected; "
     "accepted: name.example:80, " ADDRESS "\n"
     "t.ini:4: [remote web] security: \"tls\": no such security; accepted: none\n"},
    {LOCAL "security = none\n",
     "t.ini:5: [local web] security: set a second time, after line 4; accepted: once in a "
     "section\n"},
    {REMOTE "target = 127.0.0.1:81\ntarget = x\n",
     "t.ini:5: [remote web] target: set a second time, after line 3; accepted: once in a section\n"
     "t.ini:6: [remote web] target: set a second time, after line 3; accepted: once in a "
     "section\n"},
    {"[braidd]\nworkers = 0\nworkers = 1\n" LOCAL,
     "t.ini:2: [braidd] workers: \"0\": out of range; accepted: auto or 1 to 64\n"
     "t.ini:3: [braidd] workers: set a second time, after line 2; accepted: once in a section\n"},
};

START_TEST(key_mistakes)
{
    config_file_refuse(keys[_i].text, keys[_i].errors);
}
END_TEST

/* ---- between keys ---------------------------------------------------------------------------- */

#define TAKEN(LINE, ADDR, FIRST)                                                                   \
    "t.ini:" LINE ": [remote b] listen: \"" ADDR "\" is listened on already, in line " FIRST       \
    "; accepted: an address once in the file\n"
#define B(ADDR) "[remote b]\nlisten = " ADDR "\ntarget = 127.0.0.1:1\nsecurity = none\n"
#define A(ADDR) "[remote a]\nlisten = " ADDR "\ntarget = 127.0.0.1:1\nsecurity = none\n"
#define OPEN "accepted: none with loopback addresses only, or with insecure = yes\n"

static const struct mistake crossed[] = {
    {A("127.0.0.1:80") B("127.0.0.1:80"), TAKEN("6", "127.0.0.1:80", "2")},
    {A("127.0.0.1:80") B("127.0.0.1:0080"), TAKEN("6", "127.0.0.1:0080", "2")},
    {A("[::1]:80") B("[0:0:0:0:0:0:0:1]:80"), TAKEN("6", "[0:0:0:0:0:0:0:1]:80", "2")},
    {A("unix:/x") B("unix:/x"), TAKEN("6", "unix:/x", "2")},
    {B("127.0.0.1:80\nlisten = 127.0.0.1:81\nlisten = 127.0.0.1:80"),
     TAKEN("4", "127.0.0.1:80", "2")},
    {A("127.0.0.1:80") B("127.0.0.1:81"), ""},
    {A("127.0.0.1:80") B("127.0.0.2:80"), ""},
    {A("127.0.0.1:80") B("[::1]:80"), ""},
    {A("unix:/x") B("unix:/y"), ""},
    {A("127.0.0.1:0") B("127.0.0.1:0"), ""},
    {"[braidd]\ncontrol = /x\n" B("unix:/x"),
     "t.ini:4: [remote b] listen: \"unix:/x\" is the control socket already; accepted: another "
     "path\n"},
    {B("unix:/x") "[braidd]\ncontrol = /x/y\n", ""},

    /* security = none */
    {B("0.0.0.0:80"), "t.ini:4: [remote b] security: \"none\" is refused because listen = "
                      "0.0.0.0:80, line 2, is not a loopback address; " OPEN},
    {B("127.0.0.1:80\nlisten = [::]:80\nlisten = 0.0.0.0:80"),
     "t.ini:6: [remote b] security: \"none\" is refused because listen = [::]:80, line 3, is not a "
     "loopback address; " OPEN},
    {B("0.0.0.0:80\ninsecure = no"),
     "t.ini:5: [remote b] security: \"none\" is refused because listen = 0.0.0.0:80, line 2, is "
     "not a loopback address; " OPEN},
    {B("0.0.0.0:80\ninsecure = yes"), ""},
    {B("127.0.0.2:80\nlisten = [::1]:80\nlisten = unix:/x"), ""},
    /* One cause, one line. */
    {B("0.0.0.0:80\ninsecure = ja"),
     "t.ini:3: [remote b] insecure: \"ja\": neither yes nor no; accepted: yes or no\n"},
    /* A target, and the clients' side, may be anywhere. */
    {"[remote b]\nlisten = 127.0.0.1:80\ntarget = 192.0.2.1:80\nsecurity = none\n", ""},
    {"[local a]\nlisten = 0.0.0.0:80\nremote = localhost:7000\nsecurity = none\n", ""},
    {"[local a]\nlisten = 127.0.0.1:80\nremote = 192.0.2.1:7000\nsecurity = none\n",
     "t.ini:4: [local a] security: \"none\" is refused because remote = 192.0.2.1:7000, line 3, is "
     "not a loopback address; " OPEN},
    {"[local a]\nlisten = 127.0.0.1:80\nremote = name.example:7000\nsecurity = none\n",
     "t.ini:4: [local a] security: \"none\" is refused because remote = name.example:7000, line 3, "
     "is not a loopback address; " OPEN},
    {"[local a]\nlisten = 127.0.0.1:80\nremote = name.example:7000\nsecurity = none\n"
     "insecure = yes\n",
     ""},

    /* subflows */
    {LOCAL "subflows = 9\nremote = 127.0.0.1:7001\n",
     "t.ini:5: [local web] subflows: 2 paths have 18 subflows; accepted: at most 16 over "
     "all paths\n"},
    {LOCAL "subflows = 8\nremote = 127.0.0.1:7001\n", ""},
    {"[local a]\nlisten = 127.0.0.1:1\nremote = [::1]:1\nremote = [::1]:2\nremote = [::1]:3\n"
     "remote = [::1]:4\nremote = [::1]:5\nremote = [::1]:6\nremote = [::1]:7\nremote = [::1]:8\n"
     "remote = [::1]:9\nremote = [::1]:10\nremote = [::1]:11\nremote = [::1]:12\n"
     "remote = [::1]:13\nremote = [::1]:14\nremote = [::1]:15\nremote = [::1]:16\n"
     "security = none\n",
     ""},
    {"[local a]\nlisten = 127.0.0.1:1\nremote = [::1]:1\nremote = [::1]:2\nremote = [::1]:3\n"
     "remote = [::1]:4\nremote = [::1]:5\nremote = [::1]:6\nremote = [::1]:7\nremote = [::1]:8\n"
     "remote = [::1]:9\nremote = [::1]:10\nremote = [::1]:11\nremote = [::1]:12\n"
     "remote = [::1]:13\nremote = [::1]:14\nremote = [::1]:15\nremote = [::1]:16\n"
     "remote = [::1]:17\nsecurity = none\n",
     "t.ini:19: [local a] remote: 17 paths have 17 subflows; accepted: at most 16 over "
     "all paths\n"},
};

START_TEST(crossed_mistakes)
{
    config_file_refuse(crossed[_i].text, crossed[_i].errors);
}
END_TEST

/* All passes at once, told in the order of the file. */
START_TEST(all_mistakes_are_told)
{
    config_file_refuse(
        "[local web]\nlisten = 127.0.0.1:80\nremote = 192.0.2.1:1\nsecurity = none\ngrace = 1\n"
        "[remote web]\nlisten = 127.0.0.1:80\nsecurity = none\nhello\n[braidd]\nmetrics = x\n",
        "t.ini:4: [local web] security: \"none\" is refused because remote = 192.0.2.1:1, line 3, "
        "is not a loopback address; " OPEN
        "t.ini:5: [local web] grace: \"1\": has no unit; accepted: 0 to 3600s, as 500ms, 60s, 2m "
        "or 1h\n"
        "t.ini:6: [remote web] target: missing; accepted: name.example:80, " ADDRESS "\n"
        "t.ini:7: [remote web] listen: \"127.0.0.1:80\" is listened on already, in line 2; "
        "accepted: an address once in the file\n"
        "t.ini:9: [remote web]: not understood; accepted: KEY = VALUE\n"
        "t.ini:11: [braidd] metrics: not supported yet; accepted: leave it out\n");
}
END_TEST

/* ---- files ----------------------------------------------------------------------------------- */

static void refuse_file(const char *file, const char *expected)
{
    char *errors = config_file_read(file, NULL);

    ck_assert_str_eq(errors, expected);
    free(errors);
}

START_TEST(files_that_cannot_be_read)
{
    refuse_file("missing.ini", "missing.ini: cannot be opened: No such file or directory\n");
    refuse_file(".", ".: cannot be read: Is a directory\n");
    refuse_file("/dev/zero", "/dev/zero:1: byte 0x00, so this is not a text file; accepted: an INI "
                             "file\n");
}
END_TEST

/* As root's modes stop nobody, root becomes somebody else for it. */
START_TEST(file_without_permission)
{
    bool root = geteuid() == 0;

    config_file_write(LOCAL, strlen(LOCAL));
    ck_assert_int_eq(chmod(".", 0755), 0);
    ck_assert_int_eq(chmod("t.ini", 0), 0);
    if (root)
        ck_assert_int_eq(seteuid(65534), 0);
    refuse_file("t.ini", "t.ini: cannot be opened: Permission denied\n");
    if (root)
        ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(binary_files)
{
    static const char nul[] = LOCAL "grace = 1\0s\n";
    static const char utf16[] = "\xff\xfe[\0l\0o\0";
    static const char escape[] = LOCAL "; \033[31mred\n";

    config_file_write(nul, sizeof(nul) - 1);
    refuse_file("t.ini", "t.ini:5: byte 0x00, so this is not a text file; accepted: an INI file\n");
    config_file_write(utf16, sizeof(utf16) - 1);
    refuse_file("t.ini", "t.ini:1: byte 0x00, so this is not a text file; accepted: an INI file\n");
    config_file_write(escape, sizeof(escape) - 1);
    refuse_file("t.ini", "t.ini:5: byte 0x1b, so this is not a text file; accepted: an INI file\n");
    refuse_file("/proc/self/exe", "/proc/self/exe:1: byte 0x7f, so this is not a text file; "
                                  "accepted: an INI file\n");
}
END_TEST

/* A line of n bytes: a key and a comment. */
static void write_long(size_t n)
{
    char text[512] = LOCAL "grace = 1s ; ";
    size_t start = strlen(LOCAL);

    memset(text + strlen(text), 'x', n - (strlen(text) - start));
    text[start + n] = '\0';
    config_file_write(text, strlen(text));
}

START_TEST(lines_have_a_limit)
{
    char *errors;

    write_long(197);
    errors = config_file_read("t.ini", NULL);
    ck_assert_str_eq(errors, "");
    free(errors);
    for (size_t n = 198; n < 205; n++) {
        write_long(n);
        refuse_file("t.ini", "t.ini:5: [local web]: the line is too long; accepted: at most 197 "
                             "bytes, any length only for comments\n");
    }
}
END_TEST

START_TEST(files_have_a_limit)
{
    const size_t limit = 1048576;
    char *text = malloc(limit + 1);
    char *errors;

    ck_assert_ptr_nonnull(text);
    memset(text, '\n', limit + 1);
    memcpy(text, LOCAL, strlen(LOCAL));
    config_file_write(text, limit);
    errors = config_file_read("t.ini", NULL);
    ck_assert_str_eq(errors, "");
    free(errors);
    config_file_write(text, limit + 1);
    errors = config_file_read("t.ini", NULL);
    ck_assert_ptr_nonnull(strstr(errors, ": the file is too large; accepted: at most 1048576 "
                                         "bytes\n"));
    free(errors);
    free(text);
}
END_TEST

/* Any text at all: each line of it is a mistake, and the telling ends at some time. */
START_TEST(mistakes_have_a_limit)
{
    char text[3 * 1200];
    char *errors;
    unsigned lines = 0;

    for (size_t i = 0; i < sizeof(text); i += 3)
        memcpy(text + i, "ab\n", 3);
    config_file_write(text, sizeof(text));
    errors = config_file_read("t.ini", NULL);
    for (const char *p = errors; *p != '\0'; p++)
        lines += *p == '\n';
    ck_assert_uint_eq(lines, 1001);
    ck_assert_ptr_nonnull(strstr(errors, "\nt.ini:1000: not understood; accepted: KEY = VALUE\n"
                                         "t.ini: more mistakes follow; only the first 1000 that "
                                         "were found are told\n"));
    free(errors);
}
END_TEST

/* Whatever the bytes are: an answer, no crash, no leak. A fixed seed, so that it can be repeated.
 */
START_TEST(garbage_is_refused)
{
    static const char alphabet[] = "[]=;#: \t\n\rlocaremt0123:.\xff\xc3";
    unsigned seed = (unsigned)_i + 1;
    char text[2048];
    char *errors;
    struct config *config;

    for (size_t i = 0; i < sizeof(text); i++) {
        seed = seed * 1103515245 + 12345;
        text[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
    }
    config_file_write(text, sizeof(text));
    errors = config_file_read("t.ini", &config);
    ck_assert_ptr_null(config);
    ck_assert_ptr_nonnull(strstr(errors, "; accepted: "));
    free(errors);
}
END_TEST

#define COUNT(ARRAY) (int)(sizeof(ARRAY) / sizeof(*(ARRAY)))

int main(void)
{
    Suite *suite = suite_create("config errors");
    TCase *tc = tcase_create("mistakes");
    SRunner *runner;
    int failed;

    tcase_add_unchecked_fixture(tc, config_file_setup, config_file_teardown);
    tcase_add_loop_test(tc, syntax_mistakes, 0, COUNT(syntax));
    tcase_add_loop_test(tc, section_mistakes, 0, COUNT(sections));
    tcase_add_loop_test(tc, key_mistakes, 0, COUNT(keys));
    tcase_add_loop_test(tc, crossed_mistakes, 0, COUNT(crossed));
    tcase_add_test(tc, all_mistakes_are_told);
    tcase_add_test(tc, files_that_cannot_be_read);
    tcase_add_test(tc, file_without_permission);
    tcase_add_test(tc, binary_files);
    tcase_add_test(tc, lines_have_a_limit);
    tcase_add_test(tc, files_have_a_limit);
    tcase_add_test(tc, mistakes_have_a_limit);
    tcase_add_loop_test(tc, garbage_is_refused, 0, 50);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
