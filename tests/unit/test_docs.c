/* SPDX-License-Identifier: MIT */
/*
 * What conf/ and the man pages say is what the programs know: the same keys in the same order, each
 * with its help, what it accepts and its default; and the same options.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "cli/command_keygen.h"
#include "cli/command_status.h"
#include "daemon/config.h"
#include "daemon/config_table.h"
#include "daemon/options.h"

#define MAX_LINES 1024

/* A file's lines, without their newlines. */
struct lines {
    char *text;
    char *at[MAX_LINES];
    size_t count;
};

static const char *source(const char *path)
{
    static char buf[4096];
    const char *top = getenv("top_srcdir");

    snprintf(buf, sizeof(buf), "%s/%s", top != NULL ? top : ".", path);
    return buf;
}

static void split(struct lines *lines, char *text)
{
    lines->text = text;
    lines->count = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        ck_assert_uint_lt(lines->count, MAX_LINES);
        lines->at[lines->count++] = line;
    }
}

/* Reads a file; empty lines are left out. */
static void read_lines(struct lines *lines, const char *path)
{
    FILE *file = fopen(source(path), "r");
    char *text = calloc(1, 65536);

    ck_assert_msg(file != NULL, "%s is missing", source(path));
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_lt(fread(text, 1, 65536, file), 65535);
    ck_assert_int_eq(fclose(file), 0);
    split(lines, text);
}

/* The supported key that comes after `key` in the table, or its first one; NULL: none of the kind.
 */
static const struct config_key *next_key(enum config_kind kind, const struct config_key *key)
{
    size_t i = key == NULL ? 0 : (size_t)(key - config_table) + 1;

    for (; i < config_table_size; i++)
        if (config_table[i].kind == kind && config_table[i].parse != NULL)
            return &config_table[i];
    return NULL;
}

#define assert_line(LINE, ...)                                                                     \
    do {                                                                                           \
        char expected_[512];                                                                       \
        snprintf(expected_, sizeof(expected_), __VA_ARGS__);                                       \
        ck_assert_str_eq(LINE, expected_);                                                         \
    } while (0)

/* ---- conf/ ----------------------------------------------------------------------------------- */

/* The key that a line sets, or would without its ";"; NULL: none. */
static const char *key_of(const char *line, bool *is_default)
{
    static char key[64];
    size_t n;

    *is_default = *line == ';';
    line += *is_default;
    n = strspn(line, "abcdefghijklmnopqrstuvwxyz-");
    if (n == 0 || n >= sizeof(key) || strncmp(line + n, " =", 2) != 0)
        return NULL;
    memcpy(key, line, n);
    key[n] = '\0';
    return key;
}

/* Reads what stands about one key from line i on; returns the line after it. */
static size_t check_conf_key(const struct lines *lines, size_t i, const struct config_key *key)
{
    bool is_default;
    bool repeated = false;
    const char *name;

    assert_line(lines->at[i++], "; %s.", key->help);
    assert_line(lines->at[i++], "; Accepted: %s.", key->accepted);
    while (i < lines->count && strncmp(lines->at[i], "; ", 2) == 0)
        repeated = strcmp(lines->at[i++], "; It may be repeated.") == 0 || repeated;
    ck_assert_msg(repeated == key->repeatable, "%s", key->name);
    ck_assert_uint_lt(i, lines->count);
    name = key_of(lines->at[i], &is_default);
    ck_assert_msg(name != NULL, "%s", lines->at[i]);
    if (key->fallback == NULL) { /* there is nothing to show: the example sets it, or could */
        ck_assert_str_eq(name, key->name);
        ck_assert(!is_default || !key->required);
        return i + 1;
    }
    assert_line(lines->at[i++], ";%s = %s", key->name, key->fallback);
    name = i < lines->count ? key_of(lines->at[i], &is_default) : NULL;
    if (name != NULL && strcmp(name, key->name) == 0 && !is_default)
        i++; /* the example sets it all the same */
    return i;
}

/* Reads a section from its header at line i on; returns the line after it. */
static size_t check_conf_section(const struct lines *lines, size_t i, enum config_kind kind)
{
    const struct config_key *key = NULL;

    ck_assert_int_eq(
        strncmp(lines->at[i] + 1, config_kinds[kind].name, strlen(config_kinds[kind].name)), 0);
    i++;
    while ((key = next_key(kind, key)) != NULL)
        i = check_conf_key(lines, i, key);
    return i;
}

