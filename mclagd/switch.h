/* SPDX-License-Identifier: ISC */
/*
 * switch.h - the seam between the daemon and what it drives: the Linux kernel (linux.c), later a SONiC switch.
 *
 * Events come in through struct switch_events as the core's own events; requests go out as the core's own
 * actions. A switch never decides: it sees and sets. Requests are performed at once and in order; entry
 * writes may be batched until switch_flush().
 */
#ifndef MCLAGD_SWITCH_H
#define MCLAGD_SWITCH_H

#include "core/step.h"
#include "mclagd/config.h"

struct event_base;
struct switch_driver;

/* Embedded by the owner. */
struct switch_events {
	/* Something happened; the owner steps the domain with it. */
	void (*event)(struct switch_events *self, const struct event *e);
	/* Something went wrong, or is worth an operator's look. */
	void (*notice)(struct switch_events *self, const char *text);
};

/* What the switch itself carries over from a former run of the daemon. */
struct switch_leg {
	uint16_t mclag;
	bool forwarding, isolated;
};

/* Opens and prepares the ports named in the configuration (fail closed: nothing forwards). resume: leave in place
 * what forwards and is isolated now. 0, or -errno with text in why naming the port and what is wrong. */
int switch_open(struct switch_driver **sw, struct event_base *base, const struct config *config, bool resume,
		struct switch_events *events, char *why, size_t size);
/* Dumps links, then the MAC table, and starts events. */
int switch_start(struct switch_driver *sw, char *why, size_t size);
/* Performs one LACPDU, FORWARD, ISOLATE, PROGRAM or UNPROGRAM; the answer to a gate comes through event(),
 * after this call has returned. */
void switch_perform(struct switch_driver *sw, const struct action *a);
/* Ends a batch of switch_perform(). */
void switch_flush(struct switch_driver *sw);
/* What is forwarding and isolated in the dataplane itself; returns the number of legs, at most room. */
size_t switch_legs(struct switch_driver *sw, struct switch_leg *legs, size_t room, bool *peer_link_open);
/* Leaves the dataplane as it is. */
void switch_close(struct switch_driver *sw);

#endif
