/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "units.h"

struct unit {
    const char *name;
    double factor;
};

/* A number and one of the units, up to one that is named "". */
static bool parse(const char *text, const struct unit *units, size_t n, double *value)
{
    char *end = NULL;
    double number;

    if (!isdigit((unsigned char)text[0]))
        return false;
    number = strtod(text, &end);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(end, units[i].name) == 0 && number * units[i].factor < 1e18) {
            *value = number * units[i].factor;
            return true;
        }
    }
    return false;
}

static bool parse_whole(const char *text, const struct unit *units, size_t n, uint64_t *value)
{
    double number;

    if (!parse(text, units, n, &number))
        return false;
    *value = (uint64_t)(number + 0.5);
    return true;
}

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

bool units_rate(const char *text, uint64_t *bits_per_second)
{
    static const struct unit units[] = {{"bit", 1}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}};

    return parse_whole(text, units, COUNT(units), bits_per_second);
}

bool units_time(const char *text, uint64_t *ns)
{
    static const struct unit units[] = {{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};

    return parse_whole(text, units, COUNT(units), ns);
}

bool units_bytes(const char *text, uint64_t *bytes)
{
    static const struct unit units[] = {{"", 1}, {"k", 1024}, {"m", 1024 * 1024}};

    return parse_whole(text, units, COUNT(units), bytes);
}

bool units_count(const char *text, uint64_t *count)
{
    static const struct unit units[] = {{"", 1}};

    return parse_whole(text, units, COUNT(units), count);
}

bool units_share(const char *text, double *share)
{
    static const struct unit units[] = {{"%", 0.01}, {"", 1}};
    double value;

    if (!parse(text, units, COUNT(units), &value) || value > 1)
        return false;
    *share = value;
    return true;
}
