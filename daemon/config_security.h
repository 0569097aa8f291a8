/* SPDX-License-Identifier: MIT */
/*
 * What protects each tunnel: its keys or certificates, read from their files; or that nothing does,
 * and is meant to.
 */
#ifndef BRAIDD_CONFIG_SECURITY_H
#define BRAIDD_CONFIG_SECURITY_H

struct config;
struct config_ini;
struct config_report;

/* Fills in the protection of all tunnels; reports what is missing or does not go together. */
void config_security_resolve(struct config *config, const struct config_ini *ini,
                             struct config_report *report);

#endif
