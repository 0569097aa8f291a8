/* SPDX-License-Identifier: MIT */
/*
 * The control socket: a client sends one line, "braid/1 COMMAND", and gets an answer of lines:
 *
 *   braid/1 ok             then records, one a line, as " name=value" pairs after the record's
 * kind, kind name=value ...    values percent-encoded (daemon/record.h) end                    and
 * the connection is closed;
 *
 *   braid/1 error TEXT     and the connection is closed.
 *
 * The only command of version 1 is "status". A reader ignores kinds and names that it does not
 * know. The protocol and its clients are all this file knows; the records come from control_source.
 */
#ifndef BRAIDD_CONTROL_H
#define BRAIDD_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include <event2/event.h>

struct control;

/* One answer under way. */
struct control_answer;

/* Where answers to "status" come from. */
struct control_source {
    /* Bytes of state that an answer needs; zeroed when it begins. */
    size_t state_size;
    /*
     * Asks for the next piece of an answer. The source owes one control_answer_give() or _break()
     * for it, now or later, from this thread; until then the answer exists, even when its client is
     * gone.
     */
    void (*more)(struct control_answer *answer, void *state, void *arg);
    void *arg;
};

/* How many clients are served at once; more wait in the kernel's queue. */
#define CONTROL_CLIENTS_MAX 16
/* The longest line a client may send. */
#define CONTROL_LINE_MAX 256
/* How long a client may take to send its line, or to take some of its answer. */
#define CONTROL_TIMEOUT_SECONDS 5

/*
 * Serves the protocol on a listening unix socket, `fd`, which is now the control's, also on
 * failure.
 *
 * `source` is copied. Returns NULL when out of memory.
 */
struct control *control_new(struct event_base *base, int fd, const struct control_source *source);

/* Closes the socket and all clients. Pieces that are owed may still be given. NULL is allowed. */
void control_free(struct control *control);

/* Gives the piece that was asked for; `text` is copied. `last`: there are no more. */
void control_answer_give(struct control_answer *answer, const char *text, size_t length, bool last);

/* There is no next piece, though there should be: the client sees the answer end without "end". */
void control_answer_break(struct control_answer *answer);

/*
 * Opens the socket at a path, for the owner and the group alone, in the place of one that nobody
 * listens on any more. Not for use when there are other threads already, since it sets the umask.
 *
 * Returns a descriptor, or -1 with errno set.
 */
int control_open(const char *path);

#endif
