/* SPDX-License-Identifier: MIT */
/*
 * inih splits lines into keys and values and takes comments off. All else is done here, in the
 * function that feeds it lines, because inih
 * - tells only the first line that it did not understand: here each is found, as one that was fed
 *   and came to nothing;
 * - cuts a section's name at 50 bytes, does not tell of sections without keys, and does not look
 *   at what follows the bracket: here headers are read, and inih gets an empty line;
 * - takes a line that starts with white space for a continuation of the one before: here it is
 *   taken off;
 * - splits lines that are longer than its buffer: here they are refused.
 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "daemon/config_ini.h"
#include "daemon/config_report.h"
#include "daemon/config_table.h"

#define MAX_FILE 1048576 /* bytes; what is larger is no configuration but a wrong file */
#define MAX_LINE 197     /* bytes: inih's buffer of 200 without the end of the line and of text */

#define NOT_AN_ENTRY "not understood; accepted: KEY = VALUE"
#define OVERLONG "the line is too long; accepted: at most 197 bytes, any length only for comments"

struct reader {
    FILE *stream;
    struct config_ini *ini;
    struct config_report *report;
    size_t bytes;
    bool stop;      /* what comes is of no use, or cannot be read */
    bool pending;   /* inih was given a line that must make an entry, and has not yet */
    char first[32]; /* the word that line starts with: probably the key */
};

enum line_result { LINE_OK, LINE_END, LINE_LONG };

static struct config_ini_section *current_section(struct reader *reader)
{
    struct config_ini *ini = reader->ini;

    return ini->count > 0 ? &ini->sections[ini->count - 1] : NULL;
}

/* Adds an entry to the section that is being read; value NULL: of no use, and reported. */
static void add_entry(struct reader *reader, const char *key, const char *value)
{
    struct config_ini_section *section = current_section(reader);
    struct config_ini_entry entry = {.line = reader->ini->lines};
    struct config_ini_entry *grown;

    if (section == NULL) {
        if (value != NULL)
            config_report_add(
                reader->report, entry.line, NULL, key,
                "stands before the first section; accepted: keys below " CONFIG_HEADERS);
        return;
    }
    entry.key = strdup(key);
    entry.value = value != NULL ? strdup(value) : NULL;
    grown = reallocarray(section->entries, section->count + 1, sizeof(*grown));
    if (grown != NULL)
        section->entries = grown;
    if (grown == NULL || entry.key == NULL || (value != NULL && entry.value == NULL)) {
        free(entry.key);
        free(entry.value);
        config_report_no_memory(reader->report);
        return;
    }
    grown[section->count++] = entry;
}

/* Reports a line that is no entry. Its first word is kept as a key that has no value. */
static void refuse_line(struct reader *reader, const char *why)
{
    const struct config_ini_section *section = current_section(reader);

    config_report_add(reader->report, reader->ini->lines, section != NULL ? section->header : NULL,
                      NULL, "%s", why);
    add_entry(reader, reader->first, NULL);
}

static void note_first_word(struct reader *reader, const char *text)
{
    size_t n = strcspn(text, " \t=:;");

    if (n >= sizeof(reader->first))
        n = sizeof(reader->first) - 1;
    memcpy(reader->first, text, n);
    reader->first[n] = '\0';
}

static int take_entry(void *arg, const char *section, const char *name, const char *value)
{
    struct reader *reader = arg;

    (void)section;
    reader->pending = false;
    if (*name == '\0' || strpbrk(name, " \t") != NULL)
        refuse_line(reader, NOT_AN_ENTRY);
    else
        add_entry(reader, name, value);
    return 1;
}

/* Called when inih is done with the line it was given last: it asks for the next, or the end. */
static void settle(struct reader *reader)
{
    if (reader->pending)
        refuse_line(reader, NOT_AN_ENTRY);
    reader->pending = false;
}

