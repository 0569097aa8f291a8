/* SPDX-License-Identifier: MIT */
#include "cli/control_client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PROTOCOL "braid/1"
/* Of silence; the daemon makes an honest client wait at most half of that for its turn. */
#define PATIENCE_SECONDS 10
/* No line of the protocol comes near this. */
#define LINE_MAX_BYTES 65536

static int fail(char *error, size_t size, const char *path, const char *what)
{
    snprintf(error, size, "%s: %s", path, what);
    return -1;
}

static int fail_errno(char *error, size_t size, const char *path)
{
    const char *advice = "";
    char what[256];

    if (errno == ENOENT || errno == ECONNREFUSED) {
        advice = "; is braidd running, and is this its `control = ` (else give --control PATH)?";
    } else if (errno == EACCES) {
        advice = "; only root and the group of the socket may ask";
    } else if (errno == EAGAIN) {
        snprintf(what, sizeof(what), "no answer for %d seconds", PATIENCE_SECONDS);
        return fail(error, size, path, what);
    }
    snprintf(what, sizeof(what), "%s%s", strerror(errno), advice);
    return fail(error, size, path, what);
}

static int connect_to(const char *path)
{
    const struct timeval patience = {PATIENCE_SECONDS, 0};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int saved;
    int fd;

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
        return fd;
    }
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* Reads a line and takes its newline off. 1, 0 at the end, -1 with errno. */
static int read_line(FILE *in, char *line)
{
    size_t length;

    errno = 0;
    if (fgets(line, LINE_MAX_BYTES, in) == NULL) {
        return ferror(in) ? -1 : 0;
    }
    length = strlen(line);
    if (length == 0 || line[length - 1] != '\n') {
        errno = EPROTO;
        return -1;
    }
    line[length - 1] = '\0';
    return 1;
}

static int read_answer(FILE *in, const char *path, char *line, control_client_line_cb cb, void *arg,
                       char *error, size_t size)
{
    bool first = true;
    int got;

    while ((got = read_line(in, line)) > 0) {
        const char *wrong = NULL;

        if (!first && strcmp(line, "end") == 0) {
            return 0;
        }
        if (!first) {
            wrong = cb(line, arg);
        } else if (strncmp(line, PROTOCOL " error ", sizeof(PROTOCOL " error ") - 1) == 0) {
            return fail(error, size, path, line + sizeof(PROTOCOL " error ") - 1);
        } else if (strcmp(line, PROTOCOL " ok") != 0) {
            wrong = "the answer is not " PROTOCOL "'s; is that braidd?";
        }
        if (wrong != NULL) {
            return fail(error, size, path, wrong);
        }
        first = false;
    }
    return got < 0 ? fail_errno(error, size, path)
                   : fail(error, size, path, "the answer broke off; ask again");
}

int control_client_ask(const char *path, const char *command, control_client_line_cb cb, void *arg,
                       char *error, size_t size)
{
    char *line = malloc(LINE_MAX_BYTES);
    FILE *in = NULL;
    int result = -1;
    int fd;

    if (line == NULL) {
        return fail(error, size, path, "out of memory");
    }
    fd = connect_to(path);
    if (fd < 0 || dprintf(fd, PROTOCOL " %s\n", command) < 0 || (in = fdopen(fd, "r")) == NULL) {
        result = fail_errno(error, size, path);
    } else {
        result = read_answer(in, path, line, cb, arg, error, size);
    }
    if (in != NULL) {
        fclose(in);
    } else if (fd >= 0) {
        close(fd);
    }
    free(line);
    return result;
}
