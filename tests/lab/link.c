/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "link.h"
#include "tap.h"

enum { READ_BATCH = 128 };

struct link *link_find(const struct emulator *emulator, const char *name)
{
    for (unsigned i = 0; i < emulator->n_links; i++)
        if (strcmp(emulator->links[i]->name, name) == 0)
            return emulator->links[i];
    return NULL;
}

static void link_free(struct link *link)
{
    for (unsigned i = 0; i < 2; i++) {
        lane_clear(&link->lanes[i]);
        if (link->ends[i].fd >= 0)
            close(link->ends[i].fd);
    }
    free(link);
}

static int end_open(struct emulator *emulator, struct link_end *end, int namespace_fd,
                    const char *interface)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = end};

    end->fd = tap_open(namespace_fd, interface);
    return end->fd < 0 ? -1 : epoll_ctl(emulator->epoll, EPOLL_CTL_ADD, end->fd, &event);
}

struct link *link_add(struct emulator *emulator, const char *name, const char *interface_a,
                      const char *interface_b)
{
    struct link *link;

    if (emulator->n_links == LINK_MAX || strlen(name) >= LINK_NAME_SIZE) {
        errno = E2BIG;
        return NULL;
    }
    link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    memcpy(link->name, name, strlen(name) + 1);
    lane_init(&link->lanes[0], emulator->seed++);
    lane_init(&link->lanes[1], emulator->seed++);
    for (unsigned i = 0; i < 2; i++)
        link->ends[i] =
            (struct link_end){.fd = -1, .out = &link->lanes[i], .in = &link->lanes[1 - i]};
    if (end_open(emulator, &link->ends[0], emulator->namespaces[0], interface_a) < 0 ||
        end_open(emulator, &link->ends[1], emulator->namespaces[1], interface_b) < 0) {
        int saved = errno;

        link_free(link);
        errno = saved;
        return NULL;
    }
    emulator->links[emulator->n_links++] = link;
    return link;
}

void link_free_all(struct emulator *emulator)
{
    while (emulator->n_links > 0)
        link_free(emulator->links[--emulator->n_links]);
}

void link_read(struct link_end *end, uint64_t now)
{
    for (int i = 0; i < READ_BATCH; i++) {
        struct frame *frame = frame_new();
        ssize_t n;

        if (frame == NULL)
            return;
        n = read(end->fd, frame->data, sizeof frame->data);
        if (n <= 0) {
            frame_free(frame);
            return;
        }
        frame->size = (size_t)n;
        lane_offer(end->out, frame, now);
    }
}

/* Writes what is due at one end; true when that was anything. */
static bool deliver(struct link_end *end, uint64_t now)
{
    struct frame *frame;
    bool any = false;

    while ((frame = lane_take(end->in, now)) != NULL) {
        if (write(end->fd, frame->data, frame->size) < 0)
            end->refused++;
        frame_free(frame);
        any = true;
    }
    return any;
}

void link_run_all(struct emulator *emulator, uint64_t now)
{
    for (unsigned i = 0; i < emulator->n_links; i++)
        for (unsigned j = 0; j < 2; j++) {
            struct link_end *end = &emulator->links[i]->ends[j];

            /* The kernel has handled a written frame when write returns: what it answers is there
             * already, and need not wait for epoll. */
            if (deliver(end, now))
                link_read(end, now);
        }
}

uint64_t link_next(const struct emulator *emulator)
{
    uint64_t next = LANE_NEVER;

    for (unsigned i = 0; i < emulator->n_links; i++)
        for (unsigned j = 0; j < 2; j++) {
            uint64_t one = lane_next(&emulator->links[i]->lanes[j]);

            if (one < next)
                next = one;
        }
    return next;
}
