/* SPDX-License-Identifier: MIT */
/*
 * Every key of a configuration, once: braidd.ini(5), conf/ and all messages are held against this.
 *
 * Defaults are text, applied by reading them as if they stood in the file, so that what the
 * documents say is what happens.
 */
#ifndef BRAIDD_CONFIG_TABLE_H
#define BRAIDD_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/config_value.h"

#define CONFIG_TABLE_MAX 64 /* keys */

/* The sections there are, for messages. */
#define CONFIG_HEADERS "[braidd], [local NAME], [remote NAME] or [path NAME]"

enum config_kind {
    CONFIG_KIND_BRAIDD, /* [braidd], once: fields of struct config */
    CONFIG_KIND_LOCAL,  /* [local NAME]: fields of struct config_tunnel */
    CONFIG_KIND_REMOTE, /* [remote NAME]: fields of struct config_tunnel */
    CONFIG_KIND_PATH,   /* [path NAME]: fields of struct config_path */
    CONFIG_KINDS
};

struct config_kind_info {
    const char *name;   /* the first word of the header */
    const char *header; /* as documents show it */
    bool named;         /* whether a name must follow */
    bool supported;
};

struct config_key {
    enum config_kind kind;
    const char *name;
    config_value_cb parse; /* NULL: not supported yet, and so for all that follows */
    size_t field;          /* offset in the struct of the kind */
    unsigned min;
    unsigned max;
    bool required;
    bool repeatable;
    bool texts; /* it is appended to config_texts; repeatable and not so: to config_addresses */
    bool reloadable;      /* could change while the daemon runs, without an end to its sessions */
    const char *fallback; /* the default; NULL: there is none */
    const char *absent; /* where there is none and it is not required: what that means, in words */
    const char *accepted;
    const char *help; /* one line, without a full stop */
};

extern const struct config_kind_info config_kinds[CONFIG_KINDS];
extern const struct config_key config_table[];
extern const size_t config_table_size;

/* The kind whose headers start with that word; CONFIG_KINDS: none. */
enum config_kind config_kind_find(const char *name);

/* The kind whose name is most like a word that is none; CONFIG_KINDS: none is like it. */
enum config_kind config_kind_nearest(const char *name);

/* The key of that name in sections of a kind, or NULL. */
const struct config_key *config_table_find(enum config_kind kind, const char *name);

/* The supported key of a kind whose name is most like a word that is none; NULL: none is like it.
 */
const struct config_key *config_table_nearest(enum config_kind kind, const char *name);

/* Writes the names of the supported keys of a kind, "a, b, c"; 256 bytes are enough. */
void config_table_names(enum config_kind kind, char *buf, size_t size);

#endif
