/* SPDX-License-Identifier: ISC */
/*
 * core/lacp.h - the LACP machines of one port: receive, periodic, selection, mux (IEEE 802.1AX 6.4;
 * clause numbers are those of the 2014 edition).
 *
 * One port is one leg. The pair looks like one system to the host: system id, key and port number come from
 * the configuration, the other leaf's ports are never seen here. Whether the leg may attach at all is decided
 * outside (core/mclag.h) and told by lacp_open(): while closed, every PDU that leaves has synchronization,
 * collecting and distributing cleared.
 *
 * The leg must be able to carry data before synchronization is announced, because partners (Open vSwitch,
 * Linux bonding) start to send on seeing it: so lacp_ready() says "would attach now", the owner opens the
 * dataplane, then calls lacp_open(true).
 *
 * Every function that takes a step may append one ACTION_LACPDU, and never more than one. The partner is
 * forgotten when carrier goes, but the gate is the owner's: it stays as lacp_open() left it.
 */
#ifndef CORE_LACP_H
#define CORE_LACP_H

#include "core/step.h"

/* 6.4.4, in milliseconds. */
#define LACP_FAST_PERIODIC_MS   1000
#define LACP_SLOW_PERIODIC_MS   30000
#define LACP_SHORT_TIMEOUT_MS   3000
#define LACP_LONG_TIMEOUT_MS    90000
#define LACP_HEARING_MS         100 /* grace for a partner to have heard a periodic PDU */
#define LACP_TX_PER_FAST_PERIOD 3   /* 6.4.16: at most so many PDUs in one fast periodic time */

#define LACP_RECEIVE_STATES(X)                                                                               \
	X(LACP_RX_PORT_DISABLED, "port_disabled", "no carrier")                                              \
	X(LACP_RX_EXPIRED, "expired", "the partner was lost, or never seen; short timeout runs")             \
	X(LACP_RX_DEFAULTED, "defaulted", "no partner")                                                      \
	X(LACP_RX_CURRENT, "current", "PDUs arrive in time")
TYPES_DECLARE(lacp_rx, LACP_RECEIVE_STATES, LACP_RX_COUNT)

#define LACP_PERIODIC_STATES(X)                                                                              \
	X(LACP_PERIODIC_NONE, "none", "silent: no carrier, or both ends are passive")                        \
	X(LACP_PERIODIC_FAST, "fast", "a PDU every second")                                                  \
	X(LACP_PERIODIC_SLOW, "slow", "a PDU every 30 seconds")
TYPES_DECLARE(lacp_periodic, LACP_PERIODIC_STATES, LACP_PERIODIC_COUNT)

#define LACP_MUX_STATES(X)                                                                                   \
	X(LACP_MUX_DETACHED, "detached", "no partner to aggregate with")                                     \
	X(LACP_MUX_WAITING, "waiting", "selected; the leg is not open yet")                                  \
	X(LACP_MUX_ATTACHED, "attached", "in sync, the partner is not")                                      \
	X(LACP_MUX_COLLECTING, "collecting", "both in sync")                                                 \
	X(LACP_MUX_DISTRIBUTING, "distributing", "the partner collects")
TYPES_DECLARE(lacp_mux, LACP_MUX_STATES, LACP_MUX_COUNT)

struct lacp_config {
	uint16_t mclag;
	struct mac system;
	uint16_t system_priority;
	uint16_t key;
	uint16_t port_priority;
	uint16_t port; /* from this node's half of the number space */
	bool active;   /* else passive: speaks when spoken to */
	bool fast;     /* ask the partner for short timeout */
};

struct lacp_counters {
	uint64_t received, sent;
	uint64_t own;       /* the actor was our own system: a loop, or two legs cabled together; ignored */
	uint64_t held_back; /* transmissions delayed by the rate limit */
};

struct lacp {
	struct lacp_config config;
	bool carrier;
	bool open;
	enum lacp_rx rx;
	enum lacp_periodic periodic;
	enum lacp_mux mux;
	struct lacp_info actor; /* what our PDUs say of us */
	/* What we know of the partner. While it is nothing, actor.state has LACP_DEFAULTED. */
	struct lacp_info partner;
	struct msec current_while; /* receive machine's timer */
	struct msec periodic_due;  /* next periodic PDU, MSEC_NEVER = none */
	struct msec announce_at; /* until then the rate limit would delay a PDU in sync; MSEC_NEVER = free */
	struct msec hearing_by;  /* believed to be heard then, without proof */
	bool heard_us;           /* the partner has repeated what we said since carrier came */
	bool told;               /* a PDU has left since then */
	uint8_t told_state;      /* of the actor, in the last PDU */
	bool ntt;                /* need to transmit (6.4.8) */
	bool held;               /* the rate limit keeps that PDU back */
	bool told_sync;          /* the last PDU announced synchronization */
	bool in_use;             /* we announced it, and the partner has not shown that it left since */
	struct msec tx_times[LACP_TX_PER_FAST_PERIOD]; /* when the last PDUs left, newest first */
	struct lacp_counters counters;
};

void lacp_init(struct lacp *l, const struct lacp_config *config);
/* After lacp_init(): takes up a conversation that a former run of the daemon held. partner: as last known;
 * actor_state: as last announced, its LACP_SYNC says whether the gate was open. The partner must speak again
 * within its timeout, counted from now. Carrier is assumed up. The PDU sent at once says what the last one
 * said. */
void lacp_resume(struct lacp *l, struct step *s, const struct lacp_info *partner, uint8_t actor_state);
void lacp_carrier(struct lacp *l, struct step *s, bool up);
void lacp_receive(struct lacp *l, struct step *s, const struct lacpdu *pdu);
/* true: the dataplane carries data, synchronization may be announced. false: out of sync at once, never
 * delayed by the rate limit. */
void lacp_open(struct lacp *l, struct step *s, bool open);
/* Another system id (only for on-split: arbitrate). Starts the conversation anew: a leg in sync says at once
 * that it is out of it, and says that it is in sync again, when it is, in a later PDU. */
void lacp_set_system(struct lacp *l, struct step *s, struct mac system);
void lacp_timer(struct lacp *l, struct step *s);
struct msec lacp_deadline(const struct lacp *l);

/* A partner is known: l->partner is something it said. */
bool lacp_known(const struct lacp *l);
/* The partner is there, current, keeps the conversation alive and hears us, and the rate limit would let a PDU in sync go
 * at once (from the grant until the host hears it, frames over the peer link are lost): everything but
 * lacp_open(true). Stays true while open. An individual partner (aggregation bit clear) is ready too: one
 * link is all that we take of it. Whether the partner is in sync does not count, for a partner that is gated
 * as we are would wait for us. */
bool lacp_ready(const struct lacp *l);
/* After lacp_open(false): the partner no longer sends data here. It shows neither collecting nor
 * distributing, or has repeated our out-of-sync (Open vSwitch and teamd act on it without ever clearing their
 * own bits), or it is not there, or was never told to come. */
bool lacp_partner_left(const struct lacp *l);

#endif
