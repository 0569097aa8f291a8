/* SPDX-License-Identifier: MIT */
/*
 * The attributes behind the fixed part of a netlink message. The kernel's own macros for them go
 * wrong on what is not aligned.
 */
#ifndef BRAID_EVENT_ATTRIBUTE_H
#define BRAID_EVENT_ATTRIBUTE_H

#include <stddef.h>
#include <linux/rtnetlink.h>

/* What is still to be read. */
struct braid_attributes {
    const void *at;
    size_t left;
};

/* Takes the next one; NULL: there is none, or it is broken. */
static inline const struct rtattr *braid_attribute_next(struct braid_attributes *attributes)
{
    const struct rtattr *attribute = attributes->at;
    size_t step;

    if (attributes->left < sizeof *attribute || attribute->rta_len < sizeof *attribute ||
        attribute->rta_len > attributes->left)
        return NULL;
    step = RTA_ALIGN((size_t)attribute->rta_len);
    if (step > attributes->left)
        step = attributes->left;
    attributes->at = (const char *)attributes->at + step;
    attributes->left -= step;
    return attribute;
}

#endif
