/* SPDX-License-Identifier: MIT */
/*
 * Certificates for tests: made when they are asked for, as files in a directory that
 * certificates_remove() takes away.
 */
#ifndef BRAID_TEST_CERTIFICATES_H
#define BRAID_TEST_CERTIFICATES_H

struct certificate_files {
    char certificate[128];
    char private_key[128];
    char ca[128]; /* that the others' are signed by */
};

/*
 * One that bears the name, signed by the authority that all share. "stranger!name": by another;
 * "expired!name": until yesterday.
 */
void certificates_for(const char *name, struct certificate_files *files);

void certificates_remove(void);

#endif
