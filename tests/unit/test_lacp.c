/* SPDX-License-Identifier: ISC */
/*
 * test_lacp.c - the LACP machines of one port, in virtual time: stories, leaving, resuming, the rate limit,
 * and random walks under invariants. Every state crossed with every event: test_lacp_matrix.c. Both ends of a
 * wire: test_lacp_wire.c.
 */
#include "lacp_rig.h"

#include <stdlib.h>
#include <string.h>

/* --- stories ---------------------------------------------------------------------------------------- */

static void host_comes_and_goes(void **unused)
{
	struct rig r;

	(void)unused;
	rig_open(&r, &fast_active);
	carrier(&r, true);
	hear(&r, HOST_IDLE);
	assert_true(lacp_ready(&r.l));
	open_gate(&r, true);
	hear(&r, HOST_SYNC);
	hear(&r, HOST_ALL);
	open_gate(&r, false);
	assert_int_equal(r.sent, 1);
	assert_false(lacp_ready(&r.l)); /* three PDUs in no time: one in sync would have to wait */
	run_for(&r, LACP_FAST_PERIODIC_MS);
	assert_true(lacp_ready(&r.l));
	run_for(&r, 5000);
	assert_false(lacp_ready(&r.l));
	assert_string_equal(r.trace,
			    "carrier -> rx expired\n"
			    "the partner's timeout is short -> periodic fast\n"
			    "PDU from 52:54:00:00:00:01 key 9 port 1 -> a partner\n"
			    "PDU received -> rx current\n"
			    "the partner is known -> mux waiting\n"
			    "the partner's timeout is long -> periodic slow\n"
			    "rate limit -> PDU held back\n"
			    "the leg is open -> mux attached\n"
			    "the partner is in sync -> mux collecting\n"
			    "rate limit -> PDU held back\n"
			    "the partner collects -> mux distributing\n"
			    "the leg closes -> mux waiting\n"
			    "no PDU within the timeout -> rx expired\n"
			    "the partner's timeout is short -> periodic fast\n"
			    "no PDU while expired -> rx defaulted\n"
			    "no PDU while expired -> partner 52:54:00:00:00:01 key 9 port 1 is lost\n"
			    "no partner -> mux detached\n"
			    "the partner's timeout is long -> periodic slow\n");
	rig_close(&r);
}

/* Expired: synchronization stays announced, but nothing is sent to a partner that is not heard (6.4.12). */
static void partner_falls_silent(void **unused)
{
	struct rig r;

	(void)unused;
	mux_reach(&r, DISTRIBUTING);
	hear(&r, HOST_ALL);
	run_for(&r, LACP_SHORT_TIMEOUT_MS - 1);
	assert_int_equal(r.l.mux, LACP_MUX_DISTRIBUTING);
	run_for(&r, 1);
	assert_int_equal(r.l.rx, LACP_RX_EXPIRED);
	assert_int_equal(r.l.mux, LACP_MUX_ATTACHED);
	assert_false(lacp_ready(&r.l));
	assert_true(lacp_partner_left(&r.l));
	assert_int_equal(r.pdu.actor.state,
			 LACP_ACTIVITY | LACP_TIMEOUT | LACP_AGGREGATION | LACP_SYNC | LACP_EXPIRED);
	assert_int_equal(r.pdu.partner.state & (LACP_SYNC | LACP_TIMEOUT), LACP_TIMEOUT);
	hear(&r, HOST_ALL);
	assert_int_equal(r.l.mux, LACP_MUX_DISTRIBUTING);
	assert_true(lacp_ready(&r.l));
	rig_close(&r);
}

static void long_timeout(void **unused)
{
	struct lacp_config config = fast_active;
	struct rig r;

	(void)unused;
	config.fast = false;
	rig_open(&r, &config);
	carrier(&r, true);
	hear(&r, HOST_ALL);
	run_for(&r, LACP_LONG_TIMEOUT_MS - 1);
	assert_int_equal(r.l.rx, LACP_RX_CURRENT);
	run_for(&r, 1);
	assert_int_equal(r.l.rx, LACP_RX_EXPIRED);
	run_for(&r, LACP_SHORT_TIMEOUT_MS);
	assert_int_equal(r.l.rx, LACP_RX_DEFAULTED);
	rig_close(&r);
}

