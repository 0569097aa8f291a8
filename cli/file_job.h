/* SPDX-License-Identifier: MIT */
/*
 * What braid server and braid client have in common: the loop, signals, the transfers that are
 * running, and what is said about them.
 */
#ifndef BRAID_CLI_FILE_JOB_H
#define BRAID_CLI_FILE_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct braid_context;
struct braid_options;
struct channel;
struct event;
struct event_base;
struct file_options;
struct file_run;
struct sink;
struct source;

struct file_job {
    const struct file_options *options;
    struct event_base *base;
    struct braid_context *context;
    struct braid_options *braid; /* for streams and listeners */
    struct event *signals[3];    /* those that are not ignored */
    LIST_HEAD(, file_run) runs;
    struct source *source; /* opened before anybody is bothered; for the first transfer */
    struct sink *sink;
    bool failed;
    bool stopping; /* a signal came */
};

/* Sets a job up and opens the file; false: it was said why not. file_job_clear() in any case. */
bool file_job_init(struct file_job *job, const struct file_options *options);

void file_job_clear(struct file_job *job);

/*
 * Starts a transfer on a channel, which is the job's then. peer: for messages when there may be
 * several, else NULL.
 */
void file_job_start(struct file_job *job, struct channel *channel, const char *peer);

/* Says what is wrong; the job will have failed. */
void file_job_complain(struct file_job *job, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Runs the loop until the job is done; the exit status. */
int file_job_run(struct file_job *job);

#endif
