/* SPDX-License-Identifier: ISC */
/*
 * One TLS session over TCP with the peer: opaque frames in, opaque frames out.
 *
 * Node 1 dials the path it is told to use, and dials again with back-off and jitter; node 2 listens on every
 * path. There is at most one session. A newer authenticated one replaces it, on both ends: that is how the
 * session moves to another path (dial the new, then drop the old). Listeners whose interface is not there
 * yet, or was made anew, are opened as soon as it is.
 *
 * Strangers: until peerlink_accept a connection has `greeting_limit` bytes per frame, `greeting_ms` of time,
 * and is one of at most PEERLINK_GREETERS; when these are full, a connection from the peer's own address
 * takes the place of the oldest that is not. On a direct path the kernel drops what did not come with hop
 * limit 255 before we see it (nstat TcpExtTCPMinTTLDrop).
 *
 * Callbacks come from the event loop only, never from inside a call into this room, and may call everything
 * here except peerlink_destroy. The room decides nothing about the peer's health: a silent session is closed
 * by its owner. The process must ignore SIGPIPE.
 */
#ifndef PEERLINK_PEERLINK_H
#define PEERLINK_PEERLINK_H

#include "peerlink/path.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEERLINK_GREETERS   8                 /* connections not accepted yet */
#define PEERLINK_QUEUE_HIGH (256 * 1024)      /* queued bytes at which the room left is 0 */
#define PEERLINK_QUEUE_LOW  (64 * 1024)       /* queued bytes at which `writable` is called after more */
#define PEERLINK_QUEUE_HARD (2 * 1024 * 1024) /* queued bytes past which a frame is refused */

struct event_base;
struct tls;
struct peerlink;

/* Why a session, a connection or an attempt ended: name, words. */
#define PEERLINK_REASONS(X)                                                                                  \
	X(PEERLINK_CLOSED_HERE, "closed by this node")                                                       \
	X(PEERLINK_CLOSED_PEER, "closed by the peer")                                                        \
	X(PEERLINK_REPLACED, "replaced by a newer session")                                                  \
	X(PEERLINK_LOST, "connection lost")                                                                  \
	X(PEERLINK_UNREACHABLE, "cannot connect")                                                            \
	X(PEERLINK_HANDSHAKE, "TLS handshake failed")                                                        \
	X(PEERLINK_IDENTITY, "wrong identity")                                                               \
	X(PEERLINK_TOO_MANY, "too many connections")                                                         \
	X(PEERLINK_TIMEOUT, "not accepted in time")                                                          \
	X(PEERLINK_OVERSIZE, "frame over the limit")                                                         \
	X(PEERLINK_EMPTY, "frame of zero length")

enum peerlink_reason {
#define X(name, words) name,
	PEERLINK_REASONS(X)
#undef X
	    PEERLINK_REASON_COUNT
};

/* Embedded by the owner, recovered by container_of. All are required. */
struct peerlink_owner {
	/* TLS is up and the peer is who it should be; a session before it has got its `closed`. */
	void (*opened)(struct peerlink_owner *owner, int path);
	/* The session is gone: exactly once for each `opened`. `text` is one line and lives for the call. */
	void (*closed)(struct peerlink_owner *owner, enum peerlink_reason reason, const char *text);
	/* One whole frame; `bytes` live for the call. None comes after the owner's own peerlink_close. */
	void (*frame)(struct peerlink_owner *owner, const uint8_t *bytes, size_t len);
	/* More than PEERLINK_QUEUE_LOW was queued, and the queue has drained to it. */
	void (*writable)(struct peerlink_owner *owner);
	/* A connection or an attempt failed before `opened`. For the log; strangers can cause it at will. */
	void (*refused)(struct peerlink_owner *owner, enum peerlink_reason reason, const char *text);
};

/* Times in milliseconds; 0 = the default in brackets. */
struct peerlink_config {
	int node;                 /* 1 dials, 2 listens */
	const struct path *paths; /* copied */
	size_t path_count;        /* 1..PATH_MAX_COUNT */
	const struct tls *tls;    /* kept by reference, must outlive it */
	struct peerlink_owner *owner;
	size_t greeting_limit;   /* bytes of payload per frame before peerlink_accept, 1 or more, ... */
	size_t frame_limit;      /* ... and after it, and of any frame sent; at least greeting_limit */
	unsigned connect_ms;     /* TCP connect [2000] */
	unsigned greeting_ms;    /* from the TCP connection to peerlink_accept [5000] */
	unsigned linger_ms;      /* for what is queued at peerlink_close [500] */
	unsigned backoff_min_ms; /* first wait of the dialler [100] */
	unsigned backoff_max_ms; /* longest wait [5000] */
};

/* Monotonic counts since peerlink_create. */
struct peerlink_counters {
	uint64_t dialled;                      /* attempts */
	uint64_t arrived;                      /* connections taken from the listeners */
	uint64_t opened;                       /* sessions opened, and */
	uint64_t accepted;                     /* accepted by the owner */
	uint64_t ended[PEERLINK_REASON_COUNT]; /* sessions, connections and attempts, by reason */
	uint64_t frames_in, frames_out;        /* whole frames */
	uint64_t bytes_in, bytes_out;          /* their payload */
};

/* Never fails: what cannot be opened yet is tried again, and peerlink_why tells. */
struct peerlink *peerlink_create(struct event_base *base, const struct peerlink_config *config);

/* Drops everything at once, without a callback; an open session is told. Takes NULL. Not in a callback. */
void peerlink_destroy(struct peerlink *p);

/* The peer's address on a path was discovered or has changed. */
void peerlink_set_remote(struct peerlink *p, int path, const struct sockaddr_storage *remote);

/*
 * Node 1: have the session on `path`, dialled at once unless it is there. One on another path stays until the
 * new one is open. PATH_NONE: dial no more; a session stays. Node 2: no effect, it takes what comes.
 */
void peerlink_use(struct peerlink *p, int path);

/* Node 1: dial now if waiting for the next try, and start the back-off anew (the peer was just heard). */
void peerlink_retry_now(struct peerlink *p);

/* The Hello is accepted: lift the limits for strangers. Without a session: no effect. */
void peerlink_accept(struct peerlink *p);

/*
 * Queue one frame. Returns the room left, 0 or more; -ENOTCONN without a session, -EMSGSIZE when `len` is not
 * 1..frame_limit, -ENOBUFS when the queue is at PEERLINK_QUEUE_HARD. Bulk stops at room 0 and waits
 * for `writable`; a frame that cannot wait may still be sent then.
 */
int peerlink_send(struct peerlink *p, const uint8_t *bytes, size_t len);

/* Bytes that may be queued before PEERLINK_QUEUE_HIGH; 0 without a session. */
size_t peerlink_room(const struct peerlink *p);

/*
 * End the session: what is queued is sent, within linger_ms, then `closed` comes with PEERLINK_CLOSED_HERE
 * and `text`. Node 1 dials again after it, unless peerlink_use(PATH_NONE). Without a session: no effect.
 */
void peerlink_close(struct peerlink *p, const char *text);

/* Path of the session, or PATH_NONE. */
int peerlink_path(const struct peerlink *p);

/* Is there no session, nor one that is being closed and may still have something to send? */
bool peerlink_idle(const struct peerlink *p);

/* Why there is no session: "connect 192.0.2.2 port 5911 over mgmt: Connection refused; next try in 0.8 s". */
void peerlink_why(const struct peerlink *p, char *text, size_t size);

const struct peerlink_counters *peerlink_counters(const struct peerlink *p);
const char *peerlink_reason_text(enum peerlink_reason reason);

#endif
