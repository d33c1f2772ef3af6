/* SPDX-License-Identifier: ISC */
/* lacp_rig.c - one LACP port in virtual time. */
#include "lacp_rig.h"

#include <stdio.h>
#include <string.h>

const struct lacp_config fast_active = {
    .mclag = 7,
    .system = {{0x02, 0, 0, 0, 0, 0xaa}},
    .system_priority = 32768,
    .key = 7,
    .port_priority = 255,
    .port = 0x8001,
    .active = true,
    .fast = true,
};

const struct lacp_info host = {
    .system_priority = 65535,
    .system = {{0x52, 0x54, 0, 0, 0, 1}},
    .key = 9,
    .port_priority = 255,
    .port = 1,
};

void rig_open(struct rig *r, const struct lacp_config *config)
{
	memset(r, 0, sizeof(*r));
	r->s.now = (struct msec){1000000};
	lacp_init(&r->l, config);
}

void rig_close(struct rig *r)
{
	step_release(&r->s);
}

/* What holds after every call, whatever was called. */
static void check(struct rig *r)
{
	static const uint8_t bits[LACP_MUX_COUNT] = {0, 0, LACP_SYNC, LACP_SYNC | LACP_COLLECTING, MUX_BITS};
	const struct lacp *l = &r->l;

	assert_int_equal(l->actor.state & MUX_BITS, bits[l->mux]);
	assert_true(l->open || !(l->actor.state & LACP_SYNC));
	assert_true(lacp_known(l) || l->mux == LACP_MUX_DETACHED);
	assert_true(lacp_known(l) || mac_is_zero(l->partner.system));
	assert_int_equal(l->rx == LACP_RX_PORT_DISABLED, !l->carrier);
	assert_int_equal(l->rx == LACP_RX_EXPIRED, (l->actor.state & LACP_EXPIRED) != 0);
	assert_true(lacp_known(l) || l->rx != LACP_RX_CURRENT);
	assert_true(r->sent <= 1);
}

void took(struct rig *r)
{
	size_t used = strlen(r->trace);

	r->sent = r->s.action_count;
	for (size_t i = 0; i < r->s.action_count; i++) {
		assert_int_equal(r->s.actions[i].kind, ACTION_LACPDU);
		assert_int_equal(r->s.actions[i].lacpdu.mclag, r->l.config.mclag);
		r->pdu = r->s.actions[i].lacpdu.pdu;
	}
	for (size_t i = 0; i < r->s.trace_count && used < sizeof(r->trace); i++) {
		assert_int_equal(r->s.traces[i].room, TRACE_LACP);
		used +=
		    (size_t)snprintf(r->trace + used, sizeof(r->trace) - used, "%s\n", r->s.traces[i].text);
	}
	step_clear(&r->s);
	check(r);
}

void carrier(struct rig *r, bool up)
{
	lacp_carrier(&r->l, &r->s, up);
	took(r);
}

void open_gate(struct rig *r, bool open)
{
	lacp_open(&r->l, &r->s, open);
	took(r);
}

void receive(struct rig *r, const struct lacp_info *actor, uint8_t state, const struct lacp_info *partner)
{
	struct lacpdu pdu = {.actor = *actor, .partner = *partner};

	pdu.actor.state = state;
	lacp_receive(&r->l, &r->s, &pdu);
	took(r);
}

void hear(struct rig *r, uint8_t state)
{
	struct lacp_info us = r->l.actor;

	receive(r, &host, state, &us);
}

void timer(struct rig *r)
{
	lacp_timer(&r->l, &r->s);
	took(r);
}

size_t run_until(struct rig *r, int64_t ms)
{
	size_t sent = 0;

	while (lacp_deadline(&r->l).ms <= ms) {
		assert_true(lacp_deadline(&r->l).ms >= r->s.now.ms);
		r->s.now = lacp_deadline(&r->l);
		timer(r);
		sent += r->sent;
	}
	r->s.now.ms = ms;
	return sent;
}

size_t run_for(struct rig *r, int64_t ms)
{
	return run_until(r, r->s.now.ms + ms);
}

void timer_expire(struct rig *r)
{
	r->s.now = msec_is_never(r->l.current_while) ? msec_after(r->s.now, 1) : r->l.current_while;
	timer(r);
}

void mux_reach(struct rig *r, enum place_in_mux place)
{
	static const enum lacp_mux state[PLACE_COUNT] = {
	    LACP_MUX_DETACHED, LACP_MUX_DETACHED,   LACP_MUX_WAITING,
	    LACP_MUX_ATTACHED, LACP_MUX_COLLECTING, LACP_MUX_DISTRIBUTING,
	};

	rig_open(r, &fast_active);
	carrier(r, true);
	if (place >= WAITING)
		hear(r, HOST_IDLE);
	if (place != SHUT && place != WAITING)
		open_gate(r, true);
	if (place >= COLLECTING)
		hear(r, HOST_SYNC);
	if (place == DISTRIBUTING)
		hear(r, HOST_COLLECTING);
	run_for(r, 1500);
	assert_false(r->l.ntt);
	assert_int_equal(r->l.mux, state[place]);
}
