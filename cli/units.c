/* SPDX-License-Identifier: MIT */
#include "cli/units.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

/* Three digits: "1.23", "12.3", "123". What would round up to another digit gets fewer decimals. */
static const char *three_digits(double value, const char *unit, char *text)
{
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;

    snprintf(text, UNITS_TEXT, "%.*f %s", decimals, value, unit);
    return text;
}

/* The value in the largest unit that leaves at least 1 before the point. */
static const char *scaled(uint64_t number, double step, const char *const *units, size_t count,
                          char *text)
{
    double value = (double)number;
    size_t i = 0;

    while (i + 1 < count && value >= step - 0.5) {
        value /= step;
        i++;
    }
    if (i == 0) {
        snprintf(text, UNITS_TEXT, "%" PRIu64 " %s", number, units[0]);
        return text;
    }
    return three_digits(value, units[i], text);
}

const char *units_bytes(uint64_t bytes, char *text)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};

    return scaled(bytes, 1024, units, sizeof(units) / sizeof(units[0]), text);
}

const char *units_rate(uint64_t bytes_per_second, char *text)
{
    static const char *const units[] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"};
    uint64_t bits = bytes_per_second > UINT64_MAX / 8 ? UINT64_MAX : bytes_per_second * 8;

    return scaled(bits, 1000, units, sizeof(units) / sizeof(units[0]), text);
}

const char *units_latency(uint64_t microseconds, char *text)
{
    static const char *const units[] = {"us", "ms", "s"};

    return scaled(microseconds, 1000, units, sizeof(units) / sizeof(units[0]), text);
}

const char *units_age(uint64_t microseconds, char *text)
{
    uint64_t seconds = microseconds / 1000000;
    uint64_t minutes = seconds / 60;
    uint64_t hours = minutes / 60;

    if (minutes == 0) {
        snprintf(text, UNITS_TEXT, "%" PRIu64 "s", seconds);
    } else if (hours == 0) {
        snprintf(text, UNITS_TEXT, "%" PRIu64 "m %02" PRIu64 "s", minutes, seconds % 60);
    } else if (hours < 24) {
        snprintf(text, UNITS_TEXT, "%" PRIu64 "h %02" PRIu64 "m", hours, minutes % 60);
    } else {
        snprintf(text, UNITS_TEXT, "%" PRIu64 "d %02" PRIu64 "h", hours / 24, hours % 24);
    }
    return text;
}
