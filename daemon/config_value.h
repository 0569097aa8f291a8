/* SPDX-License-Identifier: MIT */
/*
 * The types of values a configuration has: each reads a text into a field.
 *
 * All of them return NULL when the field was set, else a static string that says what is wrong
 * with the text; the field is then as it was.
 */
#ifndef BRAIDD_CONFIG_VALUE_H
#define BRAIDD_CONFIG_VALUE_H

struct config_key;

typedef const char *(*config_value_cb)(const struct config_key *key, const char *text, void *field);

/* unsigned: a decimal number from key->min to key->max. */
const char *config_value_number(const struct config_key *key, const char *text, void *field);

/* The same, or "auto", which is 0. */
const char *config_value_auto(const struct config_key *key, const char *text, void *field);

/* unsigned: milliseconds, written with a unit; key->min and key->max are milliseconds too. */
const char *config_value_duration(const struct config_key *key, const char *text, void *field);

/* bool: "yes" or "no". */
const char *config_value_flag(const struct config_key *key, const char *text, void *field);

/* char *: the absolute path of a unix socket, or "none", which is NULL. */
const char *config_value_socket(const struct config_key *key, const char *text, void *field);

/* struct config_user: a user's name, or "none". */
const char *config_value_user(const struct config_key *key, const char *text, void *field);

/* enum braid_severity: a level's name. */
const char *config_value_level(const struct config_key *key, const char *text, void *field);

/* enum config_mode. */
const char *config_value_mode(const struct config_key *key, const char *text, void *field);

/* bool: whether it is the seed's. */
const char *config_value_protocol(const struct config_key *key, const char *text, void *field);

/* uint64_t: bytes, or a percentage of the machine's memory. */
const char *config_value_memory(const struct config_key *key, const char *text, void *field);

/* uint64_t: bytes a second, written as bits. */
const char *config_value_rate(const struct config_key *key, const char *text, void *field);

/* char *: the name of an interface; a numeric address without a port; a congestion control. */
const char *config_value_interface(const struct config_key *key, const char *text, void *field);
const char *config_value_source(const struct config_key *key, const char *text, void *field);
const char *config_value_congestion(const struct config_key *key, const char *text, void *field);

/* struct config_names: words with spaces in between. */
const char *config_value_names(const struct config_key *key, const char *text, void *field);

/* enum config_priority. */
const char *config_value_priority(const struct config_key *key, const char *text, void *field);

/* char *: an absolute path of a file. */
const char *config_value_file(const struct config_key *key, const char *text, void *field);

/* struct config_texts: appends such a path, or the name that a certificate bears. */
const char *config_value_files(const struct config_key *key, const char *text, void *field);
const char *config_value_peer(const struct config_key *key, const char *text, void *field);

/* enum config_security. */
const char *config_value_security(const struct config_key *key, const char *text, void *field);

/* struct config_addresses: appends an address to listen on. */
const char *config_value_listen(const struct config_key *key, const char *text, void *field);

/* struct config_addresses: appends an address to connect to. */
const char *config_value_remote(const struct config_key *key, const char *text, void *field);

/* struct braid_address *: an address to connect to. */
const char *config_value_target(const struct config_key *key, const char *text, void *field);

#endif
