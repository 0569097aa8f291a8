/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <stdlib.h>

#include "security.h"

#define SUBFLOWS_MAX 16u
#define MAX_SUBFLOWS_MAX 64u
#define GRACE_MAX 3600000u
#define WINDOW_MIN ((size_t)65536)
#define WINDOW_MAX ((size_t)1 << 30)

static const struct braid_options defaults = {
    .subflows = 0,
    .max_subflows = 16,
    .grace = 60000,
    .window = (size_t)8 << 20,
};

struct braid_options *braid_options_new(void)
{
    struct braid_options *options = malloc(sizeof *options);

    if (options != NULL)
        *options = defaults;
    return options;
}

void braid_options_free(struct braid_options *options)
{
    if (options == NULL)
        return;
    braid_options_clear(options);
    free(options);
}

void braid_options_copy(struct braid_options *to, const struct braid_options *options)
{
    *to = options != NULL ? *options : defaults;
    (void)braid_security_ref(to->security);
}

void braid_options_clear(struct braid_options *options)
{
    braid_security_free(options->security);
    options->security = NULL;
}

void braid_options_set_security(struct braid_options *options, struct braid_security *security)
{
    struct braid_security *before = options->security;

    options->security = braid_security_ref(security);
    braid_security_free(before);
}

int braid_options_set_subflows(struct braid_options *options, unsigned n)
{
    if (n < 1 || n > SUBFLOWS_MAX)
        return -1;
    options->subflows = n;
    return 0;
}

void braid_options_set_redundant(struct braid_options *options, bool redundant)
{
    options->redundant = redundant;
}

int braid_options_set_max_subflows(struct braid_options *options, unsigned n)
{
    if (n < 1 || n > MAX_SUBFLOWS_MAX)
        return -1;
    options->max_subflows = n;
    return 0;
}

int braid_options_set_grace(struct braid_options *options, unsigned milliseconds)
{
    if (milliseconds > GRACE_MAX)
        return -1;
    options->grace = milliseconds;
    return 0;
}

int braid_options_set_window(struct braid_options *options, size_t bytes)
{
    if (bytes < WINDOW_MIN || bytes > WINDOW_MAX)
        return -1;
    options->window = bytes;
    return 0;
}

int braid_options_set_protocol(struct braid_options *options, enum braid_protocol protocol)
{
    if (protocol != BRAID_PROTOCOL_1 && protocol != BRAID_PROTOCOL_SEED &&
        protocol != BRAID_PROTOCOL_EITHER)
        return -1;
    options->protocol = protocol;
    return 0;
}

void braid_options_set_bare_end(struct braid_options *options, bool bare_end)
{
    options->bare_end = bare_end;
}

bool braid_options_agree(const struct braid_options *options)
{
    return options->protocol == BRAID_PROTOCOL_1 ||
           (options->security == NULL &&
            !(options->redundant && options->protocol == BRAID_PROTOCOL_SEED));
}