static const struct {
    const char *path;
    enum config_kind kinds[3];
    size_t kind_count;
} examples[] = {
    {"conf/braidd-local.ini", {CONFIG_KIND_BRAIDD, CONFIG_KIND_LOCAL}, 2},
    {"conf/braidd-remote.ini", {CONFIG_KIND_BRAIDD, CONFIG_KIND_REMOTE}, 2},
    {"conf/braidd-paths.ini", {CONFIG_KIND_BRAIDD, CONFIG_KIND_LOCAL, CONFIG_KIND_PATH}, 3},
};

START_TEST(examples_show_every_key)
{
    struct lines lines;
    size_t i = 0;

    read_lines(&lines, examples[_i].path);
    while (i < lines.count && *lines.at[i] == ';')
        i++;
    for (size_t k = 0; k < examples[_i].kind_count; k++) {
        ck_assert_uint_lt(i, lines.count);
        i = check_conf_section(&lines, i, examples[_i].kinds[k]);
    }
    ck_assert_msg(i == lines.count, "unexpected: %s", lines.at[i]);
    free(lines.text);
}
END_TEST

#define KEY "/etc/braid/web.key"

/* Reads an example, with the key that it names replaced by one that is there. */
static struct config *read_example(const char *path, FILE *errors)
{
    char key[] = "/tmp/braid-key-XXXXXX";
    char copy[] = "/tmp/braid-ini-XXXXXX";
    FILE *key_file = fdopen(mkstemp(key), "w");
    FILE *out = fdopen(mkstemp(copy), "w");
    FILE *in = fopen(source(path), "r");
    struct config *config;
    char line[512];

    ck_assert(key_file != NULL && out != NULL && in != NULL);
    fprintf(key_file, "web %064d\n", 1);
    fclose(key_file);
    while (fgets(line, sizeof(line), in) != NULL) {
        char *at = *line == ';' ? NULL : strstr(line, KEY);

        if (at != NULL)
            fprintf(out, "%.*s%s%s", (int)(at - line), line, key, at + strlen(KEY));
        else
            fputs(line, out);
    }
    fclose(in);
    fclose(out);
    config = config_read(copy, errors);
    unlink(copy);
    unlink(key);
    return config;
}

START_TEST(examples_are_accepted)
{
    char *errors = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&errors, &length);
    struct config *config = read_example(examples[_i].path, out);

    ck_assert_int_eq(fclose(out), 0);
    ck_assert_str_eq(errors, "");
    free(errors);
    ck_assert_uint_eq(config->tunnel_count, 1);
    ck_assert_str_eq(config->tunnels[0].name, "web");
    ck_assert_str_eq(config->control, "/run/braid/control.sock");
    ck_assert_ptr_nonnull(config->tunnels[0].protection);
    config_free(config);
}
END_TEST

/* The two ends of one example. */
START_TEST(examples_fit_together)
{
    struct config *local = read_example(examples[0].path, stderr);
    struct config *remote = read_example(examples[1].path, stderr);

    ck_assert_str_eq(braid_address_text(local->tunnels[0].remote.at[0]),
                     braid_address_text(remote->tunnels[0].listen.at[0]));
    config_free(local);
    config_free(remote);
}
END_TEST

/* ---- braidd.ini(5) --------------------------------------------------------------------------- */

/* Joins the lines of text from *i on up to a macro. */
static const char *paragraph(const struct lines *lines, size_t *i)
{
    static char buf[1024];
    size_t n = 0;

    *buf = '\0';
    for (; *i < lines->count && *lines->at[*i] != '.'; (*i)++)
        n += (size_t)snprintf(buf + n, sizeof(buf) - n, "%s%s", n > 0 ? " " : "", lines->at[*i]);
    return buf;
}

static size_t find_line(const struct lines *lines, size_t i, const char *line)
{
    while (i < lines->count && strcmp(lines->at[i], line) != 0)
        i++;
    ck_assert_msg(i < lines->count, "%s is missing", line);
    return i;
}

/* The next item of a list from line i on; lines->count: the list ends before. */
static size_t next_item(const struct lines *lines, size_t i)
{
    while (i < lines->count && strncmp(lines->at[i], ".It ", 4) != 0) {
        if (strcmp(lines->at[i], ".El") == 0)
            return lines->count;
        i++;
    }
    return i;
}

