/* SPDX-License-Identifier: ISC */
/*
 * ctl/keys.h - `mclagctl pki init DIR`: both leaves' keys in one go. Talks to no daemon.
 */
#ifndef CTL_KEYS_H
#define CTL_KEYS_H

#include <stddef.h>
#include <stdio.h>

#define KEYS_WHY_SIZE 512

/*
 * Makes `directory` (it may be there already) with leaf1 and leaf2 in it, each with cert.pem, key.pem,
 * peer.pin and keepalive.secret, and prints to `out` what to copy where and the lines for the configuration.
 * Refuses when leaf1 or leaf2 is there. 0, or -errno with one line in `why`; what was made is taken away
 * again then.
 */
int keys_init(const char *directory, FILE *out, char *why, size_t size);

#endif
