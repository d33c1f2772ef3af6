/* SPDX-License-Identifier: ISC */
/*
 * node - one daemon: the real core, with the simulator as its shell.
 *
 * node_event() is the only way to the core: it steps the domain, performs the actions in order, keeps the
 * timer and lets the invariants be checked. It is never called from inside itself: what an action causes
 * comes back through the queue.
 */
#ifndef SIM_NODE_H
#define SIM_NODE_H

#include "core/domain.h"
#include "sim/switch.h"

struct sim;

struct node {
	bool alive;
	uint32_t run;      /* stamp: grows with each start */
	int64_t offset_ms; /* its clock's start: the leaves have no common time */
	struct domain_config config;
	struct domain *domain;
	struct step step;
	struct beacon beacon;
	int64_t armed; /* when the next timer happening is due; INT64_MAX = none */
	bool stopping, stopped;
	bool start_again; /* once it has ended */
	bool booting;     /* the leaf is on, its daemon not yet */
	int64_t stop_asked;
	enum reason stop_reason;
	int64_t stuck_at; /* timers in a row without time passing */
	int stuck;
	bool saved; /* survives the daemon, not the leaf */
	struct resume resume;
	struct leg_resume legs[SIM_LEGS];
	uint64_t steps;
};

void node_init(struct sim *s, int leaf);
void node_release(struct sim *s, int leaf);
struct msec node_clock(const struct sim *s, int leaf);
void node_event(struct sim *s, int leaf, const struct event *e);

/* Starts the daemon now: resumes when something was saved since the leaf was switched on. */
void node_start(struct sim *s, int leaf);
/* kill -9. */
void node_kill(struct sim *s, int leaf);
/* REASON_RESTART or REASON_SHUTDOWN: the daemon says goodbye and ends by itself. */
void node_stop(struct sim *s, int leaf, enum reason reason);

/* Happenings. */
void node_timer(struct sim *s, const struct happening *h);
void node_exit(struct sim *s, const struct happening *h);

#endif
