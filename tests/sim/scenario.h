/* SPDX-License-Identifier: MIT */
/*
 * A scenario: everything that a run is made of but its seed, and what must come of it. A value:
 * the table in scenarios.c and the random ones of draw.c are the same thing.
 */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/session.h"

#include "path.h"

#define SIM_PATHS_MAX 4u
#define SIM_FAULTS_MAX 16u
#define SIM_SESSIONS_MAX 3u
#define SIM_USES_MAX 4u
#define SIM_ALL UINT32_MAX /* target of a fault */
#define SIM_ANY_END (-1)

enum sim_fault_kind {
    SIM_FAULT_NONE,
    SIM_FAULT_RESET,     /* a subflow; SIM_ALL: all of them */
    SIM_FAULT_CUT,       /* a subflow ends in order in the middle of the session */
    SIM_FAULT_STALL,     /* a subflow sends nothing for a while */
    SIM_FAULT_PAUSE,     /* a path holds everything back for a while */
    SIM_FAULT_HOLE,      /* a path swallows everything, both ways */
    SIM_FAULT_HOLE_OUT,  /* only what the local endpoint sends */
    SIM_FAULT_HOLE_BACK, /* only what the remote endpoint sends */
    SIM_FAULT_RATE,      /* a path has another rate, value bits a second */
    SIM_FAULT_DELAY,     /* a path has another delay, value microseconds */
    SIM_FAULT_REFUSE,    /* connections over a path are refused */
    SIM_FAULT_RESTART,   /* the remote endpoint forgets all and is another instance */
    SIM_FAULT_FREEZE,    /* an endpoint (target 0 or 1) does nothing for a while */
    SIM_FAULT_MEMORY,    /* at an endpoint the value-th allocation and all after it fail */
    SIM_FAULT_GARBAGE,   /* a stranger connects and sends value bytes of nonsense */
    SIM_FAULTS
};

struct sim_fault {
    enum sim_fault_kind kind;
    uint32_t target; /* the n-th live subflow, a path, or an endpoint */
    uint64_t at;
    uint64_t lasts;
    uint64_t value;
};

enum sim_app_kind {
    SIM_APP_SEND,    /* total bytes, as fast as they are taken */
    SIM_APP_REQUEST, /* request bytes, then waits for response bytes, and so on up to total */
    SIM_APP_RESPOND, /* the other side of it */
    SIM_APP_ECHO,    /* as many bytes as came in, up to total */
};

enum sim_abort {
    SIM_ABORT_NEVER,
    SIM_ABORT_AT,   /* a time */
    SIM_ABORT_SENT, /* after so many bytes */
    SIM_ABORT_RECEIVED,
};

/* One application; zero means: nothing unusual. */
struct sim_app_spec {
    enum sim_app_kind kind;
    uint64_t total;
    uint64_t request, response;
    uint32_t write_max; /* bytes at a time, any up to this; 0: all there is room for */
    uint32_t read_max;
    uint64_t think;     /* microseconds between two writes, any up to this */
    uint64_t read_rate; /* bytes a second; 0: no limit */
    uint64_t pause_at;  /* when so many bytes have been received (0: never) ... */
    uint64_t pause;     /* ... nothing more is read for so long */
    uint64_t rest_at;   /* when so many bytes have been sent (0: never) ... */
    uint64_t rest;      /* ... nothing more is sent for so long */
    bool fin_after_eof; /* finishes only when the peer has */
    enum sim_abort abort;
    uint64_t abort_value;
    uint64_t answer_delay; /* remote: how long the target takes to be reached */
    int answer;            /* remote: or what is wrong with it */
};

/* How an endpoint's driver and its sockets behave; zero: everything at once. */
struct sim_driver_spec {
    uint32_t slice_max;    /* bytes fed at a time, any up to this */
    uint32_t write_max;    /* bytes a socket takes in one write, any up to this */
    unsigned short_writes; /* percent of the writes that are cut short */
    uint32_t latency;      /* microseconds until something is noticed, any up to this */
    bool blind;            /* no samples: the socket is not TCP */
    bool small_chunks;
    size_t memory;     /* cap of the pool */
    size_t max_memory; /* what it should hold at the most, all sessions together */
};

/* How much of the bytes goes over one path in some time, framing included. */
struct sim_use {
    unsigned path;
    uint64_t from, until; /* until 0: there is no such demand */
    uint64_t least, most; /* bytes read off it by both ends; most 0: any */
};

/* A path alone, and how many percent of what plain TCP has out of it there must be at least. */
struct sim_versus {
    unsigned path;
    unsigned percent; /* 0: there is no such demand */
};

struct sim_scenario {
    const char *name;
    enum braid_mode mode;
    bool seed;                                 /* in the seed's format */
    struct sim_path_spec paths[SIM_PATHS_MAX]; /* up to the first without a rate */
    unsigned subflows;
    unsigned first;        /* of them at the start; 0: 1 */
    unsigned max_subflows; /* 0: 64 */
    unsigned sessions;     /* 0: 1 */
    uint64_t grace;        /* 0: 60 s */
    size_t window;         /* 0: 4 MiB */
    uint64_t sndbuf;       /* 0: 87040 */
    uint64_t stagger;      /* between the starts of two sessions */
    uint64_t intruder_at;  /* when someone with another token comes to the first session */
    struct sim_app_spec apps[2];
    const struct sim_app_spec *beside; /* two, of the sessions after the first; NULL: the same */
    struct sim_driver_spec drivers[2];
    struct sim_fault faults[SIM_FAULTS_MAX];

    /* what must come of it */
    uint64_t budget;         /* virtual time by which both ends have closed */
    uint64_t max_gap;        /* longest silence at a receiving application; 0: any */
    uint64_t max_first_byte; /* from the start to the first byte at the remote end; 0: any */
    unsigned max_dials;      /* 0: any */
    unsigned min_dials;
    unsigned min_refused; /* subflows that the remote endpoint has refused */
    unsigned goodput;     /* thousandths of all paths' rates, to the last byte; 0: any */
    struct sim_versus versus;
    unsigned max_resent;     /* thousandths of the bytes; 0: any */
    uint64_t max_round_trip; /* the median of what an application had to wait for a response */
    struct sim_use uses[SIM_USES_MAX];
    int ends[2]; /* why each end closes; SIM_ANY_END: see verdict.c */
};

/* The tables: single things that may happen, and what many paths make of it. */
extern const struct sim_scenario sim_scenarios[];
extern const unsigned sim_scenario_count;
extern const struct sim_scenario sim_path_scenarios[];
extern const unsigned sim_path_scenario_count;

/* Of both tables, in this order; NULL: there are not so many. */
const struct sim_scenario *sim_scenario_at(unsigned i);

/* NULL: there is none of this name. */
const struct sim_scenario *sim_scenario_find(const char *name);

/* Makes up a scenario. */
void sim_scenario_draw(struct sim_scenario *scenario, uint64_t seed);

const char *sim_fault_name(enum sim_fault_kind kind);

#endif
