/* SPDX-License-Identifier: MIT */
#include "cli/command_keygen.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <braid/security.h>

#include "cli/exit.h"

void command_keygen_help(FILE *out)
{
    fputs("Usage: braid keygen [--name NAME]\n"
          "\n"
          "Prints a fresh key for braidd, in the form of a key file, to be copied to both ends:\n"
          "\n"
          "  braid keygen --name laptop > laptop.key\n"
          "\n"
          "  -n, --name NAME  what logs and status call it (a name made up at random)\n"
          "  -h, --help       this text\n",
          out);
}

/* So that several keys made without a thought can be told apart. */
static int make_up_name(char *name, size_t size)
{
    unsigned number;

    if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number)) {
        fprintf(stderr, "braid keygen: no random numbers: %s\n", strerror(errno));
        return -1;
    }
    snprintf(name, size, "key-%08x", number);
    return 0;
}

/* The shell has made the file as its umask says; nobody else is to read what comes now. */
static int close_to_others(void)
{
    struct stat st;

    if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0 &&
        fchmod(STDOUT_FILENO, 0600) != 0) {
        fprintf(stderr, "braid keygen: cannot close the file to others (chmod 600): %s\n",
                strerror(errno));
        return -1;
    }
    return 0;
}

/* Writes past stdio, which would keep a copy. */
static int print_key(const char *name)
{
    char text[BRAID_KEY_TEXT_MAX];
    size_t length = 0;
    size_t written = 0;
    int result = braid_key_generate(name, text, sizeof(text));

    if (result != 0) {
        fprintf(stderr, "braid keygen: no random numbers\n");
        return EXIT_FAILURE;
    }
    length = strlen(text);
    while (written < length) {
        ssize_t n = write(STDOUT_FILENO, text + written, length - written);

        if (n < 0 && errno != EINTR) {
            fprintf(stderr, "braid keygen: standard output: %s\n", strerror(errno));
            break;
        }
        written += n > 0 ? (size_t)n : 0;
    }
    explicit_bzero(text, sizeof(text));
    return written == length ? exit_flushed() : EXIT_FAILURE;
}

int command_keygen(int argc, char **argv)
{
    static const struct option options[] = {
        {"name", required_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    char made_up[32];
    const char *name = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "n:h", options, NULL)) != -1) {
        switch (option) {
        case 'n':
            name = optarg;
            break;
        case 'h':
            command_keygen_help(stdout);
            return exit_flushed();
        default: /* getopt has said what is wrong */
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr,
                "braid keygen: takes no argument, but got \"%s\"; try: braid keygen --help\n",
                argv[optind]);
        return EXIT_USAGE;
    }
    if (name != NULL && !braid_name_is_valid(name)) {
        fprintf(stderr, "braid keygen: --name takes 1 to 64 of A-Z a-z 0-9 _ . -\n");
        return EXIT_USAGE;
    }
    if (name == NULL) {
        if (make_up_name(made_up, sizeof(made_up)) != 0) {
            return EXIT_FAILURE;
        }
        name = made_up;
    }
    return close_to_others() != 0 ? EXIT_FAILURE : print_key(name);
}
