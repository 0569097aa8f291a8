/* SPDX-License-Identifier: MIT */
/*
 * The text of an INI file as sections and entries, each with its line.
 *
 * It knows the syntax, not the keys: which of them there are, and what they accept, is
 * config_table.h's. What could not be read has been reported, and stays in the document without
 * a value, so that nobody goes on to call it missing.
 */
#ifndef BRAIDD_CONFIG_INI_H
#define BRAIDD_CONFIG_INI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct config_report;

/* KEY = VALUE */
struct config_ini_entry {
    unsigned line;
    char *key;
    char *value; /* NULL: of no use, and reported */
};

/* [KIND] or [KIND NAME] */
struct config_ini_section {
    unsigned line;
    char *header; /* "KIND NAME", as messages show it */
    char *kind;   /* NULL: the header was of no use, and reported */
    char *name;   /* NULL: none */
    struct config_ini_entry *entries;
    size_t count;
};

struct config_ini {
    struct config_ini_section *sections;
    size_t count;
    unsigned lines; /* of the file */
};

/*
 * Reads a stream; ini is filled in as far as that went, for config_ini_clear().
 *
 * Returns whether the end was reached: if not (no text, an error, no memory, all of them reported)
 * the document is of no use.
 */
bool config_ini_read(struct config_ini *ini, FILE *stream, struct config_report *report);

/* Frees what a document holds. */
void config_ini_clear(struct config_ini *ini);

/* The first entry of that key in a section, or NULL. */
const struct config_ini_entry *config_ini_find(const struct config_ini_section *section,
                                               const char *key);

/* The section whose header stands in that line; there must be one. */
const struct config_ini_section *config_ini_section_at(const struct config_ini *ini, unsigned line);

#endif