/* The first PDU after carrier returns shows no partner, so that every partner answers it; and as the last one
 * said "in sync", the rate limit lets it go at once: the partner may not have seen the flap. */
static void carrier_flap_forgets(void **unused)
{
	struct rig r;

	(void)unused;
	mux_reach(&r, DISTRIBUTING);
	carrier(&r, false);
	assert_int_equal(r.sent, 0);
	assert_true(msec_is_never(lacp_deadline(&r.l)));
	r.s.now = msec_after(r.s.now, 1);
	carrier(&r, true);
	assert_int_equal(r.sent, 1);
	assert_true(mac_is_zero(r.pdu.partner.system));
	assert_int_equal(r.pdu.actor.state & MUX_BITS, 0);
	rig_close(&r);
}

static void passive_speaks_when_spoken_to(void **unused)
{
	struct lacp_config config = fast_active;
	struct rig r;

	(void)unused;
	config.active = false;
	rig_open(&r, &config);
	carrier(&r, true);
	open_gate(&r, true);
	assert_int_equal(run_for(&r, 600000), 0);
	hear(&r, HOST_ALL);
	assert_int_equal(r.sent, 1);
	assert_int_equal(r.l.mux, LACP_MUX_DISTRIBUTING);
	run_for(&r, 10000);
	assert_int_equal(r.l.rx, LACP_RX_DEFAULTED);
	assert_int_equal(run_for(&r, 600000), 0);
	rig_close(&r);
}

/* A loop is reported once as a warning, then only for those who look closely. */
static void own_pdu_is_no_partner(void **unused)
{
	struct rig r;
	struct lacpdu pdu;

	(void)unused;
	rig_open(&r, &fast_active);
	carrier(&r, true);
	pdu = (struct lacpdu){.actor = r.l.actor, .partner = r.l.actor};
	for (int i = 0; i < 3; i++) {
		lacp_receive(&r.l, &r.s, &pdu);
		assert_int_equal(r.s.trace_count, 1);
		assert_int_equal(r.s.traces[0].level, i ? TRACE_DEBUG : TRACE_WARN);
		took(&r);
	}
	assert_int_equal(r.l.counters.own, 3);
	assert_int_equal(r.l.counters.received, 3);
	run_for(&r, LACP_SHORT_TIMEOUT_MS);
	assert_int_equal(r.l.rx, LACP_RX_DEFAULTED);
	rig_close(&r);
}

/* Every PDU restarts the periodic time. */
static void talk_restarts_periodic(void **unused)
{
	const struct lacp_info nobody = {0};
	struct rig r;

	(void)unused;
	mux_reach(&r, DISTRIBUTING);
	hear(&r, HOST_ALL | LACP_TIMEOUT);
	r.s.now = r.l.periodic_due;
	timer(&r);
	assert_int_equal(r.sent, 1);
	r.s.now = msec_after(r.s.now, 700);
	receive(&r, &host, HOST_ALL | LACP_TIMEOUT, &nobody);
	assert_int_equal(r.sent, 1);
	assert_int_equal(run_for(&r, 999), 0);
	assert_int_equal(run_for(&r, 1), 1);
	rig_close(&r);
}

/* A field of one end that is not as it was. */
static const struct lacp_info wrong_ends[] = {
    {.system_priority = 1},
    {.system = {{0, 0, 0, 0, 1, 0}}},
    {.key = 1},
    {.port_priority = 1},
    {.port = 1},
    {.state = LACP_AGGREGATION},
};

static struct lacp_info spoil(struct lacp_info info, const struct lacp_info *wrong)
{
	info.system_priority ^= wrong->system_priority;
	info.system = mac_from_u64(mac_to_u64(info.system) ^ mac_to_u64(wrong->system));
	info.key ^= wrong->key;
	info.port_priority ^= wrong->port_priority;
	info.port ^= wrong->port;
	info.state ^= wrong->state;
	return info;
}

