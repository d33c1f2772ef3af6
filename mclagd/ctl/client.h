/* SPDX-License-Identifier: ISC */
/*
 * ctl/client.h - asks mclagd one question over its UNIX socket and reads the answers. Blocking.
 */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include "proto/control.pb-c.h"

#include <stddef.h>

#define CLIENT_WHY_SIZE   320
#define CLIENT_TIMEOUT_MS 10000 /* for one Response; none while following events */

/* Embedded by the owner, who gets at its own struct by container_of. */
struct client_reader {
	/* One Response, which is no Error; it lives for the call. Anything but 0 ends the asking and is its
	 * result. */
	int (*answer)(struct client_reader *self, const Mclag__Control__Response *response);
};

/*
 * Asks, and hands each Response to `reader` until the last. Returns 0, what the reader returned, or -errno
 * with one line in `why` that says what happened, why, and what to do. -EREMOTEIO: the daemon answered with
 * an Error, which is in `why`. -EBADMSG: it answered something else than this program understands.
 */
int client_ask(const char *socket_path, const Mclag__Control__Request *request, struct client_reader *reader,
	       char why[static CLIENT_WHY_SIZE]);

#endif
