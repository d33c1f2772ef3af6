/* SPDX-License-Identifier: ISC */
/*
 * sim - the simulated pair: two real cores, and everything around them made of virtual time. READ FIRST
 *
 * A run is a function of its configuration, its seed, and the faults applied between calls of sim_run().
 * After every step of a core the invariants of behaviour.md section 3 are checked; the first broken one stops
 * the run.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "sim/host.h"
#include "sim/network.h"
#include "sim/node.h"
#include "sim/switch.h"

#include <stdio.h>

#define SIM_LINES   256  /* trace lines kept */
#define SIM_FLIGHTS 4096 /* frames remembered */

struct sim_config {
	uint64_t seed;
	struct domain_config pair; /* common to both; node, boot id, priority and own system are set here */
	uint16_t priority[2];
	size_t leg_count;
	struct mclag_config legs[SIM_LEGS];
	struct host_config hosts[SIM_LEGS];
	size_t orphan_count[2];
	uint32_t macs_per_host;
	uint16_t vlan;
	struct path paths[SIM_PATHS];
	size_t queue_high;     /* bytes at which the session takes no more */
	int64_t report_max;    /* microseconds until the switch's reports are read */
	int64_t carrier_max;   /* more of them until a returning carrier is reported */
	int64_t pdu_max;       /* an LACPDU's way */
	uint32_t pdu_loss;     /* per million */
	int64_t traffic_every; /* microseconds between a host's frames, on average; 0 = only on demand */
	FILE *out;             /* trace lines of at least out_level go here, or NULL */
	enum trace_level out_level;
	bool detail; /* what comes and goes at the cores' seams as well */
};

/* Sensible values: one engine mclag, one orphan each, fixed delays, no traffic. */
void sim_config_defaults(struct sim_config *c);

struct sim_line {
	int64_t at;
	int leaf; /* -1 = the story's own */
	enum trace_room room;
	enum trace_level level;
	uint16_t mclag;
	char text[TRACE_TEXT_SIZE];
};

/* One data frame on its way. */
struct flight {
	uint32_t id;
	int source;        /* host */
	uint32_t received; /* by these hosts, one bit each */
};

struct sim {
	struct sim_config config;
	struct queue queue;
	struct dice dice;
	struct network network;
	struct fake_switch switches[2];
	struct node nodes[2];
	struct host hosts[SIM_HOSTS];
	size_t host_count;
	uint32_t mac_count;
	uint32_t row_count;  /* the hosts' MACs, then each leaf's interface on the peer link */
	int *owner;          /* by MAC: the host it is at, */
	int *heard_from;     /* the host whose frame with it a switch took last, */
	int64_t *heard_at;   /* and when; -1 = never */
	int64_t whole_since; /* of entries heard before, only agreement is asked */

	bool peer_link_cable;
	bool peer_link_silent; /* carrier stays, nothing passes */
	bool cable[2][SIM_LEGS];
	int64_t pdu_arrives[2][SIM_LEGS][2]; /* the last one on its way to the leaf [0] or the host [1] */

	struct flight flights[SIM_FLIGHTS];
	uint32_t frames;

	int64_t touched; /* when something last broke or healed */
	bool promised;   /* a single fault hit a whole pair: no mclag may be without a leg (rule 4), */
	bool calm;       /* and it is one that hosts do not see, */
	int calm_except; /* but for this one (-1 = none); */
	int64_t calm_since;
	uint32_t calm_lost; /* so much had the others lost before */
	int64_t both_up;    /* since when both sessions are up; -1 = they are not */

	struct sim_line lines[SIM_LINES];
	uint64_t line_count;
	uint64_t hash; /* of everything the cores did */
	bool failed;
	char failure[512];
};

void sim_init(struct sim *s, const struct sim_config *config);
void sim_release(struct sim *s);
/* Lets so many microseconds pass, or less when an invariant broke: false then. */
bool sim_run(struct sim *s, int64_t duration);
/* An invariant does not hold. Only the first one counts. */
void sim_fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line of the story itself. */
void sim_note(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_line(struct sim *s, const struct sim_line *line);
void sim_print_line(FILE *out, const struct sim_line *line);
void sim_mix(struct sim *s, const void *bytes, size_t size);
struct mac sim_mac(uint32_t index);
/* MACs are dense: UINT32_MAX for one that is none of ours. */
uint32_t sim_mac_index(const struct sim *s, struct mac mac);
/* When an LACPDU that is sent now arrives: after those before it. */
int64_t sim_pdu_arrival(struct sim *s, int leaf, int leg, bool to_host);
/* Whether a cable has carrier: it is whole, and both ends are on. */
bool sim_leg_cable(const struct sim *s, int leaf, int leg);
bool sim_peer_link_cable(const struct sim *s);

#endif
