/* SPDX-License-Identifier: MIT */
/*
 * What must hold between the keys of a configuration. Values alone were checked when they were
 * read; where one was refused, nothing is concluded from it here.
 */
#ifndef BRAIDD_CONFIG_CHECK_H
#define BRAIDD_CONFIG_CHECK_H

struct config;
struct config_ini;
struct config_report;

void config_check(const struct config *config, const struct config_ini *ini,
                  struct config_report *report);

#endif
