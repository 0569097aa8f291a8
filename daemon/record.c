/* SPDX-License-Identifier: MIT */
#include "daemon/record.h"

#include <string.h>

void record_encode(FILE *out, const char *value)
{
    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;

        if (c <= ' ' || c >= 0x7f || strchr(",=%", c) != NULL) {
            fprintf(out, "%%%02X", c);
        } else {
            putc(c, out);
        }
    }
}

void record_value(FILE *out, const char *name, const char *value)
{
    fprintf(out, " %s=", name);
    record_encode(out, value);
}
