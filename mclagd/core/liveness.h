/* SPDX-License-Identifier: ISC */
/*
 * core/liveness.h - is the peer alive? Keepalives per path, the peer link's carrier and goodbyes become one
 * verdict, and the evidence for it is kept. Decides nothing about legs or roles.
 *
 * A path is up while keepalives arrive on it which say that the peer hears us too. The verdict when the last
 * path falls follows behaviour.md section 1: paths (and carrier) that fell within one detection time mean a
 * dead peer; paths that fell one after another prove nothing.
 */
#ifndef CORE_LIVENESS_H
#define CORE_LIVENESS_H

#include "core/step.h"

struct domain_config;

struct liveness_path {
	bool ever; /* heard, both ways, since start */
	bool up;
	bool assumed;        /* taken over from a former run of the daemon, not heard yet in this one */
	bool answered;       /* it echoed what we sent after the peer link was lost */
	bool hears_us;       /* what the last keepalive said */
	struct msec heard;   /* last both ways */
	struct msec changed; /* of up */
};

struct liveness {
	size_t path_count;
	int64_t detection_ms;
	int64_t alone_ms;
	int64_t grace_ms; /* a peer that says it restarts gets so long at the most */
	struct liveness_path paths[PATH_MAX_COUNT];
	bool carrier; /* of the peer link */
	struct msec carrier_changed;
	struct msec peer_link_lost; /* its carrier or its keepalives */
	enum verdict verdict;
	struct msec since;
	struct msec alone_at;
	uint64_t boot_id;          /* the peer's, as last heard */
	struct msec met_by;        /* back with the peer: until then each path gets its time to be heard */
	enum reason goodbye;       /* REASON_NONE, or what the peer said */
	uint64_t goodbye_boot_id;  /* who said it: its late keepalives count no more */
	struct msec goodbye_until; /* REASON_RESTART: expected back by then */
};

/* What the peer link is to us, for the secondary's decision to hold its legs. */
enum peer_link_state {
	PEER_LINK_UP,       /* carrier, and the peer is heard over it */
	PEER_LINK_DOUBTFUL, /* lost, but the peer has not proven since that it lives */
	PEER_LINK_LOST,     /* lost, and the peer is proven alive over another path */
};

void liveness_init(struct liveness *l, const struct domain_config *config);
/* before: the verdict of a former run of the daemon, a moment ago; VERDICT_UNKNOWN = there was none. */
void liveness_start(struct liveness *l, struct step *s, enum verdict before);
void liveness_heard(struct liveness *l, struct step *s, const struct heard_event *e);
void liveness_carrier(struct liveness *l, struct step *s, bool carrier);
void liveness_goodbye(struct liveness *l, struct step *s, const struct goodbye *g, uint64_t boot_id);
void liveness_timer(struct liveness *l, struct step *s);
struct msec liveness_deadline(const struct liveness *l);

enum peer_link_state liveness_peer_link(const struct liveness *l);
/* The path to reach the peer over: the first that is up; PATH_NONE. */
int liveness_best_path(const struct liveness *l);

#endif
