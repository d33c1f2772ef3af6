/* SPDX-License-Identifier: ISC */
/*
 * setup.h - the configuration, told to each room in its own words. Reads key files; opens nothing else.
 */
#ifndef MCLAGD_SETUP_H
#define MCLAGD_SETUP_H

#include "core/domain.h"
#include "mclagd/config.h"
#include "mclagd/switch.h"
#include "peerlink/path.h"
#include "peerlink/pki.h"

#define SETUP_WHY_SIZE 512

struct tls;

/* mclags: room for CONFIG_MCLAGS_MAX, referred to by the result. 0, or -EINVAL with the reason in why. */
int setup_domain(const struct config *c, const struct switch_facts *facts, uint64_t boot_id,
		 struct domain_config *d, struct mclag_config *mclags, char why[static SETUP_WHY_SIZE]);
/* Index 0 is the peer link. Returns how many. port: TCP or UDP, as the user of the paths needs. */
size_t setup_paths(const struct config *c, uint16_t port, struct path paths[static PATH_MAX_COUNT]);
/* 0, or -errno naming the file and what is wrong. */
int setup_tls(const struct config_keys *k, struct tls **tls, char why[static SETUP_WHY_SIZE]);
int setup_secret(const struct config_keys *k, struct secret *secret, char why[static SETUP_WHY_SIZE]);

#endif
