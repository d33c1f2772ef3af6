/* SPDX-License-Identifier: ISC */
/*
 * One connection to the peer, from TCP through TLS to frames, and through a polite close to its end. It knows
 * nothing of dialling again, of listening, or of other connections: peerlink.c decides those.
 *
 * A life: conn_dial or conn_take -> opened -> frames -> ended, or straight to ended. Callbacks come from the
 * loop only; `ended` is the last, and its owner calls conn_destroy in it. In the others the owner may do
 * anything but that.
 */
#ifndef PEERLINK_CONN_H
#define PEERLINK_CONN_H

#include "peerlink/path.h"
#include "peerlink/peerlink.h"
#include "peerlink/tls.h"

struct conn;

/* Embedded by the owner, recovered by container_of. */
struct conn_owner {
	void (*opened)(struct conn_owner *owner, struct conn *c);
	void (*frame)(struct conn_owner *owner, struct conn *c, const uint8_t *bytes, size_t len);
	void (*writable)(struct conn_owner *owner, struct conn *c);
	/* `text` lives until conn_destroy. */
	void (*ended)(struct conn_owner *owner, struct conn *c, enum peerlink_reason reason,
		      const char *text);
};

/* What all connections of one peer link share; outlives them. As in struct peerlink_config. */
struct conn_setup {
	struct event_base *base;
	struct conn_owner *owner;
	size_t greeting_limit, frame_limit;
	unsigned connect_ms, greeting_ms, linger_ms;
};

/* Dial path->remote. Never fails: what goes wrong at once comes as `ended` too. `index` is the path's. */
struct conn *conn_dial(const struct conn_setup *setup, const struct tls *tls, const struct path *path,
		       int index);

/* Take over an accepted socket `fd` that came from `remote`. */
struct conn *conn_take(const struct conn_setup *setup, const struct tls *tls, const struct path *path,
		       int index, int fd, const struct sockaddr_storage *remote);

/* At once and without a callback; an open session is told (close_notify). Takes NULL. */
void conn_destroy(struct conn *c);

void conn_accept(struct conn *c);
bool conn_accepted(const struct conn *c);

/* As peerlink_send, peerlink_room, peerlink_close. */
int conn_send(struct conn *c, const uint8_t *bytes, size_t len);
size_t conn_room(const struct conn *c);
void conn_close(struct conn *c, const char *text);

/* Is it in use by its owner: open, and not being closed? */
bool conn_open(const struct conn *c);

int conn_path(const struct conn *c);
const struct sockaddr_storage *conn_remote(const struct conn *c);
const char *conn_label(const struct conn *c); /* "connect 192.0.2.2 port 5911 over mgmt" */

#endif