/* choose_Matched and update_NTT: it means someone else, and hears from us how we are. */
static void partner_has_us_wrong(void **unused)
{
	static const struct {
		uint8_t bit;
		bool answered;
	} bits[] = {
	    {LACP_ACTIVITY, true},    {LACP_TIMEOUT, true},       {LACP_SYNC, true},
	    {LACP_COLLECTING, false}, {LACP_DISTRIBUTING, false}, {LACP_DEFAULTED, false},
	    {LACP_EXPIRED, false},
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(wrong_ends) + COUNT(bits); i++) {
		bool end = i < COUNT(wrong_ends);
		struct lacp_info us;
		struct rig r;

		mux_reach(&r, DISTRIBUTING);
		us = r.l.actor;
		if (end)
			us = spoil(us, &wrong_ends[i]);
		else
			us.state ^= bits[i - COUNT(wrong_ends)].bit;
		receive(&r, &host, HOST_ALL, &us);
		assert_int_equal(r.l.mux, end ? LACP_MUX_ATTACHED : LACP_MUX_DISTRIBUTING);
		assert_int_equal(r.sent, end || bits[i - COUNT(wrong_ends)].answered);
		rig_close(&r);
		/* Also where nothing else of ours changes by it. */
		mux_reach(&r, ATTACHED);
		receive(&r, &host, HOST_IDLE, &us);
		assert_int_equal(r.l.mux, LACP_MUX_ATTACHED);
		assert_true(r.sent || !end);
		rig_close(&r);
	}
}

/* update_Selected: another end of the link is another conversation. */
static void partner_is_another(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(wrong_ends); i++) {
		struct lacp_info them = host, us;
		struct rig r;

		mux_reach(&r, DISTRIBUTING);
		us = r.l.actor;
		them.state = HOST_ALL;
		them = spoil(them, &wrong_ends[i]);
		receive(&r, &them, them.state, &us);
		assert_int_equal(r.sent, 1);
		assert_false(r.pdu.actor.state & MUX_BITS);
		assert_memory_equal(&r.pdu.partner, &them, sizeof(them));
		rig_close(&r);
	}
}

/* A passive partner counts only if it knows that we are active: else nobody would keep the link alive. */
static void passive_partner(void **unused)
{
	for (int knows = 0; knows < 2; knows++) {
		struct lacp_info us;
		struct rig r;

		(void)unused;
		mux_reach(&r, ATTACHED);
		us = r.l.actor;
		us.state ^= knows ? 0 : LACP_ACTIVITY;
		receive(&r, &host, HOST_ALL & ~LACP_ACTIVITY, &us);
		assert_int_equal(r.l.mux, knows ? LACP_MUX_DISTRIBUTING : LACP_MUX_ATTACHED);
		rig_close(&r);
	}
}

/* --- leaving ---------------------------------------------------------------------------------------- */

static void partner_left(void **unused)
{
	struct lacp_info before;
	struct rig r;

	(void)unused;
	/* Never told to come. */
	mux_reach(&r, WAITING);
	hear(&r, HOST_ALL);
	assert_true(lacp_partner_left(&r.l));
	rig_close(&r);

	/* Linux bonding: clears its bits, stays in sync. A PDU that crossed ours proves nothing. */
	mux_reach(&r, DISTRIBUTING);
	before = r.l.actor;
	open_gate(&r, false);
	assert_false(lacp_partner_left(&r.l));
	receive(&r, &host, HOST_ALL, &before);
	assert_false(lacp_partner_left(&r.l));
	receive(&r, &host, HOST_SYNC, &before);
	assert_true(lacp_partner_left(&r.l));
	rig_close(&r);

	/* Open vSwitch: keeps its bits, repeats ours; a close makes it answer at once. */
	mux_reach(&r, DISTRIBUTING);
	hear(&r, HOST_ALL);
	open_gate(&r, false);
	assert_int_equal(r.pdu.partner.state, HOST_ALL & ~LACP_SYNC);
	hear(&r, HOST_ALL);
	assert_true(lacp_partner_left(&r.l));
	/* It was let in again: what it repeated before is no proof now. */
	open_gate(&r, true);
	open_gate(&r, false);
	assert_false(lacp_partner_left(&r.l));
	rig_close(&r);

	/* Gone altogether. */
	mux_reach(&r, DISTRIBUTING);
	open_gate(&r, false);
	run_for(&r, LACP_SHORT_TIMEOUT_MS);
	assert_true(lacp_partner_left(&r.l));
	rig_close(&r);
	mux_reach(&r, DISTRIBUTING);
	carrier(&r, false);
	assert_true(lacp_partner_left(&r.l));
	/* Who comes back while the gate is shut has not been told to come, whatever it shows. */
	open_gate(&r, false);
	carrier(&r, true);
	receive(&r, &host, HOST_ALL, &host);
	assert_true(lacp_partner_left(&r.l));
	rig_close(&r);
}

