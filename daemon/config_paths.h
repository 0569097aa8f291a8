/* SPDX-License-Identifier: MIT */
/*
 * Which paths each [local] tunnel has: its [path] sections, or one for each of its remotes where
 * there is no such section.
 */
#ifndef BRAIDD_CONFIG_PATHS_H
#define BRAIDD_CONFIG_PATHS_H

struct config;
struct config_ini;
struct config_report;

/* Fills in the paths of all tunnels, and their subflows; reports what does not go together. */
void config_paths_resolve(struct config *config, const struct config_ini *ini,
                          struct config_report *report);

#endif
