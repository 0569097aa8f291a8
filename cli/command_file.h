/* SPDX-License-Identifier: MIT */
/* braid server and braid client: one file, pushed or pulled. */
#ifndef BRAID_CLI_COMMAND_FILE_H
#define BRAID_CLI_COMMAND_FILE_H

/* argv[0] is "braid server" or "braid client"; each returns the exit status. */
int command_server(int argc, char **argv);
int command_client(int argc, char **argv);

#endif