/* --- resume ----------------------------------------------------------------------------------------- */

static void resume_is_invisible(void **unused)
{
	static const enum place_in_mux places[] = {WAITING, ATTACHED, COLLECTING, DISTRIBUTING};

	(void)unused;
	for (size_t i = 0; i < 2 * COUNT(places); i++) {
		struct rig old, new;
		bool expired = i % 2;

		mux_reach(&old, places[i / 2]);
		if (expired)
			run_until(&old, old.l.current_while.ms);
		rig_open(&new, &fast_active);
		lacp_resume(&new.l, &new.s, &old.l.partner, old.l.actor.state);
		took(&new);
		assert_int_equal(new.sent, 1);
		assert_int_equal(new.pdu.actor.state, old.l.actor.state);
		assert_memory_equal(&new.pdu.partner, &old.l.partner, sizeof(old.l.partner));
		assert_int_equal(new.l.mux, old.l.mux);
		assert_int_equal(new.l.rx, old.l.rx);
		assert_int_equal(new.l.open, old.l.open);
		assert_int_equal(new.l.current_while.ms, new.s.now.ms + LACP_SHORT_TIMEOUT_MS);
		/* The kernel reports the carrier that was assumed. */
		carrier(&new, true);
		assert_int_equal(new.l.mux, old.l.mux);
		open_gate(&new, false);
		assert_int_equal(new.sent, places[i / 2] != WAITING);
		rig_close(&old);
		rig_close(&new);
	}
}

static void resume_without_partner(void **unused)
{
	struct rig r;

	(void)unused;
	rig_open(&r, &fast_active);
	lacp_resume(&r.l, &r.s, &host, LACP_ACTIVITY | LACP_AGGREGATION | LACP_DEFAULTED);
	took(&r);
	assert_int_equal(r.l.rx, LACP_RX_EXPIRED);
	assert_false(lacp_known(&r.l));
	assert_int_equal(r.sent, 1);
	rig_close(&r);
}

/* --- rate limit ------------------------------------------------------------------------------------- */

/* The handshake's third PDU, which announces synchronization, is not held back by the talk before it. */
static void sync_has_its_slot(void **unused)
{
	const struct lacp_info nobody = {0};
	struct rig r;

	(void)unused;
	rig_open(&r, &fast_active);
	carrier(&r, true);
	assert_int_equal(r.sent, 1);
	r.s.now = msec_after(r.s.now, 1);
	receive(&r, &host, HOST_ALL, &nobody);
	assert_int_equal(r.sent, 0);
	r.s.now = msec_after(r.s.now, 9);
	open_gate(&r, true);
	assert_int_equal(r.sent, 1);
	assert_true(r.pdu.actor.state & LACP_SYNC);
	assert_int_equal(r.l.counters.held_back, 1);
	rig_close(&r);
}

/* A flapping gate: every close is told at once, and the limit holds. */
static void leaving_is_never_late(void **unused)
{
	int64_t times[64];
	size_t count = 0;
	struct rig r;

	(void)unused;
	mux_reach(&r, DISTRIBUTING);
	for (int i = 0; i < 100; i++) {
		bool told = r.l.told_sync;

		open_gate(&r, false);
		assert_int_equal(r.sent, told);
		if (r.sent)
			times[count++] = r.s.now.ms;
		open_gate(&r, true);
		for (int step = 0; step < 5; step++) {
			hear(&r, HOST_ALL);
			if (r.sent)
				times[count++] = r.s.now.ms;
			r.s.now = msec_after(r.s.now, 20);
			timer(&r);
			if (r.sent)
				times[count++] = r.s.now.ms;
		}
	}
	assert_true(count > 20);
	for (size_t i = LACP_TX_PER_FAST_PERIOD; i < count; i++)
		assert_true(times[i] - times[i - LACP_TX_PER_FAST_PERIOD] >= LACP_FAST_PERIODIC_MS);
	rig_close(&r);
}

/* --- random walk ------------------------------------------------------------------------------------ */

static struct lacp_info random_host(unsigned *seed)
{
	struct lacp_info info = host;

