/* SPDX-License-Identifier: MIT */
/*
 * SIGHUP: the configuration is read again, whole, and of it keys and certificates take effect.
 *
 * When anything in it is wrong nothing changes.
 */
#ifndef BRAIDD_RELOAD_H
#define BRAIDD_RELOAD_H

struct crew;

/* Does all that, and logs what came of it. */
void reload(struct crew *crew);

#endif
