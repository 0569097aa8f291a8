/* SPDX-License-Identifier: MIT */
#include "daemon/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/record.h"

/* A worker writes about 10 microseconds' worth of text a session. */
#define SESSIONS_PER_PIECE 64

/* How far an answer is: first every worker's memory, then the totals, then every one's sessions. */
struct progress {
    bool measured;   /* all workers told their memory, and the totals were written */
    unsigned worker; /* whose turn it is */
    uint64_t after;  /* the last serial told of that one's */
    uint64_t memory;
};

/* A question to a worker, which comes back as its answer. */
struct question {
    struct mail mail;
    struct status *status;
    struct control_answer *answer; /* main's: not looked at by the worker */
    struct progress *progress;     /* main's too */
    bool measuring;
    uint64_t after;
    uint64_t memory;
    bool more;
    bool failed;
    char *text;
    size_t length;
};

static void write_list(FILE *out, const char *name, struct braid_address *const *addresses,
                       size_t count)
{
    if (count > 0) {
        fprintf(out, " %s=", name);
    }
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            putc(',', out);
        }
        record_encode(out, braid_address_text(addresses[i]));
    }
}

static const char *mode_name(enum config_mode mode)
{
    switch (mode) {
    case CONFIG_REDUNDANT:
        return "redundant";
    case CONFIG_BACKUP:
        return "backup";
    case CONFIG_AGGREGATE:
        break;
    }
    return "aggregate";
}

static void write_path(FILE *out, const struct tunnel *tunnel, size_t index)
{
    const struct config_tunnel_path *config = &tunnel->config->paths[index];
    struct braid_path_info info;

    braid_path_get_info(tunnel->paths[index], &info);
    fprintf(out, "path");
    record_value(out, "tunnel", tunnel->config->name);
    record_value(out, "name", config->name);
    if (config->section != NULL && config->section->interface != NULL) {
        record_value(out, "interface", config->section->interface);
    }
    if (config->section != NULL && config->section->source != NULL) {
        record_value(out, "source", config->section->source);
    }
    write_list(out, "remote", config->remotes, config->remote_count);
    fprintf(out, " priority=%s state=%s age=%" PRIu64 " subflows=%u rtt=%" PRIu32 " rate=%" PRIu64,
            config->backup ? "backup" : "primary", info.state, info.age, info.subflows, info.rtt,
            info.rate);
    if (info.error != BRAID_OK) {
        record_value(out, "error", info.reason);
    }
    putc('\n', out);
}

static const char *security_name(const struct config_tunnel *config)
{
    if (config->certificate != NULL) {
        return "certificate";
    }
    return config->protection != NULL ? "key" : "none";
}

static const char *protocol_name(const struct config_tunnel *config)
{
    if (config->seed) {
        return "seed";
    }
    return config->accept_seed ? "either" : "braid";
}

static void write_tunnel(FILE *out, struct tunnel *tunnel)
{
    const struct config_tunnel *config = tunnel->config;

    fprintf(out, "tunnel");
    record_value(out, "name", config->name);
    record_value(out, "role", tunnel_role(tunnel));
    fprintf(out, " listen=");
    for (size_t i = 0; i < tunnel->socket_count; i++) {
        if (i > 0) {
            putc(',', out);
        }
        record_encode(out, tunnel->sockets[i].text);
    }
    if (config->role == CONFIG_LOCAL) {
        write_list(out, "remote", config->remote.at, config->remote.count);
        fprintf(out, " subflows=%u mode=%s grace=%" PRIu64, config->subflows,
                mode_name(config->mode), (uint64_t)config->grace * 1000);
    } else {
        record_value(out, "target", braid_address_text(config->target));
        fprintf(out, " max-subflows=%u", config->max_subflows);
    }
    record_value(out, "security", security_name(config));
    record_value(out, "protocol", protocol_name(config));
    fprintf(out, " sessions=%u total=%llu\n",
            atomic_load_explicit(&tunnel->sessions, memory_order_relaxed),
            atomic_load_explicit(&tunnel->total, memory_order_relaxed));
    for (size_t i = 0; i < config->path_count; i++) {
        write_path(out, tunnel, i);
    }
}

