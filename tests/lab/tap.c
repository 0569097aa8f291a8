/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tap.h"

/* The interface belongs to the namespace that this thread is in now. */
static int open_here(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    int saved;

    if (fd < 0)
        return -1;
    if (strlen(name) >= sizeof request.ifr_name) {
        close(fd);
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(request.ifr_name, name, strlen(name) + 1);
    if (ioctl(fd, TUNSETIFF, &request) == 0 && ioctl(fd, TUNSETOFFLOAD, 0) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int tap_open(int namespace_fd, const char *name)
{
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int fd = -1;
    int saved;

    if (home < 0)
        return -1;
    if (setns(namespace_fd, CLONE_NEWNET) == 0) {
        fd = open_here(name);
        saved = errno;
        if (setns(home, CLONE_NEWNET) < 0 && fd >= 0) {
            saved = errno;
            close(fd);
            fd = -1;
        }
    } else {
        saved = errno;
    }
    close(home);
    errno = saved;
    return fd;
}

int tap_set_carrier(int fd, bool on)
{
    int value = on;

    return ioctl(fd, TUNSETCARRIER, &value);
}
