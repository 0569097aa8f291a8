/* SPDX-License-Identifier: MIT */
/* How the program ends. */
#ifndef BRAID_CLI_EXIT_H
#define BRAID_CLI_EXIT_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The exit status for a command line that makes no sense. */
#define EXIT_USAGE 2

/* The exit status after all was written: a success only when standard output took it. */
static inline int exit_flushed(void)
{
    if (fclose(stdout) != 0) {
        fprintf(stderr, "braid: standard output: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

#endif
