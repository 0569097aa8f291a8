/* SPDX-License-Identifier: MIT */
#include "cli/file_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"

#define GRACE_DEFAULT 60u /* seconds */
#define GRACE_MAX 3600u

static void print_help(const struct file_options *options)
{
    bool server = options->server;

    printf("Usage: %s [OPTION...] ADDRESS push|pull FILE\n\n", options->program);
    puts(server
             ? "Waits for a client that pulls the FILE that is pushed, or pushes one to be pulled."
             : "Connects to a server that pulls the FILE that is pushed, or pushes one to be "
               "pulled.");
    puts(
        "FILE - is standard input or output. A pulled FILE has its name once it is whole.\n"
        "\n"
        "ADDRESS:\n"
        "  mptcp.N://HOST:PORT[,HOST:PORT]...  a session of N subflows (1 to 16), one path a HOST\n"
        "  tcp://HOST:PORT                     one plain TCP connection\n"
        "\n"
        "Options:");
    if (server) {
        puts("  -s, --serve        serve one client after the other, until stopped");
    } else {
        puts("  -p, --path FROM    connect from this interface or address; again: one path each");
    }
    puts(
        "  -k, --key FILE     encrypt, with the key in this file; it is the same at the other end\n"
        "  -i, --insecure     do without encryption, though ADDRESS is not this machine\n"
        "  -g, --grace SECONDS  bear with no subflow for so long (60)\n"
        "      --protocol seed  speak to programs of Banyc/mptcp, from which this one has grown\n"
        "      --bare-end     with that, pull: all connections ended, so this is all, as these\n"
        "                     programs have it; a file that was cut short may look the same\n"
        "  -h, --help         this text");
}

static int usage(const struct file_options *options, const char *what, const char *value)
{
    fprintf(stderr, "%s: %s%s%s; try: %s --help\n", options->program, what,
            value != NULL ? ": " : "", value != NULL ? value : "", options->program);
    return EXIT_USAGE;
}

static int read_grace(struct file_options *options, const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || value > GRACE_MAX) {
        return usage(options, "--grace takes seconds, 0 to 3600", text);
    }
    options->grace = (unsigned)value * 1000;
    return -1;
}

static int read_protocol(struct file_options *options, const char *name)
{
    options->seed = strcmp(name, "seed") == 0;
    if (!options->seed && strcmp(name, "braid") != 0) {
        return usage(options, "--protocol takes braid or seed", name);
    }
    return -1;
}

/* Returns -1 to go on, or the exit status. */
static int take_option(struct file_options *options, int option)
{
    switch (option) {
    case 's':
        options->serve = true;
        return -1;
    case 'k':
        options->key = optarg;
        return -1;
    case 'i':
        options->insecure = true;
        return -1;
    case 'P':
        return read_protocol(options, optarg);
    case 'B':
        options->bare_end = true;
        return -1;
    case 'g':
        return read_grace(options, optarg);
    case 'p':
        if (options->path_count == FILE_PATHS_MAX) {
            return usage(options, "there are more than 16 paths", NULL);
        }
        options->paths[options->path_count++] = optarg;
        return -1;
    case 'h':
        print_help(options);
        return exit_flushed();
    default:
        return EXIT_USAGE; /* getopt has said what is wrong */
    }
}

/* The same of what the seed's format does not have. */
static int check_seed(const struct file_options *options)
{
    if (options->bare_end && (!options->seed || options->push)) {
        return usage(options, "--bare-end is for pull with --protocol seed", NULL);
    }
    if (options->seed && !options->address.multipath) {
        return usage(options, "--protocol seed is for mptcp.N:// addresses", NULL);
    }
    if (options->seed && options->key != NULL) {
        return usage(options, "--protocol seed is never encrypted: it excludes --key", NULL);
    }
    return -1;
}

/* What must not be together, and what must. Returns -1 to go on, or the exit status. */
static int check(const struct file_options *options)
{
    const char *abroad = address_abroad(&options->address);
    bool standard = strcmp(options->file, "-") == 0;

    if (options->serve && standard) {
        return usage(options, "--serve cannot use standard input or output for many clients", NULL);
    }
    if (options->path_count > 0 && !options->address.multipath) {
        return usage(options, "--path is for mptcp.N:// addresses", NULL);
    }
    if (options->address.subflows != 0 && options->address.subflows < options->path_count) {
        return usage(options, "there are more paths than subflows", NULL);
    }
    if (options->key != NULL && !options->address.multipath) {
        return usage(options, "--key is for mptcp.N:// addresses; tcp:// is never encrypted", NULL);
    }
    if (options->key != NULL && options->insecure) {
        return usage(options, "--key and --insecure exclude each other", NULL);
    }
    if (check_seed(options) != -1) {
        return EXIT_USAGE;
    }
    if (abroad != NULL && options->key == NULL && !options->insecure) {
        fprintf(stderr,
                "%s: %s is not this machine, and nothing would be encrypted: add %s--insecure if "
                "whoever is on the way may read and change the file\n",
                options->program, abroad, options->seed ? "" : "--key FILE (mptcp only), or ");
        return EXIT_USAGE;
    }
    return -1;
}

static int read_arguments(struct file_options *options, char **argument, int count)
{
    char why[512];

    if (count != 3) {
        return usage(options,
                     count < 3 ? "ADDRESS, push or pull, and FILE are needed"
                               : "takes ADDRESS, push or pull, and FILE, but there is more",
                     count < 3 ? NULL : argument[3]);
    }
    options->push = strcmp(argument[1], "push") == 0;
    if (!options->push && strcmp(argument[1], "pull") != 0) {
        return usage(options, "neither push nor pull", argument[1]);
    }
    options->file = argument[2];
    if (*options->file == '\0') {
        return usage(options, "FILE is empty", NULL);
    }
    if (address_parse(&options->address, argument[0], why, sizeof(why)) != 0) {
        return usage(options, why, NULL);
    }
    return check(options);
}

int file_options_parse(struct file_options *options, int argc, char **argv)
{
    static const struct option server_options[] = {
        {"serve", no_argument, NULL, 's'},    {"key", required_argument, NULL, 'k'},
        {"insecure", no_argument, NULL, 'i'}, {"grace", required_argument, NULL, 'g'},
        {"bare-end", no_argument, NULL, 'B'}, {"protocol", required_argument, NULL, 'P'},
        {"help", no_argument, NULL, 'h'},     {NULL, 0, NULL, 0},
    };
    static const struct option client_options[] = {
        {"path", required_argument, NULL, 'p'}, {"key", required_argument, NULL, 'k'},
        {"insecure", no_argument, NULL, 'i'},   {"grace", required_argument, NULL, 'g'},
        {"bare-end", no_argument, NULL, 'B'},   {"protocol", required_argument, NULL, 'P'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0},
    };
    bool server = strcmp(argv[0], "braid server") == 0;
    int result = -1;
    int option;

    memset(options, 0, sizeof(*options));
    options->program = argv[0];
    options->server = server;
    options->grace = GRACE_DEFAULT * 1000;
    while (result == -1 &&
           (option = getopt_long(argc, argv, server ? "sk:ig:h" : "p:k:ig:h",
                                 server ? server_options : client_options, NULL)) != -1) {
        result = take_option(options, option);
    }
    if (result == -1) {
        result = read_arguments(options, argv + optind, argc - optind);
    }
    if (result != -1) {
        file_options_clear(options);
    }
    return result;
}

void file_options_clear(struct file_options *options)
{
    address_clear(&options->address);
}
