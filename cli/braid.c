/* SPDX-License-Identifier: MIT */
/*
 * braid: the commands for people. Each command has a file of its own and reads its own options.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command_file.h"
#include "cli/command_keygen.h"
#include "cli/command_status.h"
#include "cli/exit.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
};

static const struct command commands[] = {
    {"server", command_server, "wait for a client, and push a file to it or pull one from it"},
    {"client", command_client, "connect to a server, and push a file to it or pull one from it"},
    {"keygen", command_keygen, "print a fresh key for braidd"},
    {"status", command_status, "show braidd's tunnels, sessions and subflows"},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *out)
{
    fputs("Usage: braid COMMAND [OPTION...]\n"
          "\n"
          "braid carries TCP connections over several TCP connections at once; braidd(8) does so\n"
          "for programs that know nothing of it; this one asks braidd, and moves files by itself.\n"
          "\n"
          "Commands:\n",
          out);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    }
    fputs("\n"
          "  -V, --version  the version\n"
          "  -h, --help     this text; with a command, the text on that\n",
          out);
}

/*
 * What is closed of standard input, output and error stays closed for use, but its number is taken:
 * else a socket would get it, and what is printed would go out there.
 */
static void keep_standard_numbers(void)
{
    int taken = STDIN_FILENO;

    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO && taken >= 0; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            taken = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    keep_standard_numbers();
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            /* getopt(3) puts argv[0] before what it has to say. */
            char who[64];

            snprintf(who, sizeof(who), "braid %s", name);
            argv[1] = who;
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_help(stdout);
        return exit_flushed();
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("braid %s\n", PACKAGE_VERSION);
        return exit_flushed();
    }
    if (*name == '\0') {
        fputs("braid: no command given; try: braid --help\n", stderr);
    } else {
        fprintf(stderr, "braid: \"%s\" is no command; try: braid --help\n", name);
    }
    return EXIT_USAGE;
}
