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
    bool measure;
};

static void usage(FILE *out)
{
    fputs("usage: sim [--seed N] [--runs N] [--scenario NAME] [--trace] [--list | --measure]\n"
          "  --seed N         the (first) random run, or the seed of the scenario; default 1\n"
          "  --runs N         so many random runs, on every processor\n"
          "  --scenario NAME  one of the tables\n"
          "  --trace          print the timeline, and how each subflow is every 10 ms\n"
          "  --list           print the names in the tables\n"
          "  --measure        print what each of them, or that one, may need and what it needs\n",
          out);
}

static int parse(struct options *options, int argc, char **argv)
{
    static const struct option longs[] = {
        {"seed", required_argument, NULL, 's'},     {"runs", required_argument, NULL, 'r'},
        {"scenario", required_argument, NULL, 'n'}, {"trace", no_argument, NULL, 't'},
        {"list", no_argument, NULL, 'l'},           {"measure", no_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
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
        case 'm':
            options->measure = true;
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

static void print_result(const struct sim_scenario *scenario, const struct sim_result *result,
                         const struct sim_counters *counters)
{
    printf("ended at %.6f s of %.3f s allowed, last byte at %.6f s, first %.6f s, "
           "longest gap %.6f s, timeline %016" PRIx64 "\n",
           (double)counters->virtual_time / 1e6, (double)scenario->budget / 1e6,
           (double)result->last_byte / 1e6, (double)result->first_byte / 1e6,
           (double)result->longest_gap / 1e6, result->hash);
    printf("goodput %.3f Mbit/s, %.2f thousandths sent again", (double)result->goodput / 1e6,
           counters->bytes ? (double)counters->resent * 1000 / (double)counters->bytes : 0);
    if (result->round_trip) {
        printf(", median round trip %.3f ms", (double)result->round_trip / 1e3);
    }
    for (unsigned i = 0; i < SIM_USES_MAX && scenario->uses[i].until; i++) {
        printf(", path %u %.3f to %.3f s: %" PRIu64 " bytes", scenario->uses[i].path,
               (double)scenario->uses[i].from / 1e6, (double)scenario->uses[i].until / 1e6,
               result->used[i]);
    }
    putchar('\n');
    if (scenario->versus.percent) {
        uint64_t plain =
            sim_plain_transfer(&scenario->paths[scenario->versus.path], counters->bytes, 1);
        printf("%.3f of plain TCP over path %u, which takes %.6f s\n",
               (double)plain / (double)result->last_byte, scenario->versus.path,
               (double)plain / 1e6);
    }
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
    print_result(scenario, &result, &counters);
    printf("%s%s\n", result.failed ? "FAIL " : "passed", result.failed ? result.failure : "");
    return result.failed;
}

/* ---- what the budgets are made from ---- */

static void compare(const char *what, double allowed, double needed)
{
    if (allowed > 0) {
        printf(", %s %.6g of %.6g", what, needed, allowed);
    }
}

/* Without its bounds, so that it goes on to its end; then what they are beside it. */
static void measure(const struct sim_scenario *scenario, uint64_t seed)
{
    struct sim_scenario s = *scenario;
    struct sim_counters counters = {0};
    struct sim_result result;
    uint64_t rates = 0;

    s.budget = 10 * scenario->budget;
    s.max_gap = s.max_first_byte = s.max_round_trip = 0;
    s.max_resent = s.goodput = s.max_dials = s.min_dials = s.min_refused = 0;
    s.versus.percent = 0;
    for (unsigned i = 0; i < SIM_USES_MAX; i++) {
        s.uses[i].least = s.uses[i].most = 0;
    }
    for (unsigned i = 0; i < SIM_PATHS_MAX; i++) {
        rates += s.paths[i].rate;
    }
    sim_run(&s, seed, NULL, &result, &counters);
    printf("%-34s ends %.6g of %.6g", s.name, (double)counters.virtual_time / 1e3,
           (double)scenario->budget / 1e3);
    compare("gap", (double)scenario->max_gap / 1e3, (double)result.longest_gap / 1e3);
    compare("first", (double)scenario->max_first_byte / 1e3, (double)result.first_byte / 1e3);
    compare("round", (double)scenario->max_round_trip / 1e3, (double)result.round_trip / 1e3);
    compare("goodput", scenario->goodput, (double)result.goodput * 1000 / (double)rates);
    compare("again", scenario->max_resent,
            (double)counters.resent * 1000 / (double)(counters.bytes ? counters.bytes : 1));
    if (scenario->versus.percent) {
        uint64_t plain = sim_plain_transfer(&s.paths[scenario->versus.path], counters.bytes, seed);
        compare("plain", scenario->versus.percent, (double)plain * 100 / (double)result.last_byte);
    }
    for (unsigned i = 0; i < SIM_USES_MAX; i++) {
        const struct sim_use *use = &scenario->uses[i];
        compare(use->least ? "used" : "spared", (double)(use->least + use->most) / 1e3,
                (double)result.used[i] / 1e3);
    }
    printf("%s%s\n", result.failed ? " FAIL " : "", result.failed ? result.failure : "");
}

static void measure_all(const struct options *options)
{
    const struct sim_scenario *scenario;

    for (unsigned i = 0; (scenario = sim_scenario_at(i)); i++) {
        if (!options->scenario || strcmp(options->scenario, scenario->name) == 0) {
            measure(scenario, options->seed);
        }
    }
}

int main(int argc, char **argv)
{
    struct options options = {.seed = 1};

    if (parse(&options, argc, argv) != 0) {
        usage(stderr);
        return 2;
    }
    if (options.list) {
        for (unsigned i = 0; sim_scenario_at(i); i++) {
            puts(sim_scenario_at(i)->name);
        }
        return 0;
    }
    if (options.measure) {
        measure_all(&options);
        return 0;
    }
    return options.runs ? run_many(&options) : run_one(&options);
}
