/* SPDX-License-Identifier: MIT */
/*
 * The service manager's side of things: sd_notify(3) and socket activation.
 *
 * The only file that knows libsystemd; built without it, or started by something else, every
 * function here does nothing.
 */
#ifndef BRAIDD_NOTIFY_H
#define BRAIDD_NOTIFY_H

/* Tells that the daemon serves. */
void notify_ready(void);

/* Tells that the daemon is on its way out and waits for so many sessions. */
void notify_stopping(unsigned sessions);

/*
 * Takes over the sockets passed by the service manager.
 *
 * Returns how many there are, *first being the lowest descriptor, or a negated errno value.
 */
int notify_take_sockets(int *first);

#endif
