/* SPDX-License-Identifier: ISC */
/* lacp_host.c - models of LACP hosts. */
#include "lacp_host.h"

#include <string.h>

TYPES_DEFINE(host_kind, HOST_KINDS, HOST_KIND_COUNT)

enum {
	BOND_TICK = 100,
	BOND_WAIT = 2000,
	BOND_BUDGET = 3,
	CARRYING = LACP_COLLECTING | LACP_DISTRIBUTING,
	ANSWERED = LACP_ACTIVITY | LACP_TIMEOUT | LACP_SYNC | LACP_AGGREGATION,
};

static bool same_identity(const struct lacp_info *a, const struct lacp_info *b)
{
	return a->system_priority == b->system_priority && mac_equal(a->system, b->system) &&
	       a->key == b->key && a->port_priority == b->port_priority && a->port == b->port;
}

static bool differs(const struct lacp_host *h, const struct lacp_info *view)
{
	int bits = h->kind == HOST_TEAMD ? 0xff : ANSWERED;

	return !same_identity(view, &h->us) || ((view->state ^ h->us.state) & bits);
}

static void set_expired(struct lacp_host *h, int64_t now)
{
	h->status = HOST_EXPIRED;
	h->them.state |= LACP_TIMEOUT;
	h->them.state &= (uint8_t)~LACP_SYNC;
	h->matched = false;
	h->lost_at = now + 3000;
}

static bool in_sync(const struct lacp_host *h)
{
	return h->kind == HOST_BONDING ? h->attached : h->status != HOST_DEFAULTED;
}

static void update_us(struct lacp_host *h)
{
	uint8_t before = h->us.state, state = h->kind == HOST_BONDING ? 0 : CARRYING;

	state |= h->active ? LACP_ACTIVITY : 0;
	state |= h->fast ? LACP_TIMEOUT : 0;
	state |= h->individual ? 0 : LACP_AGGREGATION;
	state |= in_sync(h) ? LACP_SYNC : 0;
	state |= h->kind == HOST_BONDING && h->carries ? CARRYING : 0;
	state |= h->status == HOST_DEFAULTED ? LACP_DEFAULTED : 0;
	state |= h->status == HOST_EXPIRED ? LACP_EXPIRED : 0;
	h->us.state = state;
	if ((before ^ state) & (ANSWERED | CARRYING))
		h->owes = true;
}

void host_start(struct lacp_host *h, int64_t now)
{
	h->us = (struct lacp_info){.system_priority = 65535,
				   .system = {{0x52, 0x54, 0, 0, 0, 1}},
				   .key = 9,
				   .port_priority = 255,
				   .port = 1};
	memset(&h->them, 0, sizeof(h->them));
	h->status = HOST_DEFAULTED;
	h->send_at = now;
	if (h->active || h->kind == HOST_BONDING)
		set_expired(h, now);
	update_us(h);
}

void host_receive(struct lacp_host *h, int64_t now, const struct lacpdu *pdu)
{
	bool changed = !same_identity(&pdu->actor, &h->them);

	if (mac_equal(pdu->actor.system, h->us.system))
		return;
	if (differs(h, &pdu->partner))
		h->owes = true;
	if ((pdu->actor.state & LACP_TIMEOUT) && !(h->them.state & LACP_TIMEOUT) && h->send_at > now + 1000)
		h->send_at = now + 1000;
	h->them = pdu->actor;
	h->status = HOST_CURRENT;
	h->lost_at = now + (h->fast ? 3000 : 90000);
	h->matched = same_identity(&pdu->partner, &h->us);
	if (h->kind == HOST_BONDING) {
		if (changed)
			h->selected = h->attached = h->carries = false;
		return; /* the rest happens at the next tick */
	}
	update_us(h);
}

/* Bonding's selection and mux: one transition a tick. */
static void bond_tick(struct lacp_host *h, int64_t now)
{
	bool partner_sync = h->matched && (h->them.state & LACP_SYNC);

	if (!h->selected) {
		h->attached = h->carries = false;
		h->selected = h->status != HOST_DEFAULTED;
		h->attach_at = h->selected ? now + BOND_WAIT : 0;
	} else if (!h->attached) {
		h->attached = now >= h->attach_at;
	} else {
		h->carries = partner_sync;
	}
	if (now >= h->budget_at) {
		h->budget_at = now + 1000;
		h->budget = BOND_BUDGET;
	}
}

bool host_run(struct lacp_host *h, int64_t now, struct lacpdu *pdu)
{
	if (h->kind == HOST_BONDING && now % BOND_TICK)
		return false;
	if (h->status != HOST_DEFAULTED && now >= h->lost_at) {
		if (h->status == HOST_CURRENT) {
			set_expired(h, now);
		} else {
			h->status = HOST_DEFAULTED;
			h->selected = false;
			memset(&h->them, 0, sizeof(h->them));
		}
	}
	if (h->kind == HOST_BONDING)
		bond_tick(h, now);
	update_us(h);
	if (now >= h->send_at)
		h->owes = true;
	if (!h->active && !(h->them.state & LACP_ACTIVITY) &&
	    (h->kind != HOST_OVS || h->status == HOST_DEFAULTED)) {
		h->owes = false;
		return false;
	}
	if (!h->owes || (h->kind == HOST_BONDING && h->budget-- <= 0))
		return false;
	h->owes = false;
	h->send_at = now + (h->them.state & LACP_TIMEOUT ? 1000 : 30000);
	*pdu = (struct lacpdu){.actor = h->us, .partner = h->them};
	return true;
}

bool host_carries(const struct lacp_host *h)
{
	return h->kind == HOST_BONDING ? h->carries
				       : h->status != HOST_DEFAULTED && (h->them.state & LACP_SYNC);
}
