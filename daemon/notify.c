/* SPDX-License-Identifier: MIT */
#include "daemon/notify.h"

#ifdef HAVE_LIBSYSTEMD

#include <systemd/sd-daemon.h>

void notify_ready(void)
{
    (void)sd_notify(0, "READY=1");
}

void notify_stopping(unsigned sessions)
{
    (void)sd_notifyf(0, "STOPPING=1\nSTATUS=Draining: %u sessions were left.", sessions);
}

int notify_take_sockets(int *first)
{
    *first = SD_LISTEN_FDS_START;
    return sd_listen_fds(1);
}

#else

void notify_ready(void)
{
}

void notify_stopping(unsigned sessions)
{
    (void)sessions;
}

int notify_take_sockets(int *first)
{
    *first = -1;
    return 0;
}

#endif
