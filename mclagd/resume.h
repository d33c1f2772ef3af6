/* SPDX-License-Identifier: ISC */
/*
 * resume.h - what survives a restart of the daemon, as a file in the state directory.
 *
 * The file counts only for the kernel, the network namespace, the domain and the node it was written for, in
 * the version that wrote it, and whole: anything else is a reason to start fresh. It says what the daemon
 * knew; what the dataplane really does is for the caller to compare. Secrets are never in it.
 */
#ifndef MCLAGD_RESUME_H
#define MCLAGD_RESUME_H

#include "core/domain.h"

#define RESUME_VERSION   1
#define RESUME_FILE      "resume.json"
#define RESUME_WHY_SIZE  320
#define RESUME_BOOT_SIZE 37 /* a UUID */

/* Whom a file is for. */
struct resume_origin {
	char kernel_boot[RESUME_BOOT_SIZE];
	uint64_t netns; /* inode of the network namespace */
	uint16_t domain;
	uint8_t node;
	struct mac system;
};

/* Fills in kernel_boot and netns of this process; the rest is the caller's. 0 or -errno. */
int resume_origin_here(struct resume_origin *o, char why[static RESUME_WHY_SIZE]);

/* Replaces the file in dir in one rename, mode 0600. 0 or -errno. */
int resume_save(const char *dir, const struct resume_origin *o, const struct resume *r,
		char why[static RESUME_WHY_SIZE]);

/* 0, r to be given to resume_clear(). -ENOENT: there is none. Other -errno: it does not count, for the reason
 * in why. r->legs is never NULL, and ascending by mclag. */
int resume_load(const char *dir, const struct resume_origin *o, struct resume *r,
		char why[static RESUME_WHY_SIZE]);
void resume_clear(struct resume *r);

/* Brings what the file says to what the dataplane does: a leg forwards, and the peer link is open, only where
 * both say so; a leg is isolated where the dataplane says so; legs that the dataplane does not know go.
 * Returns how many legs still forward. */
struct switch_leg;
size_t resume_confirm(struct resume *r, const struct switch_leg *legs, size_t count, bool peer_link_open);

#endif
