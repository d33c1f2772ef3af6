/* SPDX-License-Identifier: ISC */
/*
 * core/whatif_world.h - everything outside one leaf, as far as a look ahead needs it: a switch that obeys, a
 * peer that is heard and grants, hosts that speak LACP, and the one thing that fails. Private to whatif.c.
 */
#ifndef CORE_WHATIF_WORLD_H
#define CORE_WHATIF_WORLD_H

#include "core/whatif.h"

/* One answer of the world, delivered after the step that asked for it. */
struct delivery {
	struct event event;
	struct message message; /* EVENT_MESSAGE */
};

struct world {
	struct domain *domain;
	enum question question;
	struct step step;
	struct delivery *deliveries;
	size_t head, count, room;
	bool heard[PATH_MAX_COUNT]; /* the peer is heard on that path, and stays so */
	bool talks;                 /* the session is there */
	bool *partners;             /* by leg: a host speaks LACP there */
	uint8_t *partner_states;    /* and what it said of itself */
	size_t session_room;
	struct msec keepalive_at, partner_at, digest_at;
	uint32_t rewritten;
};

/* Everything is as it is now, and everybody who is heard has just been heard. */
void world_begin(struct world *w, struct domain *domain, struct msec now);
/* The one thing fails, now. self-down is asked as peer-dead: the peer's evidence is the mirror of ours. */
void world_fail(struct world *w, const struct whatif_ask *ask);
/* Virtual time passes. */
void world_run(struct world *w, struct msec until);
void world_end(struct world *w);

#endif
