/* SPDX-License-Identifier: ISC */
/*
 * host - who is attached to the pair: LACP or statically bonded hosts on both leaves, orphans on one.
 *
 * The LACP here is a partner's, written apart from the core's: it groups its ports by what the other end says
 * it is, keeps the group it uses while a member of it is left, and sends on a port once the other end is in
 * sync with it. Hosts 0 .. legs-1 are dual-attached, one for each mclag in order; orphans follow.
 */
#ifndef SIM_HOST_H
#define SIM_HOST_H

#include "sim/switch.h"

#define SIM_HOSTS (SIM_LEGS + 2 * SIM_ORPHANS)

struct host_config {
	bool lacp; /* else bonded without a protocol */
	bool active, fast;
	bool eager; /* sends as soon as the leaf is in sync (bonding, Open vSwitch), else when it collects */
	int64_t wait;   /* microseconds a new member waits before it joins (bonding: 2 s) */
	int64_t notice; /* microseconds until carrier is noticed (miimon) */
};

enum member_rx { MEMBER_DEFAULTED, MEMBER_EXPIRED, MEMBER_CURRENT };

/* One port of a host. */
struct member {
	bool carrier; /* as the host knows it */
	enum member_rx rx;
	struct lacp_info actor, partner;
	int64_t expires, periodic, joins; /* INT64_MAX = not running */
	bool selected, enabled;
	bool ntt;
	int64_t sent[3];
};

struct host {
	int leaf, port; /* an orphan's; leaf -1 = dual-attached to leg `port` of both */
	bool on;        /* switched off: no carrier, nothing sent or answered */
	bool quiet;     /* sends no data */
	bool deaf;      /* speaks no LACP for now */
	struct host_config config;
	struct member members[2];
	struct lacp_info group; /* system, priority and key of who it is bundled with; zero = nobody */
	int64_t armed;
	uint64_t sent, received;
	uint32_t lost_members; /* times a member in use went out */
};

void host_init(struct sim *s);
/* The cable to a leaf came or went. */
void host_cable(struct sim *s, int host, int leaf);
/* Whether a frame that leaves `leaf` towards the host is taken. */
bool host_takes(const struct sim *s, int host, int leaf);
/* Sends one frame; flow picks among the members in use. False: no member, nothing sent. */
bool host_send(struct sim *s, int host, uint32_t source, uint32_t target, uint32_t flow, uint32_t *id);
void host_receive(struct sim *s, int host, int leaf, struct frame f);

/* Happenings. */
void host_pdu(struct sim *s, const struct happening *h);
void host_carrier(struct sim *s, const struct happening *h);
void host_timer(struct sim *s, const struct happening *h);
void host_traffic(struct sim *s, const struct happening *h);

#endif
