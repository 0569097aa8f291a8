/* SPDX-License-Identifier: MIT */
/* A TAP interface in a network namespace; it is gone when its descriptor is closed. */
#ifndef LAB_TAP_H
#define LAB_TAP_H

#include <stdbool.h>

/* A non-blocking descriptor; -1 with errno. Frames are as on a wire: no segmentation offload. */
int tap_open(int namespace_fd, const char *name);

/* Lets the interface have or lose its carrier; 0, or -1 with errno. */
int tap_set_carrier(int fd, bool on);

#endif
