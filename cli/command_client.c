/* SPDX-License-Identifier: MIT */
#include "cli/command_file.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <braid/dial.h>
#include <braid/path.h>
#include <braid/stream.h>

#include "cli/channel.h"
#include "cli/exit.h"
#include "cli/file_job.h"
#include "cli/file_options.h"

#define DIAL_MILLISECONDS 10000

struct client {
    struct file_job job;
    struct braid_path *paths[FILE_PATHS_MAX];
    size_t path_count;
};

/* ---- paths ---- */

static bool is_numeric(const char *text)
{
    unsigned char bytes[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* from: an interface or source address; NULL: as the routes say. */
static struct braid_path *make_path(const char *name, const char *from,
                                    struct braid_address *const *remotes, size_t count,
                                    unsigned subflows)
{
    struct braid_path *path = braid_path_new(name);
    bool good = path != NULL && braid_path_set_subflows(path, subflows) == 0;

    if (good && from != NULL) {
        good = (is_numeric(from) ? braid_path_set_source(path, from)
                                 : braid_path_set_interface(path, from)) == 0;
    }
    for (size_t i = 0; good && i < count; i++) {
        good = braid_path_add_remote(path, remotes[i]) == 0;
    }
    if (!good) {
        braid_path_free(path);
        return NULL;
    }
    return path;
}

/* Subflows of one of several paths: as even as it goes. 0: as many as there are by default. */
static unsigned share(const struct file_options *options, size_t paths, size_t index)
{
    unsigned n = (unsigned)paths;

    return options->address.subflows / n + (index < options->address.subflows % n ? 1 : 0);
}

/*
 * One path from each place that was named, to the first remote that answers; else to each. False:
 * it was said why not.
 */
static bool make_paths(struct client *client)
{
    const struct file_options *options = client->job.options;
    const struct address *address = &options->address;
    bool named = options->path_count > 0;
    size_t count = named ? options->path_count : address->count;

    for (size_t i = 0; i < count; i++) {
        const char *from = named ? options->paths[i] : NULL;
        struct braid_path *path =
            named ? make_path(from, from, address->list, address->count, share(options, count, i))
                  : make_path(braid_address_text(address->list[i]), NULL, &address->list[i], 1,
                              share(options, count, i));

        if (path == NULL) {
            file_job_complain(&client->job, "%s is no interface and no address",
                              named ? from : braid_address_text(address->list[i]));
            return false;
        }
        client->paths[client->path_count++] = path;
    }
    return true;
}

static void free_paths(struct client *client)
{
    while (client->path_count > 0) {
        braid_path_free(client->paths[--client->path_count]);
    }
}

/* ---- connecting ---- */

static void connect_braid(struct client *client)
{
    struct file_job *job = &client->job;
    struct braid_stream *stream;

    if (!make_paths(client)) {
        return;
    }
    stream = braid_stream_connect(job->context, job->braid, client->paths, client->path_count);
    if (stream == NULL) {
        file_job_complain(job, "out of memory or descriptors");
        return;
    }
    file_job_start(job, channel_braid_new(stream, client->paths, client->path_count), NULL);
}

static void callback_dialled(int fd, int error, void *arg)
{
    struct file_job *job = arg;

    if (fd < 0) {
        file_job_complain(job, "%s: %s", braid_address_text(job->options->address.list[0]),
                          braid_strerror(error));
        event_base_loopbreak(job->base);
        return;
    }
    file_job_start(job, channel_tcp_new(job->base, fd), NULL);
}

static void connect_tcp(struct file_job *job)
{
    if (braid_dial_new(job->context, job->options->address.list[0], DIAL_MILLISECONDS,
                       callback_dialled, job) == NULL) {
        file_job_complain(job, "out of memory");
    }
}

int command_client(int argc, char **argv)
{
    struct file_options options;
    struct client client = {.path_count = 0};
    int status = file_options_parse(&options, argc, argv);

    if (status != -1) {
        return status;
    }
    if (file_job_init(&client.job, &options)) {
        if (options.address.multipath) {
            connect_braid(&client);
        } else {
            connect_tcp(&client.job);
        }
    }
    status = file_job_run(&client.job);
    file_job_clear(&client.job);
    free_paths(&client);
    file_options_clear(&options);
    return status == EXIT_SUCCESS ? exit_flushed() : status;
}
