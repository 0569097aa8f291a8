/* SPDX-License-Identifier: MIT */
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <braid/braid.h>

#include "daemon/config.h"
#include "daemon/config_table.h"
#include "daemon/config_value.h"
#include "daemon/log.h"

static const char no_memory[] = "out of memory";
static const char out_of_range[] = "out of range";

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

/* A unit and what it multiplies by. */
struct unit {
    const char *name;
    uint64_t times;
};

/* Reads a whole number of at most `digits` digits with one of the units. */
static const char *read_quantity(const char *text, size_t digits, const struct unit *units,
                                 size_t count, uint64_t *value)
{
    size_t n = strspn(text, "0123456789");

    if (n == 0)
        return "not a number";
    if (n > digits)
        return out_of_range;
    *value = strtoull(text, NULL, 10);
    text += n;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, units[i].name) == 0) {
            *value *= units[i].times;
            return NULL;
        }
    }
    return *text == '\0' ? "has no unit" : "unknown unit";
}

/* Bytes of memory that the machine has. */
static uint64_t machine_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long size = sysconf(_SC_PAGESIZE);

    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

const char *config_value_memory(const struct config_key *key, const char *text, void *field)
{
    static const struct unit units[] = {{"mib", UINT64_C(1) << 20},
                                        {"gib", UINT64_C(1) << 30},
                                        {"tib", UINT64_C(1) << 40},
                                        {"%", 1}};
    uint64_t *value = field;
    uint64_t number = 0;
    const char *why = read_quantity(text, 6, units, sizeof(units) / sizeof(*units), &number);

    (void)key;
    if (why != NULL)
        return why;
    if (text[strlen(text) - 1] != '%') {
        if (number < UINT64_C(16) << 20)
            return out_of_range;
        *value = number;
        return NULL;
    }
    if (number < 1 || number > 100)
        return out_of_range;
    *value = machine_memory() / 100 * number;
    return *value > 0 ? NULL : "the machine does not tell how much memory it has";
}

const char *config_value_rate(const struct config_key *key, const char *text, void *field)
{
    static const struct unit units[] = {
        {"bit", 1}, {"kbit", 1000}, {"mbit", 1000000}, {"gbit", 1000000000}};
    uint64_t *value = field;
    uint64_t number = 0;
    const char *why = read_quantity(text, 9, units, sizeof(units) / sizeof(*units), &number);

    (void)key;
    if (why != NULL)
        return why;
    if (number < 8000 || number > UINT64_C(1000000000000))
        return out_of_range;
    *value = number / 8;
    return NULL;
}

/* Keeps a copy of a text. */
static const char *keep(char **value, const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL)
        return no_memory;
    free(*value);
    *value = copy;
    return NULL;
}

/* Whether a path takes that text as a value; the library knows what can be one. */
static const char *try_on_path(int (*set)(struct braid_path *, const char *), const char *text,
                               const char *why, char **value)
{
    struct braid_path *path = braid_path_new("");
    bool taken = path != NULL && set(path, text) == 0;

    if (path == NULL)
        return no_memory;
    braid_path_free(path);
    return taken ? keep(value, text) : why;
}

const char *config_value_interface(const struct config_key *key, const char *text, void *field)
{
    (void)key;
    return try_on_path(braid_path_set_interface, text, "not the name of an interface", field);
}

const char *config_value_source(const struct config_key *key, const char *text, void *field)
{
    (void)key;
    return try_on_path(braid_path_set_source, text, "not an address without a port", field);
}

const char *config_value_congestion(const struct config_key *key, const char *text, void *field)
{
    (void)key;
    return try_on_path(braid_path_set_congestion_control, text, "not a name", field);
}

/* Appends a copy of the first n bytes. */
static bool append_name(struct config_names *names, const char *text, size_t n)
{
    char **at = reallocarray(names->at, names->count + 1, sizeof(char *));

    if (at == NULL)
        return false;
    names->at = at;
    at[names->count] = strndup(text, n);
    if (at[names->count] == NULL)
        return false;
    names->count++;
    return true;
}

const char *config_value_names(const struct config_key *key, const char *text, void *field)
{
    struct config_names *names = field;
    size_t n;

    (void)key;
    for (text += strspn(text, " \t"); *text != '\0'; text += strspn(text, " \t")) {
        n = strcspn(text, " \t");
        if (!append_name(names, text, n))
            return no_memory;
        text += n;
    }
    return names->count > 0 ? NULL : "no names";
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

const char *config_value_user(const struct config_key *key, const char *text, void *field)
{
    struct config_user *user = field;
    struct passwd *found = NULL;
    struct passwd entry;
    char strings[4096];

    (void)key;
    if (*text == '\0')
        return "no user";
    if (strcmp(text, "none") == 0)
        return NULL;
    (void)getpwnam_r(text, &entry, strings, sizeof(strings), &found);
    if (found == NULL)
        return "no such user";
    user->uid = entry.pw_uid;
    user->gid = entry.pw_gid;
    return keep(&user->name, text);
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
    if (strcmp(text, "aggregate") == 0)
        *value = CONFIG_AGGREGATE;
    else if (strcmp(text, "redundant") == 0)
        *value = CONFIG_REDUNDANT;
    else if (strcmp(text, "backup") == 0)
        *value = CONFIG_BACKUP;
    else
        return "no such mode";
    return NULL;
}

const char *config_value_protocol(const struct config_key *key, const char *text, void *field)
{
    bool *seed = field;

    (void)key;
    *seed = strcmp(text, "seed") == 0;
    return *seed || strcmp(text, "braid") == 0 ? NULL : "no such protocol";
}

const char *config_value_priority(const struct config_key *key, const char *text, void *field)
{
    enum config_priority *value = field;

    (void)key;
    if (strcmp(text, "auto") == 0)
        *value = CONFIG_PRIORITY_AUTO;
    else if (strcmp(text, "primary") == 0)
        *value = CONFIG_PRIMARY;
    else if (strcmp(text, "backup") == 0)
        *value = CONFIG_BACKUP_PATH;
    else
        return "no such priority";
    return NULL;
}

const char *config_value_file(const struct config_key *key, const char *text, void *field)
{
    char **value = field;

    (void)key;
    if (*text != '/')
        return "not an absolute path";
    *value = strdup(text);
    return *value != NULL ? NULL : no_memory;
}

/* Appends a text; its line is filled in by who knows it. */
static const char *append_text(struct config_texts *list, const char *text)
{
    char **at = reallocarray(list->at, list->count + 1, sizeof(char *));
    unsigned *lines;

    if (at == NULL)
        return no_memory;
    list->at = at;
    lines = reallocarray(list->lines, list->count + 1, sizeof(*lines));
    if (lines == NULL)
        return no_memory;
    list->lines = lines;
    lines[list->count] = 0;
    at[list->count] = strdup(text);
    return at[list->count] != NULL ? (list->count++, NULL) : no_memory;
}

const char *config_value_files(const struct config_key *key, const char *text, void *field)
{
    (void)key;
    return *text == '/' ? append_text(field, text) : "not an absolute path";
}

const char *config_value_peer(const struct config_key *key, const char *text, void *field)
{
    (void)key;
    if (!braid_name_is_valid(text))
        return "no name that a certificate could bear";
    return append_text(field, text);
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
