/* SPDX-License-Identifier: MIT */
/*
 * The simulator by hand: one scenario or random run, with its timeline, or many random runs.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"

struct options {
    const char *scenario;
    uint64_t seed;
    uint64_t runs;
    bool trace;
    bool list;
};

static void usage(FILE *out)
{
    fputs("usage: sim [--seed N] [--runs N] [--scenario NAME] [--trace] [--list]\n"
          "  --seed N         the (first) random run, or the seed of the scenario; default 1\n"
          "  --runs N         so many random runs, on every processor\n"
          "  --scenario NAME  one of the table\n"
          "  --trace          print the timeline\n"
          "  --list           print the names of the table\n",
          out);
}

static int parse(struct options *options, int argc, char **argv)
{
    static const struct option longs[] = {
        {"seed", required_argument, NULL, 's'},
        {"runs", required_argument, NULL, 'r'},
        {"scenario", required_argument, NULL, 'n'},
        {"trace", no_argument, NULL, 't'},
        {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 's':
            options->seed = strtoull(optarg, NULL, 10);
            break;
        case 'r':
            options->runs = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            options->scenario = optarg;
            break;
        case 't':
            options->trace = true;
            break;
        case 'l':
            options->list = true;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            return -1;
        }
    }
    return optind == argc ? 0 : -1;
}

static int run_many(const struct options *options)
{
    struct sim_batch batch = {.first = options->seed, .runs = options->runs};

    sim_batch_run(&batch);
    sim_counters_print(&batch.counters, stdout);
    if (batch.failure[0]) {
        printf("FAIL %s\nreplay: tests/sim/sim --seed %" PRIu64 " --trace\n", batch.failure,
               batch.failed_seed);
        return 1;
    }
    return 0;
}

static int run_one(const struct options *options)
{
    struct sim_scenario drawn;
    const struct sim_scenario *scenario = &drawn;
    struct sim_counters counters = {0};
    struct sim_result result;

    if (options->scenario) {
        scenario = sim_scenario_find(options->scenario);
        if (!scenario) {
            fprintf(stderr, "sim: there is no scenario %s; --list names them\n", options->scenario);
            return 2;
        }
    } else {
        sim_scenario_draw(&drawn, options->seed);
    }
    sim_run(scenario, options->seed, options->trace ? stdout : NULL, &result, &counters);
    sim_counters_print(&counters, stdout);
    printf("ended at %.6f s of %.1f s allowed, longest gap %.6f s, timeline %016" PRIx64 "\n",
           (double)counters.virtual_time / 1e6, (double)scenario->budget / 1e6,
           (double)result.longest_gap / 1e6, result.hash);
    printf("%s%s\n", result.failed ? "FAIL " : "passed", result.failed ? result.failure : "");
    return result.failed;
}

int main(int argc, char **argv)
{
    struct options options = {.seed = 1};

    if (parse(&options, argc, argv) != 0) {
        usage(stderr);
        return 2;
    }
    if (options.list) {
        for (unsigned i = 0; i < sim_scenario_count; i++) {
            puts(sim_scenarios[i].name);
        }
        return 0;
    }
    return options.runs ? run_many(&options) : run_one(&options);
}
