/* SPDX-License-Identifier: MIT */
/*
 * Writes JSON (RFC 8259) as it goes: objects, arrays, strings, and whole numbers.
 *
 * The caller closes what it opens, and gives keys in objects and NULL in arrays. What is written is
 * valid UTF-8 whatever the strings hold: bytes that are not become U+FFFD.
 */
#ifndef BRAID_CLI_JSON_H
#define BRAID_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *out;
    bool follows; /* something of the same object or array was written */
};

void json_init(struct json *json, FILE *out);

void json_open_object(struct json *json, const char *key);
void json_close_object(struct json *json);
void json_open_array(struct json *json, const char *key);
void json_close_array(struct json *json);

void json_string(struct json *json, const char *key, const char *value);
void json_number(struct json *json, const char *key, uint64_t value);

#endif
