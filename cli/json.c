/* SPDX-License-Identifier: MIT */
#include "cli/json.h"

#include <inttypes.h>
#include <stddef.h>

/*
 * The length of the UTF-8 sequence that starts here, 0 when it is none: not cut off, not overlong,
 * no surrogate, not beyond U+10FFFF.
 */
static size_t utf8_length(const unsigned char *s)
{
    static const struct {
        unsigned char first, last, second_from, second_to;
        size_t length;
    } forms[] = {
        {0x00, 0x7f, 0x00, 0xff, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        size_t length = forms[i].length;

        if (s[0] < forms[i].first || s[0] > forms[i].last) {
            continue;
        }
        if (length > 1 && (s[1] < forms[i].second_from || s[1] > forms[i].second_to)) {
            return 0;
        }
        for (size_t j = 2; j < length; j++) {
            if ((s[j] & 0xc0) != 0x80) { /* the terminating zero ends here too */
                return 0;
            }
        }
        return length;
    }
    return 0;
}

static void write_string(FILE *out, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    putc('"', out);
    while (*s != '\0') {
        size_t length = utf8_length(s);

        if (length == 0) {
            fputs("\\ufffd", out);
            s++;
        } else if (*s == '"' || *s == '\\') {
            fprintf(out, "\\%c", *s++);
        } else if (*s < 0x20 || *s == 0x7f) {
            fprintf(out, "\\u%04x", *s++);
        } else {
            fwrite(s, 1, length, out);
            s += length;
        }
    }
    putc('"', out);
}

/* What comes before every value. */
static void lead(struct json *json, const char *key)
{
    if (json->follows) {
        putc(',', json->out);
    }
    json->follows = true;
    if (key != NULL) {
        write_string(json->out, key);
        putc(':', json->out);
    }
}

static void open_with(struct json *json, const char *key, char bracket)
{
    lead(json, key);
    putc(bracket, json->out);
    json->follows = false;
}

static void close_with(struct json *json, char bracket)
{
    putc(bracket, json->out);
    json->follows = true;
}

void json_init(struct json *json, FILE *out)
{
    json->out = out;
    json->follows = false;
}

void json_open_object(struct json *json, const char *key)
{
    open_with(json, key, '{');
}

void json_close_object(struct json *json)
{
    close_with(json, '}');
}

void json_open_array(struct json *json, const char *key)
{
    open_with(json, key, '[');
}

void json_close_array(struct json *json)
{
    close_with(json, ']');
}

void json_string(struct json *json, const char *key, const char *value)
{
    lead(json, key);
    write_string(json->out, value);
}

void json_number(struct json *json, const char *key, uint64_t value)
{
    lead(json, key);
    fprintf(json->out, "%" PRIu64, value);
}