static void check_man_key(const struct lines *lines, size_t i, const struct config_key *key)
{
    assert_line(lines->at[i++], ".It Ic %s", key->name);
    assert_line(paragraph(lines, &i), "%s.", key->help);
    ck_assert_str_eq(lines->at[i++], ".br");
    assert_line(paragraph(lines, &i), "Accepted: %s.", key->accepted);
    ck_assert_str_eq(lines->at[i++], ".br");
    if (key->required)
        assert_line(paragraph(lines, &i), "Required.%s",
                    key->repeatable ? " May be repeated." : "");
    else
        assert_line(paragraph(lines, &i), "Default: %s.%s",
                    key->fallback != NULL ? key->fallback : key->absent,
                    key->repeatable ? " May be repeated." : "");
}

static const enum config_kind documented[] = {CONFIG_KIND_BRAIDD, CONFIG_KIND_LOCAL,
                                              CONFIG_KIND_REMOTE, CONFIG_KIND_PATH};

START_TEST(man_page_has_every_key)
{
    enum config_kind kind = documented[_i];
    const struct config_key *key = NULL;
    struct lines lines;
    char header[64];
    size_t i;

    read_lines(&lines, "doc/braidd.ini.5");
    snprintf(header, sizeof(header), ".Ss %s", config_kinds[kind].header);
    i = find_line(&lines, 0, header);
    while ((key = next_key(kind, key)) != NULL) {
        i = next_item(&lines, i + 1);
        ck_assert_msg(i < lines.count, "%s %s is missing", header, key->name);
        check_man_key(&lines, i, key);
    }
    i = next_item(&lines, i + 1);
    ck_assert_msg(i == lines.count, "unexpected: %s", lines.at[i]);
    free(lines.text);
}
END_TEST

START_TEST(man_page_has_what_is_not_supported)
{
    struct lines lines;
    size_t i;

    read_lines(&lines, "doc/braidd.ini.5");
    i = find_line(&lines, 0, ".Ss Not supported yet") + 1;
    for (int kind = 0; kind < CONFIG_KINDS; kind++) {
        char names[256] = "";
        char text[256];

        for (size_t k = 0; k < config_table_size; k++)
            if (config_table[k].kind == (enum config_kind)kind && config_table[k].parse == NULL) {
                strcat(names, *names != '\0' ? ", " : "");
                strcat(names, config_table[k].name);
            }
        if (*names == '\0')
            continue;
        i = next_item(&lines, i);
        ck_assert_uint_lt(i, lines.count);
        assert_line(lines.at[i++], ".It Ic %s", config_kinds[kind].header);
        snprintf(text, sizeof(text), "%s", paragraph(&lines, &i));
        text[strcspn(text, ";")] = '\0'; /* values come after it */
        ck_assert_str_eq(text, names);
    }
    free(lines.text);
}
END_TEST

/* ---- options --------------------------------------------------------------------------------- */

static const struct {
    void (*print_help)(FILE *out);
    const char *path;
    unsigned options;
} programs[] = {
    {options_print_help, "doc/braidd.8", 4},
    {command_status_help, "doc/braid.1", 3},
    {command_keygen_help, "doc/braid.1", 2},
};

/* "  -c, --config FILE  ..." in the help is ".It Fl c , Fl -config Ar FILE" in the man page. */
START_TEST(man_pages_have_every_option)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    struct lines help;
    struct lines man;
    unsigned options = 0;

    ck_assert_ptr_nonnull(out);
    programs[_i].print_help(out);
    ck_assert_int_eq(fclose(out), 0);
    split(&help, text);
    read_lines(&man, programs[_i].path);
    for (size_t i = 0; i < help.count; i++) {
        char letter;
        char word[32];
        char argument[16] = "";
        char item[128];
        int n = sscanf(help.at[i], "  -%c, --%31[a-z] %15[A-Z]", &letter, word, argument);

        if (n < 2)
            continue;
        options++;
        snprintf(item, sizeof(item), ".It Fl %c , Fl -%s%s%s", letter, word, n == 3 ? " Ar " : "",
                 argument);
        find_line(&man, 0, item);
    }
    ck_assert_uint_eq(options, programs[_i].options);
    free(help.text);
    free(man.text);
}
END_TEST

#define COUNT(ARRAY) (int)(sizeof(ARRAY) / sizeof(*(ARRAY)))

int main(void)
{
    Suite *suite = suite_create("docs");
    TCase *tc = tcase_create("docs");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tc, examples_show_every_key, 0, COUNT(examples));
    tcase_add_loop_test(tc, examples_are_accepted, 0, COUNT(examples));
    tcase_add_test(tc, examples_fit_together);
    tcase_add_loop_test(tc, man_page_has_every_key, 0, COUNT(documented));
    tcase_add_test(tc, man_page_has_what_is_not_supported);
    tcase_add_loop_test(tc, man_pages_have_every_option, 0, COUNT(programs));
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
