/* SPDX-License-Identifier: MIT */
/*
 * Keeps a connecting session's subflows alive: dials what is missing, and dials again what died.
 *
 * There is a slot for each subflow that the session may want; slot i takes path i % n. A slot that
 * fails waits for longer and longer, until a subflow of it has lived for a while.
 */
#ifndef BRAID_EVENT_CONNECTOR_H
#define BRAID_EVENT_CONNECTOR_H

#include <stddef.h>
#include <stdint.h>

#include <braid/address.h>

struct braid_connector;
struct braid_session_io;
struct braid_slot;

/* addresses: of n paths. subflows: how many slots. NULL: out of memory. */
struct braid_connector *braid_connector_new(struct braid_session_io *io,
                                            const struct braid_address *const *addresses, size_t n,
                                            unsigned subflows);

/* Gives up its dials; the subflows that it made stay. NULL is allowed. */
void braid_connector_free(struct braid_connector *connector);

/* Copies the addresses, which are about to go; without memory it dials no more. */
void braid_connector_keep_addresses(struct braid_connector *connector);

/* Dials what the session wants now and is due. */
void braid_connector_update(struct braid_connector *connector, uint64_t now);

/* When update has something to do again, or BRAID_NEVER. */
uint64_t braid_connector_deadline(const struct braid_connector *connector);

/* The slot's subflow is gone. */
void braid_connector_lost(struct braid_slot *slot);

#endif
