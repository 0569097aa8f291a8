/* SPDX-License-Identifier: MIT */
/*
 * The configuration of braidd, read from an INI file (braidd.ini(5)), as plain values.
 *
 * A configuration is read whole and checked whole before anything uses it; from then on it does
 * not change, so every thread may read it.
 */
#ifndef BRAIDD_CONFIG_H
#define BRAIDD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <braid/braid.h>

enum config_role {
    CONFIG_LOCAL,  /* [local NAME]: accepts clients, connects to a remote endpoint */
    CONFIG_REMOTE, /* [remote NAME]: accepts subflows, connects to a target */
};

enum config_mode { CONFIG_AGGREGATE };

enum config_security { CONFIG_SECURITY_UNSET, CONFIG_SECURITY_NONE };

/* A key that may be repeated: the addresses in the order of the file. */
struct config_addresses {
    struct braid_address **at;
    unsigned *lines; /* where each stands, for messages */
    size_t count;
};

/* One [local NAME] or [remote NAME] section. */
struct config_tunnel {
    enum config_role role;
    char *name;
    unsigned line; /* of the section's header, for messages */
    struct config_addresses listen;
    enum config_security security;
    bool insecure;

    /* local */
    struct config_addresses remote;
    unsigned subflows; /* in all; the default follows from the number of paths */
    enum config_mode mode;
    unsigned grace; /* milliseconds */

    /* remote */
    struct braid_address *target;
    unsigned max_subflows;
};

struct config {
    char *file;
    unsigned workers; /* threads, at least 1: "auto" is resolved to the number of processors */
    char *control;    /* path of the control socket; NULL: none */
    enum braid_severity log_level;
    unsigned max_sessions;
    struct config_tunnel *tunnels;
    size_t tunnel_count;
};

/*
 * Reads and checks a configuration file.
 *
 * Every mistake is one line on errors: "FILE:LINE: [SECTION] KEY: what is wrong; accepted: ...".
 * All mistakes of the file are reported, not only the first, in the order of its lines.
 *
 * Returns a configuration for config_free(), or NULL when there was a mistake or no memory.
 */
struct config *config_read(const char *file, FILE *errors);

/* Frees a configuration; NULL is allowed. */
void config_free(struct config *config);

#endif