/* Bytes of the process that are in memory; 0 when the kernel does not say. */
static uint64_t resident(void)
{
    FILE *in = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;

    if (in == NULL) {
        return 0;
    }
    if (fscanf(in, "%*u %lu", &pages) != 1) {
        pages = 0;
    }
    fclose(in);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What the limits on strangers have come to. */
static void write_strangers(FILE *out, struct braid_group *group)
{
    struct braid_group_info info;

    braid_group_get_info(group, &info);
    fprintf(out, " half-open=%u half-open-memory=%zu turned-away=%" PRIu64, info.half_open,
            info.half_open_memory, info.refused_half_open);
    fprintf(out,
            " turned-away-source=%" PRIu64 " turned-away-failures=%" PRIu64
            " turned-away-key=%" PRIu64 " join-failures=%" PRIu64,
            info.refused_source, info.refused_failing, info.refused_peer, info.failures);
}

static void write_totals(FILE *out, const struct status *status, const struct progress *progress)
{
    struct crew *crew = status->crew;

    fprintf(out, "daemon version=%s pid=%ld uptime=%" PRIu64 " workers=%u state=%s",
            PACKAGE_VERSION, (long)getpid(), clock_now() - status->started, crew->count,
            atomic_load(&crew->draining) ? "draining" : "running");
    fprintf(out,
            " sessions=%u max-sessions=%u memory=%" PRIu64 " max-memory=%" PRIu64 " rss=%" PRIu64,
            limits_sessions(&crew->limits), crew->limits.max_sessions, progress->memory,
            crew->config->max_memory, resident());
    write_strangers(out, crew->group);
    record_value(out, "config", crew->config->file);
    putc('\n', out);
    for (size_t i = 0; i < crew->config->tunnel_count; i++) {
        write_tunnel(out, &crew->tunnels[i]);
    }
}

/* On main's thread: the worker's answer. */
static void deliver_answer(struct mail *mail, void *owner)
{
    struct question *question = (struct question *)mail;
    struct progress *progress = question->progress;
    struct crew *crew = question->status->crew;

    if (owner != NULL && !question->failed) {
        progress->memory += question->memory;
        progress->after = question->after;
        if (!question->more) {
            progress->worker++;
            progress->after = 0;
        }
        control_answer_give(question->answer, question->text == NULL ? "" : question->text,
                            question->length,
                            progress->measured && progress->worker == crew->count);
    } else {
        control_answer_break(question->answer);
    }
    free(question->text);
    free(question);
}

/* On the worker's thread. */
static void deliver_question(struct mail *mail, void *owner)
{
    struct question *question = (struct question *)mail;
    const struct worker *worker = owner;
    FILE *out;

    mail->deliver = deliver_answer;
    if (worker == NULL) {
        /* The worker went away; main, which waits for that, is the only thread left. */
        deliver_answer(mail, NULL);
        return;
    }
    if (question->measuring) {
        question->memory = braid_context_get_memory(worker_context(worker));
    } else if ((out = open_memstream(&question->text, &question->length)) != NULL) {
        question->more = worker_write_sessions(worker, &question->after, SESSIONS_PER_PIECE, out);
        fclose(out);
    } else {
        question->failed = true;
    }
    mailbox_post(question->status->crew->main, mail);
}

static void ask_worker(struct status *status, struct control_answer *answer,
                       struct progress *progress)
{
    struct question *question = calloc(1, sizeof(*question));

    if (question == NULL) {
        control_answer_break(answer);
        return;
    }
    question->mail.deliver = deliver_question;
    question->status = status;
    question->answer = answer;
    question->progress = progress;
    question->measuring = !progress->measured;
    question->after = progress->after;
    mailbox_post(worker_mailbox(status->crew->workers[progress->worker]), &question->mail);
}

static void give_totals(struct status *status, struct control_answer *answer,
                        const struct progress *progress)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    if (out == NULL) {
        control_answer_break(answer);
        return;
    }
    write_totals(out, status, progress);
    fclose(out);
    control_answer_give(answer, text, length, false);
    free(text);
}

static void more(struct control_answer *answer, void *state, void *arg)
{
    struct status *status = arg;
    struct progress *progress = state;

    if (!progress->measured && progress->worker == status->crew->count) {
        progress->measured = true;
        progress->worker = 0;
        give_totals(status, answer, progress);
        return;
    }
    ask_worker(status, answer, progress);
}

struct control_source status_source(struct status *status)
{
    return (struct control_source){
        .state_size = sizeof(struct progress), .more = more, .arg = status};
}
