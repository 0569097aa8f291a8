/* SPDX-License-Identifier: MIT */
/*
 * What is inside of braid_options; copied by value into whatever was made with them.
 */
#ifndef BRAID_EVENT_OPTIONS_H
#define BRAID_EVENT_OPTIONS_H

#include <braid/options.h>

struct braid_options {
    unsigned subflows; /* on a path; 0: 4 where there is one path, 1 where there are several */
    bool redundant;
    unsigned max_subflows;
    unsigned grace; /* milliseconds */
    size_t window;
    enum braid_protocol protocol;
    bool bare_end;
    struct braid_security *security; /* with a reference; NULL: none */
};

/* Copies options, or the defaults where it is NULL; and lets go of what a copy refers to. */
void braid_options_copy(struct braid_options *to, const struct braid_options *options);
void braid_options_clear(struct braid_options *options);

/* Whether the protocol can do what else is asked for: the seed's format has no security. */
bool braid_options_agree(const struct braid_options *options);

#endif
