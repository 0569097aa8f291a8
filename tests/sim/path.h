/* SPDX-License-Identifier: MIT */
/*
 * A path: what the subflows that go the same way share. Each direction is a drop-tail queue in
 * front of a bottleneck of some rate, then a delay, as the link emulator of tests/lab has it:
 *
 *   sent -> hole? loss? room in the queue? -> queue -(rate)-> wire -(delay)-> delivered
 *
 * Segments never overtake each other.
 */
#ifndef SIM_PATH_H
#define SIM_PATH_H

#include "world.h"

#define SIM_SACKS 3u /* blocks that one segment tells of */

struct sim_pipe;

enum sim_segment_flags {
    SIM_SEGMENT_SYN = 1,
    SIM_SEGMENT_ACK = 2, /* ack means something */
    SIM_SEGMENT_FIN = 4,
    SIM_SEGMENT_RST = 8,
    SIM_SEGMENT_PROBE = 16, /* wants an answer */
};

/* [start, end) of a flow's bytes; FIN counts as one more. */
struct sim_span {
    uint64_t start, end;
};

struct sim_segment {
    struct sim_segment *next;
    struct sim_pipe *pipe;
    uint64_t offset; /* of the first byte */
    uint64_t ack;
    struct sim_span sacks[SIM_SACKS];
    uint64_t stamp; /* when it was sent, and that of the other's which is acknowledged */
    uint64_t echo;
    uint64_t due; /* when it arrives */
    uint32_t len;
    uint8_t flags;
    uint8_t side; /* that sent it */
    uint8_t sack_count;
};

struct sim_segments {
    struct sim_segment *first;
    struct sim_segment **last;
};

struct sim_wire {
    struct sim_path *path;
    uint64_t rate;       /* bytes a second */
    uint64_t delay;      /* one way, microseconds */
    uint64_t limit;      /* of the queue, bytes */
    uint64_t queue_time; /* the same in microseconds, as it was asked for */
    uint64_t queued;     /* bytes */
    struct sim_segments queue;
    struct sim_segments transit;
    struct sim_timer serve;
    struct sim_timer arrive;
    uint64_t last_due;
    unsigned paused; /* how many faults pause it now */
    unsigned holes;  /* how many faults swallow what is there and what comes */
};

typedef void (*sim_deliver_cb)(struct sim_segment *segment);
typedef bool (*sim_accept_cb)(struct sim_pipe *pipe, void *arg);

struct sim_path {
    struct sim_world *world;
    unsigned index;
    uint32_t loss;
    struct sim_wire wires[2]; /* by the sending side */
    sim_deliver_cb deliver;   /* the segment is then the receiver's */
    sim_accept_cb accept;     /* a connection has come to side 1; false: refuse it */
    void *accept_arg;
    unsigned refusing; /* how many faults refuse connections now */
    uint64_t swallowed;
    uint64_t dropped; /* for want of room, or by chance */
};

struct sim_path_spec {
    uint64_t rate;  /* bits a second, of whole frames */
    uint64_t delay; /* one way, microseconds */
    uint64_t queue; /* microseconds of it at that rate */
    uint32_t loss;  /* one segment of so many is lost; 0: none */
    bool backup;    /* its subflows are for when those of other paths do not work */
};

void sim_path_init(struct sim_path *path, struct sim_world *world, unsigned index,
                   const struct sim_path_spec *spec, sim_deliver_cb deliver);
void sim_path_clear(struct sim_path *path);

/* Sends a segment, which the path then owns. */
void sim_path_send(struct sim_path *path, struct sim_segment *segment);

/* Bits a second, both directions; from the next segment on. */
void sim_path_set_rate(struct sim_path *path, uint64_t rate);

/* Microseconds, both directions. */
void sim_path_set_delay(struct sim_path *path, uint64_t delay);

/*
 * Holds everything back and loses nothing by it, or lets it go again; sides: set of 1 << sending
 * side.
 */
void sim_path_pause(struct sim_path *path, unsigned sides, bool on);

/* Swallows everything without a word, what is under way too. */
void sim_path_hole(struct sim_path *path, unsigned sides, bool on);

/* One side's share of the round trip for a full segment: serialisation and delay. */
uint64_t sim_path_latency(const struct sim_path *path);

#endif
