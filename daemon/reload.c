/* SPDX-License-Identifier: MIT */
#include "daemon/reload.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <braid/security.h>

#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/tunnel.h"
#include "daemon/worker.h"

/* Reads the file; every mistake in it is a line in the log. NULL: there was one. */
static struct config *read_again(const char *file)
{
    char *errors = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&errors, &length);
    struct config *config = NULL;

    if (out != NULL) {
        config = config_read(file, out);
        fclose(out);
    }
    if (config == NULL) {
        char *rest = NULL;

        for (char *line = errors; line != NULL && *line != '\0'; line = rest) {
            rest = strchr(line, '\n');
            if (rest != NULL) {
                *rest++ = '\0';
            }
            log_line(BRAID_LOG_ERR, "%s", line);
        }
        log_line(BRAID_LOG_ERR, "SIGHUP: %s is not used: all stays as it was", file);
    }
    free(errors);
    return config;
}

static const struct config_tunnel *find(const struct config *config,
                                        const struct config_tunnel *wanted)
{
    for (size_t i = 0; i < config->tunnel_count; i++) {
        if (config->tunnels[i].role == wanted->role &&
            strcmp(config->tunnels[i].name, wanted->name) == 0) {
            return &config->tunnels[i];
        }
    }
    return NULL;
}

/* Whether both have keys, both certificates, or both nothing. */
static bool is_alike(const struct config_tunnel *one, const struct config_tunnel *other)
{
    return (one->protection == NULL) == (other->protection == NULL) &&
           (one->certificate == NULL) == (other->certificate == NULL);
}

/* Has a running tunnel go by the keys that its section has now. */
static void take(const struct tunnel *tunnel, const struct config *fresh)
{
    const struct config_tunnel *running = tunnel->config;
    const struct config_tunnel *now = find(fresh, running);

    if (now == NULL || !is_alike(running, now)) {
        log_line(BRAID_LOG_WARNING, "[%s %s] %s: that takes a restart", tunnel_role(tunnel),
                 running->name,
                 now == NULL ? "is not in the file any more" : "has another kind of security");
    } else if (running->protection != NULL) {
        braid_security_replace(running->protection, now->protection);
    }
}

void reload(struct crew *crew)
{
    const char *file = crew->config->file;
    struct config *fresh = read_again(file);

    if (fresh == NULL) {
        return;
    }
    for (size_t i = 0; i < crew->config->tunnel_count; i++) {
        take(&crew->tunnels[i], fresh);
    }
    config_free(fresh);
    if (!crew_recheck(crew)) {
        log_line(BRAID_LOG_ERR, "SIGHUP: out of memory; send it again to end sessions of keys "
                                "that are not accepted any more");
    }
    log_line(BRAID_LOG_NOTICE,
             "SIGHUP: keys and certificates of %s are used from now on; changes of anything else "
             "take a restart",
             file);
}
