/* SPDX-License-Identifier: MIT */
/* Options of the plain sockets: those of clients and of targets. */
#ifndef BRAIDD_SOCKOPT_H
#define BRAIDD_SOCKOPT_H

/*
 * Prepares a connected socket, or a listening one for all that it accepts (Linux hands these
 * options down): no Nagle delay, urgent data in line (as it passes through us, it has no other
 * place), and a peer that went away without a word is noticed after two minutes. Harmless on unix
 * sockets.
 */
void sockopt_plain(int fd);

/* Closes a connected socket so that the peer sees a reset (a unix peer: an end of file). */
void sockopt_close_reset(int fd);

/* The pending error of a socket, an errno value, which is thereby taken off it; 0: none. */
int sockopt_take_error(int fd);

#endif
