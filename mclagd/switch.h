/* SPDX-License-Identifier: ISC */
/*
 * switch.h - the seam between the daemon and what it drives: the Linux kernel (linux.c), later a SONiC
 * switch.
 *
 * Events come in through struct switch_events as the core's own events; requests go out as the core's own
 * actions. A switch never decides: it sees and sets. Gates and entry writes are performed in order, at the
 * latest by switch_flush(); all gates of one batch may become one change of the dataplane.
 */
#ifndef MCLAGD_SWITCH_H
#define MCLAGD_SWITCH_H

#include "core/step.h"
#include "mclagd/config.h"

struct event_base;
struct switch_driver;

/* Embedded by the owner. */
struct switch_events {
	/* Something happened; the owner steps the domain with it. May come from inside a call into the
	 * switch, so the owner queues what it cannot take at once. */
	void (*event)(struct switch_events *self, const struct event *e);
	/* Something went wrong, or is worth an operator's look. */
	void (*notice)(struct switch_events *self, const char *text);
};

/* What the switch itself carries over from a former run of the daemon. */
struct switch_leg {
	uint16_t mclag;
	bool forwarding, isolated;
};

/* What the domain's configuration needs to know of the switch. Zero = there is none. */
struct switch_facts {
	struct mac bridge;
	struct mac via; /* of the L3 interface on the peer link */
	int64_t ageing_ms;
};

/* What the switch has counted since it was opened: field, words. Those that grow while nothing is wrong come
 * first in their room. */
#define SWITCH_COUNTERS(X)                                                                                   \
	X(link_messages, "links: changes heard")                                                             \
	X(link_overruns, "links: lost, so all were read again")                                              \
	X(link_restarts, "links: changed while being read")                                                  \
	X(link_malformed, "links: malformed messages")                                                       \
	X(link_excess, "links: too many interfaces")                                                         \
	X(entry_messages, "entries: changes heard")                                                          \
	X(entry_overruns, "entries: lost, so all were read again")                                           \
	X(entry_discarded, "entries: changes older than that")                                               \
	X(entry_restarts, "entries: changed while being read")                                               \
	X(entry_malformed, "entries: malformed messages")                                                    \
	X(entry_adds, "entries: set")                                                                        \
	X(entry_deletes, "entries: deleted")                                                                 \
	X(entry_batches, "entries: batches of that")                                                         \
	X(entry_refused, "entries: refused by the kernel")                                                   \
	X(entry_absent, "entries: deleted already")                                                          \
	X(entry_excess, "entries: too many waited")                                                          \
	X(gate_looks, "gates: read back after a change")                                                     \
	X(gate_repairs, "gates: changed by others, mended")                                                  \
	X(gate_failures, "gates: changed by others, not mended")                                             \
	X(gate_overruns, "gates: changes lost, so read back")                                                \
	X(lacpdu_received, "LACPDUs: received")                                                              \
	X(lacpdu_sent, "LACPDUs: sent")                                                                      \
	X(lacpdu_others, "LACPDUs: other slow protocols")                                                    \
	X(lacpdu_malformed, "LACPDUs: malformed")                                                            \
	X(lacpdu_refused, "LACPDUs: too long")                                                               \
	X(lacpdu_errors, "LACPDUs: refused by the kernel")

struct switch_counters {
#define SWITCH_COUNTER_FIELD(name, words) uint64_t name;
	SWITCH_COUNTERS(SWITCH_COUNTER_FIELD)
#undef SWITCH_COUNTER_FIELD
};

/* Before the network comes up: nothing forwards on a leg or the peer link from now on, whether they are there
 * or not. What a running daemon, or one that comes back, has open stays open. Needs no event base. 0, or -errno
 * with text in why. */
int switch_close_gates(const struct config *config, char *why, size_t size);
/* Opens and prepares the ports named in the configuration (fail closed: before anything else is looked at,
 * nothing forwards, whatever this returns). resume: leave in place what forwards and is isolated now. A port
 * that is missing is told by a notice, and has no carrier until it comes. May run the loop until the ports are
 * known, so nothing else lives on it yet. 0, or -errno with text in why naming the interface and what is wrong.
 */
int switch_open(struct switch_driver **sw, struct event_base *base, const struct config *config, bool resume,
		struct switch_events *events, char *why, size_t size);
void switch_facts(const struct switch_driver *sw, struct switch_facts *facts);
/* What is forwarding and isolated in the dataplane itself; returns the number of legs, at most room. */
size_t switch_legs(struct switch_driver *sw, struct switch_leg *legs, size_t room, bool *peer_link_open);
/* Before switch_start(): makes the dataplane do exactly this; legs that are not listed are closed. */
int switch_restore(struct switch_driver *sw, const struct switch_leg *legs, size_t count, bool peer_link_open,
		   char *why, size_t size);
/* Tells the links, dumps the MAC table, and from now on tells what changes. */
void switch_start(struct switch_driver *sw);
/* Performs one LACPDU, FORWARD, ISOLATE, PROGRAM or UNPROGRAM. Each gate is answered by EVENT_DONE, a refused
 * entry by EVENT_PROGRAM_FAILED. */
void switch_perform(struct switch_driver *sw, const struct action *a);
/* Ends a batch of switch_perform(). */
void switch_flush(struct switch_driver *sw);
void switch_counters(const struct switch_driver *sw, struct switch_counters *counters);
/* Leaves the dataplane as it is. Takes NULL. */
void switch_close(struct switch_driver *sw);

#endif
