/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "frame.h"

static struct frame *spares;

struct frame *frame_new(void)
{
    struct frame *frame = spares;

    if (frame == NULL)
        return malloc(sizeof *frame);
    spares = frame->next;
    return frame;
}

void frame_free(struct frame *frame)
{
    frame->next = spares;
    spares = frame;
}

void frame_free_spares(void)
{
    while (spares != NULL) {
        struct frame *next = spares->next;

        free(spares);
        spares = next;
    }
}

void frame_list_init(struct frame_list *list)
{
    *list = (struct frame_list){.tail = &list->head};
}

void frame_list_push(struct frame_list *list, struct frame *frame)
{
    frame->next = NULL;
    *list->tail = frame;
    list->tail = &frame->next;
    list->frames++;
    list->bytes += frame->size;
}

struct frame *frame_list_pop(struct frame_list *list)
{
    struct frame *frame = list->head;

    if (frame == NULL)
        return NULL;
    list->head = frame->next;
    if (list->head == NULL)
        list->tail = &list->head;
    list->frames--;
    list->bytes -= frame->size;
    return frame;
}

void frame_list_clear(struct frame_list *list)
{
    struct frame *frame;

    while ((frame = frame_list_pop(list)) != NULL)
        frame_free(frame);
}
