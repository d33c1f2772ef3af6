/* SPDX-License-Identifier: ISC */
/*
 * daemon_state.h - private to daemon.c (the loop) and daemon_rooms.c (what it is made of, and in which
 * order).
 */
#ifndef MCLAGD_DAEMON_STATE_H
#define MCLAGD_DAEMON_STATE_H

#include "mclagd/control.h"
#include "mclagd/daemon.h"
#include "mclagd/journal.h"
#include "mclagd/log.h"
#include "mclagd/loop.h"
#include "mclagd/resume.h"
#include "mclagd/switch.h"
#include "peerlink/pki.h"

struct tls;

/* Events that wait for the present step to end. */
struct queue {
	struct event *events;
	size_t room, head, count;
};

struct daemon {
	struct event_base *base;
	const struct config *config; /* borrowed */
	struct log log;
	uint64_t boot_id;
	struct msec started, now;
	size_t rooms_open; /* of the list below */

	struct domain *domain;
	struct step step;
	struct queue queue;
	bool running; /* inside run() */
	bool sent;    /* the step sent over the session */
	bool save;    /* what a restart needs has changed since it was kept */
	struct loop_timer *deadline, *work, *leave, *saver;
	struct loop_timer_handler deadline_handler, work_handler, leave_handler, saver_handler;
	bool leaving; /* goodbye is said; the loop ends when it has left */
	int leave_ticks;

	struct ring *ring;
	int lock;
	struct journal *journal; /* NULL = none */
	struct journal_owner journal_owner;
	struct resume_origin origin;
	struct resume resume;    /* what the last run left; legs NULL = nothing */
	struct leg_resume *legs; /* for saving */
	struct resume kept;      /* what was saved last, without its legs, ... */
	struct msec kept_at;     /* ... and when */
	struct mclag_config *mclags;
	struct switch_driver *sw;
	struct switch_events switch_events;
	struct tls *tls;
	struct secret secret;
	struct peerlink *peerlink;
	struct peerlink_owner peerlink_owner;
	struct keepalive *keepalive;
	struct keepalive_owner keepalive_owner;
	struct control *control;
	/* What the peer, the operator and strangers cause, each by itself: no flood hides another's line. */
	struct log_limit notices, sessions, strangers, violations, beacons, saves;
	uint64_t unknown_messages; /* kinds of a newer protocol */
};

/* Opens all rooms, in order; the owners' handlers are set before. On failure those that were opened are
 * closed again. 0, or -errno with the reason in why. */
int daemon_open_rooms(struct daemon *d, char *why, size_t size);
/* In the reverse order. */
void daemon_close_rooms(struct daemon *d);

#endif
