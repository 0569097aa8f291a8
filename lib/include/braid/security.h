/* SPDX-License-Identifier: MIT */
/**
 * @file braid/security.h
 * @brief What protects subflows, and who may make them: keys, or certificates. TLS 1.3 in any case.
 *
 * A security is described first and used by any number of streams and listeners of any thread then,
 * each of which keeps what it needs of it. From the first use on it changes by
 * braid_security_replace() only.
 *
 * A key is a secret that both ends share, and a name for it. Its file has one key a line, "NAME"
 * and 64 hexadecimal digits; empty lines and those that start with # say nothing. Files with
 * secrets must be closed to group and others, and belong to root or to the user that reads them.
 * Keys are kept in memory that is locked, in no core dump, and wiped.
 */
#ifndef BRAID_SECURITY_H
#define BRAID_SECURITY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <braid/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct braid_security;

#define BRAID_NAME_MAX 64      /**< bytes of a key's or peer's name */
#define BRAID_KEY_TEXT_MAX 512 /**< bytes that braid_key_generate() needs at most */

/** New, with nothing in it that anybody could prove. NULL: out of memory. */
BRAID_EXPORT struct braid_security *braid_security_new(void) BRAID_MUST_CHECK;

/** Gives it up; streams and listeners that use it go on. NULL is allowed. */
BRAID_EXPORT void braid_security_free(struct braid_security *security);

/** Lets files with secrets belong to this user too; before they are read. 0, the default: nobody.
 */
BRAID_EXPORT void braid_security_set_owner(struct braid_security *security, uid_t user);

/**
 * Adds the keys of a file: a listener accepts each of them, a connecting stream shows the first.
 *
 * @param why  set, on failure, to a line that names file and line, and says what to do
 * @param size of why; 512 is plenty
 * @return how many keys were added, or -1: the file or one of its lines is no good, a key or name
 * is there already, there are certificates, or no memory is left. Nothing was added then
 */
BRAID_EXPORT int braid_security_load_keys(struct braid_security *security, const char *file,
                                          char *why, size_t size) BRAID_MUST_CHECK;

/**
 * Adds keys from memory, in the form of a file.
 *
 * @param text   len bytes; not kept
 * @param source what `why` calls it
 * @return as above
 */
BRAID_EXPORT int braid_security_read_keys(struct braid_security *security, const char *text,
                                          size_t len, const char *source, char *why,
                                          size_t size) BRAID_MUST_CHECK;

/**
 * Uses certificates instead of keys: shows one, and demands one of the peer that the authorities
 * have signed and that bears a name that was added with braid_security_add_peer().
 *
 * @param certificate file in PEM with the certificate to show, then those that lead to an authority
 * @param private_key file in PEM with its key, not encrypted
 * @param ca          file in PEM with the authorities' certificates
 * @param why         as above
 * @return 0, or -1: a file is no good, or there are keys or certificates already
 */
BRAID_EXPORT int braid_security_load_certificate(struct braid_security *security,
                                                 const char *certificate, const char *private_key,
                                                 const char *ca, char *why,
                                                 size_t size) BRAID_MUST_CHECK;

/**
 * Adds a name that the peer's certificate may bear (a DNS name among its alternative names; without
 * any, its common name). Wildcards match nothing.
 *
 * @param name at most BRAID_NAME_MAX bytes; copied
 * @return 0, or -1: no such name, it is there already, or out of memory
 */
BRAID_EXPORT int braid_security_add_peer(struct braid_security *security,
                                         const char *name) BRAID_MUST_CHECK;

/** Whether all keys are in memory that is locked: RLIMIT_MEMLOCK may be too small for that. */
BRAID_EXPORT bool braid_security_is_locked(const struct braid_security *security);

/**
 * Puts what another one has in the place of what this one has; from any thread. New subflows of
 * listeners and new streams go by that from now on; streams that connected with what is replaced
 * go on with it. braid_listener_recheck() ends the sessions of listeners that are not accepted now.
 *
 * @param with has, afterwards, what was replaced; to be freed
 */
BRAID_EXPORT void braid_security_replace(struct braid_security *security,
                                         struct braid_security *with);

/** Whether text can be the name of a key or peer: 1 to BRAID_NAME_MAX of A-Z a-z 0-9 _ . - */
BRAID_EXPORT bool braid_name_is_valid(const char *text) BRAID_MUST_CHECK;

/**
 * Makes a fresh key, as the text of a key file.
 *
 * @param name a valid one
 * @param text receives it, terminated; to be wiped by the caller
 * @param size of text, at least BRAID_KEY_TEXT_MAX
 * @return 0, or -1: no such name, or the system has no random numbers
 */
BRAID_EXPORT int braid_key_generate(const char *name, char *text, size_t size) BRAID_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
