/* SPDX-License-Identifier: MIT */
/*
 * Configurations: any bytes are either a configuration that holds what it promises, or refused with
 * at least one line, each of which names the file. Input: the file.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/config.h"
#include "fuzz.h"

const char fuzz_corpus[] = "config";

/* A file in memory, and how it can be opened. */
static int store(const uint8_t *data, size_t size, char *path, size_t path_size)
{
    int fd = memfd_create("config", MFD_CLOEXEC);

    REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, path_size, "/proc/self/fd/%d", fd);
    return fd;
}

static void check_path(const struct config_tunnel_path *path)
{
    REQUIRE(path->name[0] != '\0' && path->remote_count > 0);
    for (size_t i = 0; i < path->remote_count; i++)
        REQUIRE(path->remotes[i] != NULL);
}

static void check_tunnel(const struct config_tunnel *tunnel)
{
    unsigned subflows = 0;

    REQUIRE(tunnel->name != NULL && tunnel->name[0] != '\0' && tunnel->listen.count > 0);
    if (tunnel->role == CONFIG_REMOTE) {
        REQUIRE(tunnel->target != NULL && tunnel->max_subflows >= 1 && tunnel->max_subflows <= 64);
        return;
    }
    REQUIRE(tunnel->path_count > 0 && tunnel->grace <= 3600000);
    for (size_t i = 0; i < tunnel->path_count; i++) {
        check_path(&tunnel->paths[i]);
        subflows += tunnel->paths[i].subflows;
    }
    REQUIRE(subflows == tunnel->subflows && subflows >= 1 && subflows <= 16);
}

static void check(const struct config *config)
{
    REQUIRE(config->workers >= 1 && config->workers <= 64 && config->max_memory > 0);
    REQUIRE(config->max_half_open >= 1 && config->max_half_open_per_source >= 1);
    REQUIRE(config->hello_time >= 100 && config->hello_time <= 60000);
    REQUIRE(config->tunnel_count > 0);
    for (size_t i = 0; i < config->tunnel_count; i++)
        check_tunnel(&config->tunnels[i]);
}

/* Whole lines, each of which begins with the file's name. */
static void check_errors(const char *errors, size_t length, const char *path)
{
    const char *end = errors + length;

    REQUIRE(length > 0 && end[-1] == '\n' && strlen(errors) == length);
    for (const char *line = errors; line < end; line = strchr(line, '\n') + 1)
        REQUIRE(strncmp(line, path, strlen(path)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    char *errors = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&errors, &length);
    int fd = store(data, size, path, sizeof(path));
    struct config *config;

    REQUIRE(stream != NULL);
    config = config_read(path, stream);
    REQUIRE(fclose(stream) == 0);
    if (config != NULL) {
        REQUIRE(length == 0);
        check(config);
    } else {
        check_errors(errors, length, path);
    }
    config_free(config);
    free(errors);
    close(fd);
    return 0;
}
