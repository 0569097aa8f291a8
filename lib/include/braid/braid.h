/* SPDX-License-Identifier: MIT */
/**
 * @file braid/braid.h
 * @brief All of libbraid: TCP streams carried over several TCP connections at once.
 */
#ifndef BRAID_BRAID_H
#define BRAID_BRAID_H

#include <braid/address.h>
#include <braid/context.h>
#include <braid/dial.h>
#include <braid/error.h>
#include <braid/listener.h>
#include <braid/options.h>
#include <braid/path.h>
#include <braid/security.h>
#include <braid/stream.h>

#endif
