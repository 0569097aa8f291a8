/* SPDX-License-Identifier: MIT */
#include "cli/table.h"

#include <stdlib.h>
#include <string.h>

/* A row; with a single cell, a line across all columns. */
struct row {
    struct row *next;
    size_t count;
    char *cells[];
};

struct table {
    const struct table_column *columns;
    size_t count;
    size_t *widths;
    struct row *first;
    struct row **last;
};

/* Columns on a terminal: one for each character, whatever its number of bytes in UTF-8. */
static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

static char *printable_copy(const char *text)
{
    char *copy = strdup(text);

    for (char *c = copy; c != NULL && *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '?';
        }
    }
    return copy;
}

static void row_free(struct row *row)
{
    for (size_t i = 0; i < row->count; i++) {
        free(row->cells[i]);
    }
    free(row);
}

static int add(struct table *table, const char *const *cells, size_t count)
{
    struct row *row = calloc(1, sizeof(*row) + count * sizeof(row->cells[0]));

    if (row == NULL) {
        return -1;
    }
    for (; row->count < count; row->count++) {
        row->cells[row->count] = printable_copy(cells[row->count]);
        if (row->cells[row->count] == NULL) {
            row_free(row);
            return -1;
        }
    }
    *table->last = row;
    table->last = &row->next;
    return 0;
}

struct table *table_new(const struct table_column *columns, size_t count)
{
    struct table *table = calloc(1, sizeof(*table));

    if (table == NULL) {
        return NULL;
    }
    table->columns = columns;
    table->count = count;
    table->last = &table->first;
    table->widths = calloc(count, sizeof(*table->widths));
    if (table->widths == NULL) {
        free(table);
        return NULL;
    }
    return table;
}

void table_free(struct table *table)
{
    if (table == NULL) {
        return;
    }
    while (table->first != NULL) {
        struct row *row = table->first;

        table->first = row->next;
        row_free(row);
    }
    free(table->widths);
    free(table);
}

int table_add_row(struct table *table, const char *const *cells)
{
    for (size_t i = 0; i < table->count; i++) {
        size_t width = width_of(cells[i]);

        if (table->widths[i] < width) {
            table->widths[i] = width;
        }
    }
    return add(table, cells, table->count);
}

int table_add_line(struct table *table, const char *text)
{
    return add(table, &text, 1);
}

int table_add_titles(struct table *table)
{
    const char **titles = calloc(table->count, sizeof(*titles));
    int result = -1;

    if (titles != NULL) {
        for (size_t i = 0; i < table->count; i++) {
            titles[i] = table->columns[i].title;
        }
        result = table_add_row(table, titles);
        free(titles);
    }
    return result;
}

static void write_row(const struct table *table, const struct row *row, FILE *out)
{
    size_t owed = 0; /* spaces, written only when something follows */

    for (size_t i = 0; i < row->count; i++) {
        size_t width = width_of(row->cells[i]);
        size_t fill = table->widths[i] - width;

        if (i > 0) {
            /* Numbers leave room on their left by themselves. */
            owed += table->columns[i].right ? 1 : 2;
        }
        if (table->columns[i].right) {
            owed += fill;
            fill = 0;
        }
        if (width > 0) {
            fprintf(out, "%*s%s", (int)owed, "", row->cells[i]);
            owed = 0;
        }
        owed += fill;
    }
    putc('\n', out);
}

void table_write(const struct table *table, FILE *out)
{
    for (const struct row *row = table->first; row != NULL; row = row->next) {
        if (row->count == 1 && table->count != 1) {
            fprintf(out, "%s\n", row->cells[0]);
        } else {
            write_row(table, row, out);
        }
    }
}
