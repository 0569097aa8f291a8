/* SPDX-License-Identifier: MIT */
#include "cli/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MULTIPATH "mptcp"

/* Reads "tcp", "mptcp" or "mptcp.N"; returns what is wrong, or NULL. */
static const char *read_scheme(struct address *address, const char *scheme, size_t len)
{
    const char *number = scheme + strlen(MULTIPATH);
    unsigned value = 0;

    if (len == 3 && memcmp(scheme, "tcp", len) == 0) {
        return NULL;
    }
    if (len < strlen(MULTIPATH) || memcmp(scheme, MULTIPATH, strlen(MULTIPATH)) != 0) {
        return "it begins with tcp:// or mptcp.N://, N subflows";
    }
    address->multipath = true;
    len -= strlen(MULTIPATH);
    if (len == 0) {
        return NULL;
    }
    if (len < 2 || len > 3 || *number != '.') {
        return "it begins with tcp:// or mptcp.N://, N from 1 to 16";
    }
    for (size_t i = 1; i < len; i++) {
        if (number[i] < '0' || number[i] > '9') {
            return "N in mptcp.N:// is a number from 1 to 16";
        }
        value = value * 10 + (unsigned)(number[i] - '0');
    }
    if (value < 1 || value > SUBFLOWS_MAX) {
        return "N in mptcp.N:// is a number from 1 to 16";
    }
    address->subflows = value;
    return NULL;
}

static const char *add_host(struct address *address, const char *host, size_t len)
{
    const char *why = "out of memory";
    char *copy;

    if (address->count == ADDRESS_MAX) {
        return "there are more than 8 hosts";
    }
    if (address->count > 0 && !address->multipath) {
        return "tcp:// takes one host only; several are for mptcp.N://";
    }
    copy = strndup(host, len);
    if (copy == NULL) {
        return why;
    }
    address->list[address->count] = braid_address_new(copy, &why);
    free(copy);
    if (address->list[address->count] == NULL) {
        return why;
    }
    address->count++;
    return NULL;
}

static const char *parse(struct address *address, const char *text)
{
    const char *hosts = strstr(text, "://");
    const char *wrong;

    if (hosts == NULL) {
        return "it begins with tcp:// or mptcp.N://, N subflows";
    }
    wrong = read_scheme(address, text, (size_t)(hosts - text));
    hosts += strlen("://");
    while (wrong == NULL) {
        size_t len = strcspn(hosts, ",");

        wrong = add_host(address, hosts, len);
        if (hosts[len] == '\0') {
            break;
        }
        hosts += len + 1;
    }
    if (wrong == NULL && address->subflows != 0 && address->subflows < address->count) {
        return "it has more hosts than subflows";
    }
    return wrong;
}

int address_parse(struct address *address, const char *text, char *why, size_t size)
{
    const char *wrong;

    memset(address, 0, sizeof(*address));
    wrong = parse(address, text);
    if (wrong == NULL) {
        return 0;
    }
    snprintf(why, size, "\"%s\" is no address: %s", text, wrong);
    address_clear(address);
    return -1;
}

void address_clear(struct address *address)
{
    for (size_t i = 0; i < address->count; i++) {
        braid_address_free(address->list[i]);
    }
    memset(address, 0, sizeof(*address));
}

const char *address_abroad(const struct address *address)
{
    for (size_t i = 0; i < address->count; i++) {
        if (!braid_address_is_loopback(address->list[i])) {
            return braid_address_text(address->list[i]);
        }
    }
    return NULL;
}
