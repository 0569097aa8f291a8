/* SPDX-License-Identifier: MIT */
#include "cli/file_job.h"

#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <event2/event.h>

#include <braid/context.h>
#include <braid/options.h>
#include <braid/security.h>

#include "cli/channel.h"
#include "cli/exit.h"
#include "cli/file_options.h"
#include "cli/progress.h"
#include "cli/sink.h"
#include "cli/source.h"
#include "cli/transfer.h"

#define PEER_TEXT 160
#define MIB 1048576.0
/* Memory that is freed is needed again at once: giving it back would cost a page fault each time.
 */
#define KEEP_FREED (32 << 20)

/* One transfer of the job's. */
struct file_run {
    LIST_ENTRY(file_run) link;
    struct file_job *job;
    struct transfer *transfer;
    struct progress *progress;
    char peer[PEER_TEXT];
};

/* ---- what is said ---- */

void file_job_complain(struct file_job *job, const char *format, ...)
{
    va_list args;

    job->failed = true;
    fprintf(stderr, "%s: ", job->options->program);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* Whom a server turns away nobody else hears of; a client's failure says what was wrong. */
static void callback_log(enum braid_severity severity, const char *message, void *arg)
{
    const struct file_job *job = arg;
    const struct file_run *run;

    if (severity <= (job->options->server ? BRAID_LOG_INFO : BRAID_LOG_WARNING)) {
        LIST_FOREACH(run, &job->runs, link)
            progress_hide(run->progress);
        fprintf(stderr, "%s: %s\n", job->options->program, message);
    }
}

/* On standard output, unless the file is there. */
static void report(const struct file_run *run, const struct transfer_result *result)
{
    const struct file_options *options = run->job->options;
    FILE *out = !options->push && strcmp(options->file, "-") == 0 ? stderr : stdout;
    uint64_t time = result->microseconds > 0 ? result->microseconds : 1;

    fprintf(out, "%s%s%" PRIu64 " bytes, %.1f MiB/s, %" PRIu64 " ms\n", run->peer,
            *run->peer != '\0' ? ": " : "", result->bytes,
            (double)result->bytes / MIB * 1e6 / (double)time, (time + 500) / 1000);
    fflush(out);
}

/* ---- transfers ---- */

static void run_free(struct file_run *run)
{
    LIST_REMOVE(run, link);
    progress_free(run->progress);
    transfer_free(run->transfer);
    free(run);
}

static void check_done(struct file_job *job)
{
    if (LIST_EMPTY(&job->runs) && (!job->options->serve || job->stopping)) {
        event_base_loopbreak(job->base);
    }
}

static void report_failure(const struct file_run *run, const struct transfer_result *result)
{
    char after[40] = "";

    if (result->bytes > 0) {
        snprintf(after, sizeof(after), " (after %" PRIu64 " bytes)", result->bytes);
    }
    file_job_complain(run->job, "%s%s%s: %s%s", run->peer, *run->peer != '\0' ? ": " : "",
                      run->job->options->file, result->why, after);
}

static void callback_done(struct transfer *transfer, const struct transfer_result *result,
                          void *arg)
{
    struct file_run *run = arg;
    struct file_job *job = run->job;

    (void)transfer;
    progress_free(run->progress);
    run->progress = NULL;
    if (result->ok) {
        report(run, result);
    } else {
        report_failure(run, result);
    }
    run_free(run);
    check_done(job);
}

/* Opens the file for one more transfer; false: it was said why not. */
static bool open_file(struct file_job *job)
{
    char why[512];

    if (job->source != NULL || job->sink != NULL) {
        return true;
    }
    if (job->options->push) {
        job->source = source_open(job->options->file, why, sizeof(why));
    } else {
        job->sink = sink_open(job->options->file, why, sizeof(why));
    }
    if (job->source == NULL && job->sink == NULL) {
        file_job_complain(job, "%s", why);
        return false;
    }
    return true;
}

void file_job_start(struct file_job *job, struct channel *channel, const char *peer)
{
    struct file_run *run = calloc(1, sizeof(*run));
    struct source *source;
    struct sink *sink;

    if (channel == NULL || run == NULL || !open_file(job)) {
        channel_free(channel);
        free(run);
        check_done(job);
        return;
    }
    source = job->source;
    sink = job->sink;
    job->source = NULL;
    job->sink = NULL;
    run->job = job;
    if (peer != NULL) {
        snprintf(run->peer, sizeof(run->peer), "%s", peer);
    }
    LIST_INSERT_HEAD(&job->runs, run, link);
    run->transfer =
        transfer_new(job->base, channel, source, sink, job->options->seed, callback_done, run);
    if (run->transfer == NULL) {
        file_job_complain(job, "out of memory");
        run_free(run);
        check_done(job);
        return;
    }
    if (!job->options->serve) {
        run->progress =
            progress_new(job->base, transfer_done(run->transfer), transfer_total(run->transfer));
    }
}

/* ---- the whole ---- */

/* Takes the key that both ends have; false: it was said why not. */
static bool take_key(struct file_job *job)
{
    struct braid_security *security;
    char why[512] = "out of memory";
    bool good;

    if (job->options->key == NULL) {
        return true;
    }
    security = braid_security_new();
    good = security != NULL &&
           braid_security_load_keys(security, job->options->key, why, sizeof(why)) > 0;
    if (good) {
        braid_options_set_security(job->braid, security);
    } else {
        file_job_complain(job, "%s", why);
    }
    braid_security_free(security);
    return good;
}

/* The first signal tells the other ends; the second one does not wait for that. */
static void callback_signal(evutil_socket_t number, short what, void *arg)
{
    struct file_job *job = arg;
    struct file_run *run;

    (void)number;
    (void)what;
    if (job->stopping || LIST_EMPTY(&job->runs)) {
        if (!job->options->serve || job->stopping) {
            file_job_complain(job, "interrupted");
        }
        event_base_loopbreak(job->base);
        return;
    }
    job->stopping = true;
    LIST_FOREACH(run, &job->runs, link)
        transfer_abort(run->transfer, "interrupted");
}

static bool watch_signals(struct file_job *job)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};

    signal(SIGPIPE, SIG_IGN); /* a write says so too */
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        struct sigaction before;

        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN) {
            continue; /* nohup(1), or a shell that has put us in the background */
        }
        job->signals[i] = evsignal_new(job->base, numbers[i], callback_signal, job);
        if (job->signals[i] == NULL || event_add(job->signals[i], NULL) != 0) {
            return false;
        }
    }
    return true;
}

