/* SPDX-License-Identifier: MIT */
/*
 * A security: the place of the credentials that are in force. Counted references; the lock is held
 * for the exchange of a pointer.
 */
#ifndef BRAID_EVENT_SECURITY_H
#define BRAID_EVENT_SECURITY_H

#include <braid/security.h>

#include "credentials.h"

/* One reference more; NULL stays NULL. */
struct braid_security *braid_security_ref(struct braid_security *security);

/* What is in force now, with a reference. */
struct braid_credentials *braid_security_credentials(struct braid_security *security);

#endif