static bool is_binary(int byte)
{
    return byte == 0x7f || (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r');
}

/* Whether a byte can belong to a configuration; if not, the rest would be noise: it is not read. */
static bool accept_byte(struct reader *reader, int byte)
{
    unsigned line = reader->ini->lines;

    if (is_binary(byte))
        config_report_add(reader->report, line, NULL, NULL,
                          "byte 0x%02x, so this is not a text file; accepted: an INI file", byte);
    else if (++reader->bytes > MAX_FILE)
        config_report_add(reader->report, line, NULL, NULL,
                          "the file is too large; accepted: at most %d bytes", MAX_FILE);
    else
        return true;
    reader->stop = true;
    return false;
}

/*
 * Reads a line into buf, without the white space before it and the newline after it. Of a comment
 * only the first byte is kept, so that its length does not matter.
 */
static enum line_result read_line(struct reader *reader, char *buf, size_t size)
{
    unsigned line = ++reader->ini->lines;
    enum line_result result = LINE_OK;
    bool any = false;
    size_t n = 0;
    int c;

    while ((c = getc(reader->stream)) != EOF) {
        any = true;
        if (!accept_byte(reader, c))
            return LINE_END;
        if (c == '\n')
            break;
        if ((n == 0 && isspace(c)) || (n > 0 && (*buf == ';' || *buf == '#')))
            continue;
        if (n + 1 < size)
            buf[n++] = (char)c;
        else
            result = LINE_LONG;
        if (line == 1 && n == 3 && memcmp(buf, "\xef\xbb\xbf", 3) == 0)
            n = 0; /* a byte order mark, which some editors start a file with */
    }
    buf[n] = '\0';
    if (any)
        return result;
    reader->ini->lines--;
    if (ferror(reader->stream)) {
        config_report_add(reader->report, 0, NULL, NULL, "cannot be read: %s", strerror(errno));
        reader->stop = true;
    }
    return LINE_END;
}

static char *trim(char *text)
{
    char *end;

    while (isspace((unsigned char)*text))
        text++;
    end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    *end = '\0';
    return text;
}

/* Fills in kind, name and header from what stands between the brackets. */
static bool split_header(struct config_ini_section *section, char *text)
{
    char *name = text + strcspn(text, " \t");

    if (*name != '\0') {
        *name++ = '\0';
        name = trim(name);
    }
    section->kind = strdup(text);
    section->name = *name != '\0' ? strdup(name) : NULL;
    if (asprintf(&section->header, "%s%s%s", text, *name != '\0' ? " " : "", name) < 0)
        section->header = NULL;
    return section->kind != NULL && section->header != NULL &&
           (*name == '\0' || section->name != NULL);
}

static void free_section(struct config_ini_section *section)
{
    for (size_t i = 0; i < section->count; i++) {
        free(section->entries[i].key);
        free(section->entries[i].value);
    }
    free(section->entries);
    free(section->header);
    free(section->kind);
    free(section->name);
}

/* Starts a section; text NULL: of a header that was of no use, whose keys are passed over. */
static void add_section(struct reader *reader, char *text)
{
    struct config_ini *ini = reader->ini;
    struct config_ini_section section = {.line = ini->lines};
    struct config_ini_section *grown;

    grown = reallocarray(ini->sections, ini->count + 1, sizeof(*grown));
    if (grown == NULL) {
        config_report_no_memory(reader->report);
        return;
    }
    ini->sections = grown;
    if (text != NULL && !split_header(&section, text)) {
        config_report_no_memory(reader->report);
        free_section(&section);
        section = (struct config_ini_section){.line = ini->lines};
    }
    grown[ini->count++] = section;
}

static void take_header(struct reader *reader, char *line)
{
    char *text = line + 1;
    char *end = strchr(text, ']');
    char *rest;

    if (end != NULL) {
        *end = '\0';
        rest = trim(end + 1);
        text = trim(text);
        if (*text != '\0' && (*rest == '\0' || *rest == ';' || *rest == '#')) {
            add_section(reader, text);
            return;
        }
    }
    config_report_add(reader->report, reader->ini->lines, NULL, NULL,
                      "a section's header is not understood; accepted: " CONFIG_HEADERS
                      " alone in its line");
    add_section(reader, NULL);
}

/* inih's reader: fgets(3) in form. */
static char *feed(char *buf, int size, void *arg)
{
    struct reader *reader = arg;
    size_t room = (size_t)size - 1; /* the newline is put back */
    enum line_result result;

    settle(reader);
    if (reader->stop)
        return NULL;
    result = read_line(reader, buf, room < MAX_LINE + 1 ? room : MAX_LINE + 1);
    if (result == LINE_END)
        return NULL;
    if (*buf == '[') {
        take_header(reader, buf);
    } else if (*buf != '\0' && *buf != ';' && *buf != '#') {
        note_first_word(reader, buf);
        if (result == LINE_OK) {
            reader->pending = true;
            return strcat(buf, "\n");
        }
        refuse_line(reader, OVERLONG);
    }
    return strcpy(buf, "\n");
}

bool config_ini_read(struct config_ini *ini, FILE *stream, struct config_report *report)
{
    struct reader reader = {.stream = stream, .ini = ini, .report = report};

    *ini = (struct config_ini){0};
    if (ini_parse_stream(feed, &reader, take_entry, &reader) == -2)
        config_report_no_memory(report);
    return !reader.stop && !report->no_memory;
}

void config_ini_clear(struct config_ini *ini)
{
    for (size_t i = 0; i < ini->count; i++)
        free_section(&ini->sections[i]);
    free(ini->sections);
    *ini = (struct config_ini){0};
}

const struct config_ini_entry *config_ini_find(const struct config_ini_section *section,
                                               const char *key)
{
    for (size_t i = 0; i < section->count; i++)
        if (strcmp(section->entries[i].key, key) == 0)
            return &section->entries[i];
    return NULL;
}

const struct config_ini_section *config_ini_section_at(const struct config_ini *ini, unsigned line)
{
    const struct config_ini_section *section = ini->sections;

    while (section->line != line)
        section++;
    return section;
}