	if (rand_r(seed) % 8 == 0)
		info.system.byte[5] = (uint8_t)rand_r(seed);
	if (rand_r(seed) % 16 == 0)
		info.key = (uint16_t)rand_r(seed);
	return info;
}

static void random_event(struct rig *r, unsigned *seed)
{
	struct lacp_info from = random_host(seed), about = rand_r(seed) % 3 ? r->l.actor : random_host(seed);
	struct mac system = fast_active.system;

	switch (rand_r(seed) % 16) {
	case 0:
		carrier(r, rand_r(seed) % 4);
		break;
	case 1:
		system.byte[5] = (uint8_t)(rand_r(seed) % 2 ? 0xaa : 0xbb);
		lacp_set_system(&r->l, &r->s, system);
		took(r);
		break;
	case 2:
	case 3:
	case 4:
		open_gate(r, rand_r(seed) % 2);
		break;
	case 5:
		r->s.now = msec_after(r->s.now, rand_r(seed) % 100);
		timer(r);
		break;
	default:
		about.state = (uint8_t)(about.state ^ (rand_r(seed) % 4 ? 0 : 1 << rand_r(seed) % 8));
		receive(r, &from, (uint8_t)(rand_r(seed) % 2 ? rand_r(seed) : HOST_ALL), &about);
		break;
	}
}

/* The next deadline or a random event, whichever comes first. */
static void walk_on(struct rig *r, unsigned *seed)
{
	int64_t next = r->s.now.ms + rand_r(seed) % 400;
	bool told = r->l.told_sync;

	if (lacp_deadline(&r->l).ms <= next) {
		r->s.now.ms = lacp_deadline(&r->l).ms;
		timer(r);
	} else {
		r->s.now.ms = next;
		random_event(r, seed);
	}
	r->trace[0] = '\0';
	/* No deadline lies in the past, and synchronization is taken back at once. */
	assert_true(lacp_deadline(&r->l).ms >= r->s.now.ms);
	if (told && !(r->l.actor.state & LACP_SYNC) && r->l.periodic != LACP_PERIODIC_NONE)
		assert_int_equal(r->sent, 1);
}

/* Whatever happened: a decent host gets in, and is told within two seconds. */
static void let_in(struct rig *r)
{
	carrier(r, true);
	open_gate(r, true);
	for (int i = 0; i < 2; i++) {
		hear(r, HOST_ALL);
		run_for(r, 1000);
	}
	assert_int_equal(r->l.mux, LACP_MUX_DISTRIBUTING);
	assert_false(r->l.ntt);
	assert_true(r->l.told_sync);
}

static void random_walk(void **unused)
{
	(void)unused;
	for (unsigned walk = 0; walk < 400; walk++) {
		int64_t times[LACP_TX_PER_FAST_PERIOD] = {INT64_MIN / 2, INT64_MIN / 2, INT64_MIN / 2};
		struct lacp_config config = fast_active;
		unsigned seed = walk;
		struct rig r;

		config.active = walk % 2;
		config.fast = walk % 4 / 2;
		rig_open(&r, &config);
		for (int i = 0; i < 2000; i++) {
			walk_on(&r, &seed);
			if (!r.sent)
				continue;
			assert_true(r.s.now.ms - times[0] >= LACP_FAST_PERIODIC_MS);
			memmove(&times[0], &times[1], sizeof(times) - sizeof(times[0]));
			times[LACP_TX_PER_FAST_PERIOD - 1] = r.s.now.ms;
		}
		let_in(&r);
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(host_comes_and_goes),
	    cmocka_unit_test(partner_falls_silent),
	    cmocka_unit_test(long_timeout),
	    cmocka_unit_test(carrier_flap_forgets),
	    cmocka_unit_test(passive_speaks_when_spoken_to),
	    cmocka_unit_test(own_pdu_is_no_partner),
	    cmocka_unit_test(talk_restarts_periodic),
	    cmocka_unit_test(partner_has_us_wrong),
	    cmocka_unit_test(partner_is_another),
	    cmocka_unit_test(passive_partner),
	    cmocka_unit_test(partner_left),
	    cmocka_unit_test(resume_is_invisible),
	    cmocka_unit_test(resume_without_partner),
	    cmocka_unit_test(sync_has_its_slot),
	    cmocka_unit_test(leaving_is_never_late),
	    cmocka_unit_test(random_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