bool file_job_init(struct file_job *job, const struct file_options *options)
{
    memset(job, 0, sizeof(*job));
    job->options = options;
    (void)mallopt(M_TRIM_THRESHOLD, KEEP_FREED);
    LIST_INIT(&job->runs);
    job->base = event_base_new();
    if (job->base != NULL) {
        job->context = braid_context_new(job->base, NULL);
    }
    job->braid = braid_options_new();
    if (job->context == NULL || job->braid == NULL || !watch_signals(job) ||
        braid_options_set_grace(job->braid, options->grace) != 0 ||
        braid_options_set_protocol(job->braid,
                                   options->seed ? BRAID_PROTOCOL_SEED : BRAID_PROTOCOL_1) != 0) {
        file_job_complain(job, "out of memory or descriptors");
        return false;
    }
    /* Who pushes waits for nothing but the end. */
    braid_options_set_bare_end(job->braid, options->push || options->bare_end);
    braid_context_set_log_cb(job->context, callback_log, job);
    return take_key(job) && open_file(job);
}

void file_job_clear(struct file_job *job)
{
    while (!LIST_EMPTY(&job->runs)) {
        run_free(LIST_FIRST(&job->runs));
    }
    source_free(job->source);
    sink_free(job->sink);
    for (size_t i = 0; i < sizeof(job->signals) / sizeof(*job->signals); i++) {
        if (job->signals[i] != NULL) {
            event_free(job->signals[i]);
        }
    }
    braid_context_free(job->context);
    braid_options_free(job->braid);
    if (job->base != NULL) {
        (void)event_base_loop(job->base, EVLOOP_NONBLOCK); /* the resolver ends in the loop */
        event_base_free(job->base);
    }
}

int file_job_run(struct file_job *job)
{
    if (!job->failed) {
        event_base_dispatch(job->base);
    }
    return job->failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
