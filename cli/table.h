/* SPDX-License-Identifier: MIT */
/*
 * A table for people: rows of text under titles, each column as wide as its widest cell.
 *
 * Cells are copied. Control characters in them are shown as "?", since they may come from a peer.
 */
#ifndef BRAID_CLI_TABLE_H
#define BRAID_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table;

struct table_column {
    const char *title;
    bool right; /* aligned to the right: numbers */
};

/* A table without rows; `columns` must stay. NULL: out of memory. */
struct table *table_new(const struct table_column *columns, size_t count);

/* Frees a table; NULL is allowed. */
void table_free(struct table *table);

/* Adds a row, one cell for each column. Returns 0, or -1 when out of memory. */
int table_add_row(struct table *table, const char *const *cells);

/* Adds a line that spans all columns. Returns 0, or -1 when out of memory. */
int table_add_line(struct table *table, const char *text);

/* Adds the titles. Returns 0, or -1 when out of memory. */
int table_add_titles(struct table *table);

/* Writes all of it; no line ends with a space. */
void table_write(const struct table *table, FILE *out);

#endif
