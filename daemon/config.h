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
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <braid/braid.h>

enum config_role {
    CONFIG_LOCAL,  /* [local NAME]: accepts clients, connects to a remote endpoint */
    CONFIG_REMOTE, /* [remote NAME]: accepts subflows, connects to a target */
};

enum config_mode {
    CONFIG_AGGREGATE, /* all paths together */
    CONFIG_REDUNDANT, /* every byte on the two best */
    CONFIG_BACKUP,    /* the first, and the others when it does not work */
};

enum config_priority { CONFIG_PRIORITY_AUTO, CONFIG_PRIMARY, CONFIG_BACKUP_PATH };

enum config_security { CONFIG_SECURITY_UNSET, CONFIG_SECURITY_NONE };

/* A key that may be repeated: the addresses in the order of the file. */
struct config_addresses {
    struct braid_address **at;
    unsigned *lines; /* where each stands, for messages */
    size_t count;
};

/* A key that may be repeated: what was written, in the order of the file. */
struct config_texts {
    char **at;
    unsigned *lines;
    size_t count;
};

/* A key whose value is a list of names. */
struct config_names {
    char **at;
    size_t count;
};

/* A user of the system. */
struct config_user {
    char *name; /* NULL: whoever starts the daemon */
    uid_t uid;
    gid_t gid;
};

/* One [path NAME] section. */
struct config_path {
    char *name;
    unsigned line;   /* of the section's header, for messages */
    char *interface; /* NULL: any */
    char *source;    /* an address without port; NULL: any */
    struct config_addresses remote;
    unsigned subflows; /* 0: as the tunnel says */
    enum config_priority priority;
    uint64_t max_rate;        /* bytes a second; 0: no limit */
    char *congestion_control; /* NULL: the system's default */
};

/* A path as one tunnel uses it. */
struct config_tunnel_path {
    const struct config_path *section; /* NULL: there is none, the remote is all there is to it */
    char name[72];                     /* the section's, or the remote's number */
    struct braid_address *const *remotes;
    const unsigned *lines; /* of the remotes */
    size_t remote_count;
    unsigned subflows;
    bool backup;
};

/* One [local NAME] or [remote NAME] section. */
struct config_tunnel {
    enum config_role role;
    char *name;
    unsigned line; /* of the section's header, for messages */
    struct config_addresses listen;

    enum config_security security;
    bool insecure;
    struct config_texts key; /* files */
    char *certificate;       /* a file, as the next two; NULL: none */
    char *private_key;
    char *ca;
    struct config_texts peer_name;
    struct braid_security *protection; /* what all this says; NULL: nothing protects */
    bool seed;                         /* the seed's format is spoken, and nothing else */
    bool bare_end;

    /* local */
    struct config_addresses remote;
    struct config_names path_names; /* as written; none: all sections */
    struct config_tunnel_path *paths;
    size_t path_count;
    unsigned subflows; /* in all, over the paths; the default follows from their number */
    enum config_mode mode;
    unsigned grace; /* milliseconds */

    /* remote */
    struct braid_address *target;
    unsigned max_subflows;
    bool accept_seed; /* and so is the seed's format */
};

struct config {
    char *file;
    unsigned workers; /* threads, at least 1: "auto" is resolved to the number of processors */
    char *control;    /* path of the control socket; NULL: none */
    struct config_user user;
    enum braid_severity log_level;
    unsigned max_sessions; /* 0: "auto" */
    unsigned max_sessions_per_key;
    uint64_t max_memory; /* bytes */
    unsigned max_half_open;
    unsigned max_half_open_per_source;
    uint64_t max_half_open_memory; /* bytes */
    unsigned hello_time;           /* milliseconds */
    unsigned max_join_failures;    /* a second */
    struct config_path *paths;
    size_t path_count;
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
