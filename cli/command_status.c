/* SPDX-License-Identifier: MIT */
#include "cli/command_status.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>

#include "cli/control_client.h"
#include "cli/exit.h"
#include "cli/status.h"
#include "cli/status_print.h"

void command_status_help(FILE *out)
{
    fputs("Usage: braid status [--json] [--control PATH]\n"
          "\n"
          "Shows braidd's tunnels, their sessions, and the subflows of each.\n"
          "\n"
          "  -j, --json          one JSON object: bytes, microseconds, bytes a second\n"
          "  -c, --control PATH  braidd's control socket (" CONTROL_CLIENT_PATH ")\n"
          "  -h, --help          this text\n",
          out);
}

static const char *take_line(char *line, void *arg)
{
    return status_take_line(arg, line);
}

static int ask_and_print(const char *path, bool as_json)
{
    struct status *status = status_new();
    char error[512] = "out of memory";
    int result = -1;

    if (status != NULL &&
        control_client_ask(path, "status", take_line, status, error, sizeof(error)) == 0) {
        if (as_json) {
            status_print_json(status, stdout);
            result = 0;
        } else {
            result = status_print_table(status, stdout);
            snprintf(error, sizeof(error), "out of memory");
        }
    }
    status_free(status);
    if (result != 0) {
        fprintf(stderr, "braid status: %s\n", error);
        return EXIT_FAILURE;
    }
    return exit_flushed();
}

int command_status(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"control", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *path = CONTROL_CLIENT_PATH;
    bool as_json = false;
    int option;

    while ((option = getopt_long(argc, argv, "jc:h", options, NULL)) != -1) {
        switch (option) {
        case 'j':
            as_json = true;
            break;
        case 'c':
            path = optarg;
            break;
        case 'h':
            command_status_help(stdout);
            return exit_flushed();
        default: /* getopt has said what is wrong */
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr,
                "braid status: takes no argument, but got \"%s\"; try: braid status --help\n",
                argv[optind]);
        return EXIT_USAGE;
    }
    return ask_and_print(path, as_json);
}
