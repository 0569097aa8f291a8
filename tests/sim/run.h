/* SPDX-License-Identifier: MIT */
/*
 * One run: the two hosts, the paths between them and the sessions that go over them.
 */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "event/path_state.h"

#include "host.h"
#include "scenario.h"

#define SIM_ENDS 128
#define SIM_ROUNDS_MAX 4096u

/* What the runs of a batch have done, summed up. */
struct sim_counters {
    uint64_t runs;
    uint64_t failed;
    uint64_t virtual_time; /* microseconds */
    uint64_t bytes;        /* received by applications */
    uint64_t resent;
    uint64_t dials;
    uint64_t lost;           /* subflows */
    uint64_t refused;        /* subflows, by the remote endpoint */
    uint64_t swallowed;      /* segments in black holes */
    uint64_t dropped;        /* segments, by full queues and by chance */
    uint64_t redundant;      /* runs in that mode */
    uint64_t backups;        /* runs with a backup path */
    uint64_t seeds;          /* runs in the seed's format */
    uint64_t aborted;        /* sessions, by an application */
    uint64_t ends[SIM_ENDS]; /* of sessions, by enum braid_error */
    uint64_t faults[SIM_FAULTS];
};

/* One session as it was meant: its two ends, and what has happened to it. */
struct sim_pair {
    struct sim_run *run;
    uint64_t id;
    uint8_t token[16];
    struct sim_endpoint *ends[2]; /* the remote one: the latest; NULL: none yet */
    struct sim_timer start;
    bool started;
    bool intruder;
    bool aborted[2];
    bool refused;      /* the target */
    uint64_t final[2]; /* bytes sent when it was shut down */
    bool shut[2];
    uint64_t key[2]; /* of the pattern that each side sends */
};

struct sim_fault_run {
    struct sim_run *run;
    const struct sim_fault *fault;
    struct sim_timer begin, end;
    struct sim_pipe *pipe; /* STALL, GARBAGE: the one it is about */
};

struct sim_run {
    struct sim_world world;
    const struct sim_scenario *scenario;
    struct sim_path paths[SIM_PATHS_MAX];
    struct braid_path_state states[SIM_PATHS_MAX]; /* what the local host knows of them */
    unsigned path_count;
    struct sim_host hosts[2];
    struct sim_pipe *pipes;
    unsigned pipe_count;
    struct sim_pair pairs[SIM_SESSIONS_MAX + 1];
    unsigned pair_count;
    struct sim_fault_run faults[SIM_FAULTS_MAX];
    bool restarted;
    bool starved; /* memory was short somewhere */
    uint64_t first_byte;
    uint64_t last_byte;
    uint64_t used[SIM_USES_MAX];          /* bytes, of each demand of the scenario */
    uint64_t round_trips[SIM_ROUNDS_MAX]; /* of requests and responses, the first so many */
    unsigned round_trip_count;
    uint64_t round_trip; /* the median; 0: there was none */
    uint64_t longest_gap;
    uint64_t ended;     /* when the last session closed */
    uint64_t last_lost; /* when a subflow died the last time */
    struct sim_counters counters;
};

struct sim_result {
    bool failed;
    char failure[256];
    uint64_t hash;        /* of the timeline */
    uint64_t longest_gap; /* at the first session's receiving applications */
    uint64_t first_byte;
    uint64_t last_byte;
    uint64_t round_trip; /* the median; 0: there was none */
    uint64_t used[SIM_USES_MAX];
    uint64_t goodput; /* bits a second, to the last byte */
};

/* Runs a scenario; trace may be NULL. What it did is added to counters. */
void sim_run(const struct sim_scenario *scenario, uint64_t seed, FILE *trace,
             struct sim_result *result, struct sim_counters *counters);

void sim_counters_add(struct sim_counters *sum, const struct sim_counters *one);

/* Makes a new pipe over a path; the run owns it. */
struct sim_pipe *sim_run_dial(struct sim_run *run, unsigned path, sim_notify_cb notify, void *arg);

/* The session of this id that is not an intruder's, or NULL. */
struct sim_pair *sim_run_pair(struct sim_run *run, uint64_t id);

/* What one side's application does. */
const struct sim_app_spec *sim_run_app(const struct sim_run *run, const struct sim_pair *pair,
                                       unsigned side);

/* So many bytes were read off a path. */
void sim_run_note_use(struct sim_run *run, unsigned path, uint64_t bytes);

/* An application had a response after so long. */
void sim_run_note_round_trip(struct sim_run *run, uint64_t took);

/* Bits a second that came out of all this. */
uint64_t sim_run_goodput(const struct sim_run *run);

/* The timeline's line about a subflow that was sampled (trace.c). */
void sim_trace_subflow(const struct sim_endpoint *endpoint, const struct sim_link *link);

/*
 * How long plain TCP takes for so many bytes over a path alone, from SYN to the last byte, in
 * microseconds (plain.c).
 */
uint64_t sim_plain_transfer(const struct sim_path_spec *spec, uint64_t bytes, uint64_t seed);

/* Sets up a scenario's faults (fault.c). */
void sim_faults_start(struct sim_run *run);

/* Judges how it all ended (verdict.c). */
void sim_verdict(struct sim_run *run);

#endif
