/* SPDX-License-Identifier: MIT */
/*
 * Ethernet frames and first-in-first-out lists of them. A frame is in one list at most, and whoever
 * took it out of there owns it; those that were given back are used again.
 */
#ifndef LAB_FRAME_H
#define LAB_FRAME_H

#include <stddef.h>
#include <stdint.h>

enum { FRAME_MAX = 2048 - 32 }; /* bytes; interfaces here have an MTU of 1500 */

struct frame {
    struct frame *next;
    uint64_t time; /* in a queue: of arrival; on the wire: of delivery */
    size_t size;
    unsigned char data[FRAME_MAX];
};

struct frame_list {
    struct frame *head;
    struct frame **tail;
    uint64_t frames;
    uint64_t bytes;
};

/* A frame to be filled; NULL when there is no memory. */
struct frame *frame_new(void);
void frame_free(struct frame *frame);

/* Gives all memory back to the system. */
void frame_free_spares(void);

void frame_list_init(struct frame_list *list);
void frame_list_push(struct frame_list *list, struct frame *frame);

/* The oldest one, or NULL. */
struct frame *frame_list_pop(struct frame_list *list);
void frame_list_clear(struct frame_list *list);

#endif
