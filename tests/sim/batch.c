/* SPDX-License-Identifier: MIT */
#include "batch.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS_MAX 32
#define RUN_SECONDS 120 /* of real time, before a run is taken for an endless loop */

struct worker {
    uint64_t seed; /* of the run it is at */
    bool failed;
    char failure[256];
    struct sim_counters counters;
};

/* In memory that the processes share. */
struct shared {
    _Atomic bool stop;
    _Atomic uint64_t next;
    struct worker workers[WORKERS_MAX];
};

static void work(struct shared *shared, struct worker *worker, uint64_t end)
{
    while (!shared->stop) {
        struct sim_scenario scenario;
        struct sim_result result;
        uint64_t seed = shared->next++;

        if (seed >= end) {
            break;
        }
        worker->seed = seed;
        alarm(RUN_SECONDS);
        sim_scenario_draw(&scenario, seed);
        sim_run(&scenario, seed, NULL, &result, &worker->counters);
        if (result.failed) {
            worker->failed = true;
            memcpy(worker->failure, result.failure, sizeof(worker->failure));
            shared->stop = true;
        }
    }
}

static void collect(struct sim_batch *batch, struct worker *worker, int status)
{
    if (WIFSIGNALED(status)) {
        worker->failed = true;
        snprintf(worker->failure, sizeof(worker->failure), "killed by signal %d (%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) != 0 && !worker->failed) {
        worker->failed = true;
        snprintf(worker->failure, sizeof(worker->failure), "exited with %d", WEXITSTATUS(status));
    }
    if (worker->failed && (batch->failure[0] == '\0' || worker->seed < batch->failed_seed)) {
        batch->failed_seed = worker->seed;
        memcpy(batch->failure, worker->failure, sizeof(batch->failure));
    }
    sim_counters_add(&batch->counters, &worker->counters);
}

void sim_batch_run(struct sim_batch *batch)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int workers = cpus < 1 ? 1 : cpus > WORKERS_MAX ? WORKERS_MAX : (int)cpus;
    pid_t pids[WORKERS_MAX];
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (shared == MAP_FAILED) {
        abort();
    }
    shared->next = batch->first;
    fflush(NULL);
    for (int i = 0; i < workers; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            signal(SIGALRM, SIG_DFL);
            work(shared, &shared->workers[i], batch->first + batch->runs);
            exit(shared->workers[i].failed ? 1 : 0); /* not _exit: leaks are looked for */
        }
    }
    for (int left = workers; left > 0; left--) {
        int status = 0;
        pid_t pid = wait(&status); /* any: the others stop soon after one that failed */
        int i = 0;
        while (i < workers && (pid <= 0 || pids[i] != pid)) {
            i++;
        }
        if (i < workers) {
            collect(batch, &shared->workers[i], status);
            shared->stop |= batch->failure[0] != '\0';
        } else {
            snprintf(batch->failure, sizeof(batch->failure), "a process could not be started");
        }
    }
    munmap(shared, sizeof(*shared));
}

void sim_counters_print(const struct sim_counters *c, FILE *out)
{
    fprintf(out,
            "%" PRIu64 " runs, %.0f virtual seconds, %.1f MiB delivered, %.1f MiB sent again\n",
            c->runs, (double)c->virtual_time / 1e6, (double)c->bytes / 1048576.0,
            (double)c->resent / 1048576.0);
    fprintf(out,
            "%" PRIu64 " subflows dialled, %" PRIu64 " lost, %" PRIu64 " refused; %" PRIu64
            " segments swallowed, %" PRIu64 " dropped\n",
            c->dials, c->lost, c->refused, c->swallowed, c->dropped);
    fprintf(out,
            "%" PRIu64 " in redundant mode, %" PRIu64 " with backup paths, %" PRIu64
            " in the seed's format, %" PRIu64 " aborts by applications\nends:",
            c->redundant, c->backups, c->seeds, c->aborted);
    for (int i = 0; i < SIM_ENDS; i++) {
        if (c->ends[i] > 0) {
            fprintf(out, " %" PRIu64 " %s;", c->ends[i], i ? braid_strerror(i) : "in order");
        }
    }
    fputs("\nfaults:", out);
    for (unsigned i = SIM_FAULT_NONE + 1; i < SIM_FAULTS; i++) {
        fprintf(out, " %s %" PRIu64, sim_fault_name((enum sim_fault_kind)i), c->faults[i]);
    }
    fputc('\n', out);
}
