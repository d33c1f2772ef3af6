/* SPDX-License-Identifier: ISC */
/*
 * network - what lies between the two daemons: paths, keepalives, and the session's transport.
 *
 * Stands for peerlink/keepalive (freshness by echo, probes answered at once) and peerlink/peerlink (node 1
 * dials the path it is told to use; the newest session replaces the older; frames are reliable and ordered
 * while the connection lasts; a closed end flushes first). Messages cross it as encoded bytes.
 */
#ifndef SIM_NETWORK_H
#define SIM_NETWORK_H

#include "sim/queue.h"

#define SIM_PATHS       2 /* the peer link and one backup path */
#define SIM_CONNECTIONS 16
#define STREAM_SENT     64

struct sim;

struct path {
	int64_t delay_min, delay_max; /* microseconds */
	uint32_t loss[2];             /* per million, by sending leaf */
	bool cut[2];                  /* nothing from this leaf arrives */
};

/* One leaf's keepalives on one path. */
struct stream {
	uint32_t sequence;
	int64_t sent[STREAM_SENT];
	uint64_t peer_boot;
	uint32_t peer_sequence;
	uint32_t floor; /* a new boot id must echo this one or a later one of ours */
};

struct outgoing {
	uint8_t *bytes;
	size_t size;
	int64_t earliest; /* it cannot arrive before */
};

struct connection_end {
	bool open, awaited; /* awaited: the other end is open, this one will be */
	bool closing;       /* told to close: what is queued still goes, nothing is received */
	bool accepted;      /* the daemon took the peer's Hello: larger frames may come */
	enum reason reason; /* of the closing */
	struct outgoing *sending;
	size_t first, count, room;
	size_t queued;   /* bytes */
	bool telling;    /* a report of the room is under way */
	int64_t blocked; /* since when nothing gets through; -1 = it does */
};

struct connection {
	uint32_t id;
	int path;
	struct connection_end ends[2];
};

struct network {
	struct path paths[SIM_PATHS];
	struct stream streams[2][SIM_PATHS];
	struct connection connections[SIM_CONNECTIONS]; /* by id modulo */
	uint32_t last;                                  /* id */
	struct connection *session[2];                  /* what is open at each leaf, or NULL */
	int wanted;                                     /* the path node 1 shall use */
	uint32_t dialling;                              /* stamp of the attempt under way, 0 = none */
	uint32_t dials;
	int64_t backoff;
	int64_t bytes_per_second[2]; /* how fast a leaf reads; 0 = at once */
};

void network_init(struct sim *s);
void network_release(struct sim *s);
/* Whether what a leaf sends on a path arrives at the other leaf now (loss aside). */
bool network_passes(const struct sim *s, int path, int from);

/* A daemon has started, or died. told: its kernel lives to say so. */
void network_daemon_up(struct sim *s, int leaf);
void network_daemon_down(struct sim *s, int leaf, bool told);

/* Actions. */
void network_send(struct sim *s, int leaf, const struct message *m);
void network_use(struct sim *s, int leaf, int path);
void network_accept(struct sim *s, int leaf);
void network_close(struct sim *s, int leaf, enum reason reason);
void network_probe(struct sim *s, int leaf, int path);

/* Happenings. */
void network_keepalive(struct sim *s, const struct happening *h);
void network_datagram(struct sim *s, const struct happening *h);
void network_dial(struct sim *s, const struct happening *h);
void network_open(struct sim *s, const struct happening *h);
void network_deliver(struct sim *s, const struct happening *h);
void network_hangup(struct sim *s, const struct happening *h);
void network_room(struct sim *s, const struct happening *h);

#endif
