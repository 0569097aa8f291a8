/* SPDX-License-Identifier: MIT */
/*
 * An application at one end of a session. The byte it sends at an offset depends on the offset, the
 * session and the side alone, so the other end knows every byte that has to come.
 */
#ifndef SIM_APPLICATION_H
#define SIM_APPLICATION_H

#include "scenario.h"
#include "world.h"

struct sim_endpoint;
struct braid_action;

struct sim_app {
    struct sim_endpoint *endpoint;
    const struct sim_app_spec *spec;
    struct sim_timer timer;
    struct sim_timer answer;
    struct sim_timer abort;
    uint64_t sent, received;
    uint64_t key_out, key_in;   /* of the patterns */
    uint64_t write_at, read_at; /* not before */
    uint64_t received_at;
    uint64_t longest_gap;
    uint64_t asked_at; /* when the latest request was complete */
    uint64_t answered; /* rounds */
    bool open;         /* may write: local, or the target was reached */
    bool readable;     /* until peek says that there is nothing */
    bool full;         /* reserve said that there is no room */
    bool paused;
    bool rested;
    bool shut;
    bool eof;
    bool over; /* aborted, or the session has closed */
};

void sim_app_init(struct sim_app *app, struct sim_endpoint *endpoint,
                  const struct sim_app_spec *spec);
void sim_app_stop(struct sim_app *app);

/* Takes notice of an action; the application does something about it later. */
void sim_app_notice(struct sim_app *app, const struct braid_action *action);

/* Checks that nothing is due of which the application was not told. */
void sim_app_check(struct sim_app *app);

#endif
