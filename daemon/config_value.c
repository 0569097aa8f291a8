/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <braid/braid.h>

#include "daemon/config.h"
#include "daemon/config_table.h"
#include "daemon/config_value.h"
#include "daemon/log.h"

static const char no_memory[] = "out of memory";
static const char out_of_range[] = "out of range";
static const char not_yet[] = "not supported yet";

/*
 * Reads the decimal digits that text starts with; *end is what follows them. Numbers of more than
 * nine digits are beyond every range here, and read as the largest.
 */
static bool read_digits(const char *text, uint64_t *number, const char **end)
{
    size_t n = strspn(text, "0123456789");

    *number = 0;
    *end = text + n;
    for (size_t i = 0; i < n; i++)
        *number = *number > UINT32_MAX ? *number : *number * 10 + (uint64_t)(text[i] - '0');
    return n > 0;
}

static const char *store(const struct config_key *key, uint64_t number, void *field)
{
    unsigned *value = field;

    if (number < key->min || number > key->max)
        return out_of_range;
    *value = (unsigned)number;
    return NULL;
}

const char *config_value_number(const struct config_key *key, const char *text, void *field)
{
    const char *end;
    uint64_t number;

    if (!read_digits(text, &number, &end) || *end != '\0')
        return "not a whole number";
    return store(key, number, field);
}

const char *config_value_auto(const struct config_key *key, const char *text, void *field)
{
    unsigned *value = field;

    if (strcmp(text, "auto") != 0)
        return config_value_number(key, text, field);
    *value = 0;
    return NULL;
}

const char *config_value_duration(const struct config_key *key, const char *text, void *field)
{
    static const struct {
        const char *name;
        unsigned milliseconds;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    const char *unit;
    uint64_t number;

    if (!read_digits(text, &number, &unit))
        return "not a time";
    if (*unit == '\0')
        return number == 0 ? store(key, 0, field) : "has no unit";
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
        if (strcmp(unit, units[i].name) == 0)
            return store(key, number * units[i].milliseconds, field);
    return "unknown unit";
}

const char *config_value_flag(const struct config_key *key, const char *text, void *field)
{
    bool *value = field;

    (void)key;
    if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
        return "neither yes nor no";
    *value = *text == 'y';
    return NULL;
}

const char *config_value_socket(const struct config_key *key, const char *text, void *field)
{
    char **value = field;
    char *path = NULL;

    (void)key;
    if (strcmp(text, "none") != 0) {
        if (*text != '/')
            return "not an absolute path";
        if (strlen(text) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
            return "too long for the path of a socket";
        path = strdup(text);
        if (path == NULL)
            return no_memory;
    }
    free(*value);
    *value = path;
    return NULL;
}

const char *config_value_level(const struct config_key *key, const char *text, void *field)
{
    (void)key;
    return log_level_find(text, field) ? NULL : "no such level";
}

const char *config_value_mode(const struct config_key *key, const char *text, void *field)
{
    enum config_mode *value = field;

    (void)key;
    if (strcmp(text, "redundant") == 0 || strcmp(text, "backup") == 0)
        return not_yet;
    if (strcmp(text, "aggregate") != 0)
        return "no such mode";
    *value = CONFIG_AGGREGATE;
    return NULL;
}

const char *config_value_security(const struct config_key *key, const char *text, void *field)
{
    enum config_security *value = field;

    (void)key;
    if (strcmp(text, "none") != 0)
        return "no such security";
    *value = CONFIG_SECURITY_NONE;
    return NULL;
}

static const char *read_address(const char *text, struct braid_address **address)
{
    const char *why = NULL;

    *address = braid_address_new(text, &why);
    if (*address != NULL)
        return NULL;
    return why != NULL ? why : no_memory;
}

/* Appends an address; its line is filled in by who knows it. */
static const char *append(struct config_addresses *list, struct braid_address *address)
{
    struct braid_address **at =
        reallocarray(list->at, list->count + 1, sizeof(struct braid_address *));
    unsigned *lines;

    if (at == NULL)
        goto fail;
    list->at = at;
    lines = reallocarray(list->lines, list->count + 1, sizeof(*lines));
    if (lines == NULL)
        goto fail;
    list->lines = lines;
    lines[list->count] = 0;
    at[list->count++] = address;
    return NULL;
fail:
    braid_address_free(address);
    return no_memory;
}

const char *config_value_listen(const struct config_key *key, const char *text, void *field)
{
    struct braid_address *address;
    const char *why = read_address(text, &address);

    (void)key;
    if (why != NULL)
        return why;
    if (braid_address_is_name(address)) {
        braid_address_free(address);
        return "a host name cannot be listened on";
    }
    return append(field, address);
}

/* Port 0 lets the kernel choose one to listen on; there is nothing to connect to. */
static bool has_port_0(const char *text)
{
    const char *colon = strrchr(text, ':');

    return strncmp(text, "unix:", 5) != 0 && colon != NULL && colon[1] != '\0' &&
           colon[1 + strspn(colon + 1, "0")] == '\0';
}

static const char *read_peer(const char *text, struct braid_address **address)
{
    const char *why = read_address(text, address);

    if (why == NULL && has_port_0(text)) {
        braid_address_free(*address);
        return "port 0 cannot be connected to";
    }
    return why;
}

const char *config_value_remote(const struct config_key *key, const char *text, void *field)
{
    struct braid_address *address;
    const char *why = read_peer(text, &address);

    (void)key;
    return why != NULL ? why : append(field, address);
}

const char *config_value_target(const struct config_key *key, const char *text, void *field)
{
    struct braid_address **value = field;
    struct braid_address *address;
    const char *why = read_peer(text, &address);

    (void)key;
    if (why == NULL)
        *value = address;
    return why;
}
