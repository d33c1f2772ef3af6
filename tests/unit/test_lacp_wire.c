/* SPDX-License-Identifier: ISC */
/*
 * test_lacp_wire.c - our LACP at one end of a virtual wire, and ours or a model of a host at the other. PDUs
 * travel as bytes, one millisecond each. Our end's gate is what an owner makes it: it opens some milliseconds
 * after lacp_ready(), unless it is told to stay shut.
 */
#include "core/lacp.h"
#include "lacp_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DATAPLANE_MS = 10, WIRE_FRAMES = 8 };

struct end {
	/* one of both */
	struct lacp_host *host;
	struct lacp l;
	struct step s;
	bool shut;       /* the owner keeps the gate shut */
	int64_t open_at; /* 0 = not asked for */
	bool dead;       /* sends and hears nothing */
	int64_t sent_at[LACP_TX_PER_FAST_PERIOD];
	size_t sent;
	/* on their way to this end */
	size_t frames;
	int64_t arrive_at[WIRE_FRAMES];
	uint8_t bytes[WIRE_FRAMES][LACPDU_SIZE];
};

struct wire {
	int64_t now;
	struct end a, b; /* a is ours */
	unsigned loss;   /* per cent */
	unsigned seed;
};

static void end_ours(struct end *e, bool active, bool fast, uint8_t number)
{
	const struct lacp_config config = {
	    .mclag = 7,
	    .system = {{0x02, 0, 0, 0, 0, number}},
	    .system_priority = 32768,
	    .key = 7,
	    .port_priority = 255,
	    .port = number,
	    .active = active,
	    .fast = fast,
	};

	lacp_init(&e->l, &config);
	for (size_t i = 0; i < LACP_TX_PER_FAST_PERIOD; i++)
		e->sent_at[i] = INT64_MIN / 2;
}

static void put_on_wire(struct wire *w, struct end *to, const struct lacpdu *pdu)
{
	if (to->dead || (w->loss && (unsigned)rand_r(&w->seed) % 100 < w->loss))
		return;
	assert_true(to->frames < WIRE_FRAMES);
	to->arrive_at[to->frames] = w->now + 1;
	lacpdu_encode(pdu, to->bytes[to->frames++]);
}

/* Sends what the step holds, under the rate limit's watch. */
static void flush(struct wire *w, struct end *e, struct end *to)
{
	for (size_t i = 0; i < e->s.action_count; i++) {
		assert_int_equal(e->s.actions[i].kind, ACTION_LACPDU);
		assert_true(w->now - e->sent_at[0] >= LACP_FAST_PERIODIC_MS);
		memmove(&e->sent_at[0], &e->sent_at[1], sizeof(e->sent_at) - sizeof(e->sent_at[0]));
		e->sent_at[LACP_TX_PER_FAST_PERIOD - 1] = w->now;
		e->sent++;
		put_on_wire(w, to, &e->s.actions[i].lacpdu.pdu);
	}
	step_clear(&e->s);
}

static void owner(struct end *e, int64_t now)
{
	if (e->shut || !lacp_ready(&e->l)) {
		e->open_at = 0;
		lacp_open(&e->l, &e->s, false);
	} else if (!e->open_at) {
		e->open_at = e->l.open ? now : now + DATAPLANE_MS;
	} else if (now >= e->open_at) {
		lacp_open(&e->l, &e->s, true);
	}
}

static void end_run(struct wire *w, struct end *e, struct end *to)
{
	struct lacpdu pdu;

	if (e->dead)
		return;
	if (e->host) {
		if (host_run(e->host, w->now, &pdu))
			put_on_wire(w, to, &pdu);
		return;
	}
	e->s.now.ms = w->now;
	if (lacp_deadline(&e->l).ms <= w->now)
		lacp_timer(&e->l, &e->s);
	flush(w, e, to);
	owner(e, w->now);
	flush(w, e, to);
}

static void end_hear(struct wire *w, struct end *e, struct end *to)
{
	struct lacpdu pdu;

	while (e->frames > 0 && e->arrive_at[0] <= w->now) {
		assert_int_equal(lacpdu_decode(e->bytes[0], LACPDU_SIZE, &pdu), LACPDU_OK);
		e->frames--;
		memmove(&e->arrive_at[0], &e->arrive_at[1], e->frames * sizeof(e->arrive_at[0]));
		memmove(&e->bytes[0], &e->bytes[1], e->frames * sizeof(e->bytes[0]));
		if (e->dead)
			continue;
		if (e->host) {
			host_receive(e->host, w->now, &pdu);
			continue;
		}
		e->s.now.ms = w->now;
		lacp_receive(&e->l, &e->s, &pdu);
		flush(w, e, to);
	}
}

static void tick(struct wire *w)
{
	w->now++;
	end_hear(w, &w->a, &w->b);
	end_hear(w, &w->b, &w->a);
	end_run(w, &w->a, &w->b);
	end_run(w, &w->b, &w->a);
}

static bool through(const struct end *e)
{
	return e->host ? host_carries(e->host) : e->l.mux == LACP_MUX_DISTRIBUTING;
}

static bool both_through(const struct wire *w)
{
	return through(&w->a) && through(&w->b);
}

static bool a_saw_b_leave(const struct wire *w)
{
	return lacp_partner_left(&w->a.l);
}

static bool b_is_out(const struct wire *w)
{
	return !through(&w->b);
}

/* The milliseconds until cond, or limit + 1. */
static int64_t until(struct wire *w, bool (*cond)(const struct wire *w), int64_t limit)
{
	int64_t start = w->now;

	while (!cond(w) && w->now - start <= limit)
		tick(w);
	return w->now - start;
}

static void pass(struct wire *w, int64_t ms)
{
	while (ms-- > 0)
		tick(w);
}

static void plug_in(struct wire *w)
{
	struct end *ends[] = {&w->a, &w->b};

	w->now = 1000000;
	for (size_t i = 0; i < 2; i++) {
		ends[i]->s.now.ms = w->now;
		if (ends[i]->host)
			host_start(ends[i]->host, w->now);
		else
			lacp_carrier(&ends[i]->l, &ends[i]->s, true);
		flush(w, ends[i], ends[1 - i]);
	}
}

static void unplug(struct wire *w)
{
	step_release(&w->a.s);
	step_release(&w->b.s);
}

/* --- ours and ours ---------------------------------------------------------------------------------- */

static void ours_and_ours(void **unused)
{
	(void)unused;
	for (unsigned bits = 0; bits < 16; bits++) {
		struct wire w = {0};
		int64_t ms;

		end_ours(&w.a, bits & 1, bits & 4, 1);
		end_ours(&w.b, bits & 2, bits & 8, 2);
		plug_in(&w);
		if (!(bits & 3)) {
			pass(&w, 200000);
			assert_int_equal(w.a.sent + w.b.sent, 0);
			unplug(&w);
			continue;
		}
		if (until(&w, both_through, 2100) > 2100)
			fail_msg("bits %x: a %s, b %s", bits, lacp_mux_name(w.a.l.mux),
				 lacp_mux_name(w.b.l.mux));
		/* Nothing ever moves again, and nobody talks more than the other asks for. */
		w.a.sent = w.b.sent = 0;
		for (int i = 0; i < 300000; i++) {
			tick(&w);
			assert_true(both_through(&w));
		}
		assert_true(w.a.sent <= (bits & 8 ? 302 : 12));
		assert_true(w.b.sent <= (bits & 4 ? 302 : 12));
		/* a leaves: b stops within the time of one PDU, and a sees it. */
		w.a.shut = true;
		ms = until(&w, b_is_out, 10);
		assert_true(ms <= 3);
		assert_true(until(&w, a_saw_b_leave, 1100) <= 1100);
		assert_int_equal(w.b.l.mux, LACP_MUX_ATTACHED);
		w.a.shut = false;
		assert_true(until(&w, both_through, 2100) <= 2100);
		unplug(&w);
	}
}

/* --- ours and the hosts of the field ---------------------------------------------------------------- */

struct meeting {
	struct wire w;
	struct lacp_host host;
};

/* bits: 1 we are active, 2 we are fast, 4 host active, 8 host fast, 16 host individual. False: both passive.
 */
static bool meet(struct meeting *m, enum host_kind kind, unsigned bits)
{
	memset(m, 0, sizeof(*m));
	m->host =
	    (struct lacp_host){.kind = kind, .active = bits & 4, .fast = bits & 8, .individual = bits & 16};
	m->w.b.host = &m->host;
	end_ours(&m->w.a, bits & 1, bits & 2, 1);
	plug_in(&m->w);
	return bits & 5;
}

static void hosts_come_in_and_leave(void **unused)
{
	(void)unused;
	for (unsigned i = 0; i < 32 * HOST_KIND_COUNT; i++) {
		enum host_kind kind = (enum host_kind)(i / 32);
		int64_t in = kind == HOST_BONDING ? 3600 : 20, out = kind == HOST_BONDING ? 102 : 2;
		struct meeting m;
		int64_t ms;

		if (!(i & 1)) /* we are passive: the host may have no cause to repeat what we say */
			in += LACP_FAST_PERIODIC_MS + LACP_HEARING_MS;
		if (!meet(&m, kind, i % 32)) {
			unplug(&m.w);
			continue;
		}
		if (until(&m.w, both_through, in) > in)
			fail_msg("%s %x: ours %s, host %d", host_kind_name(kind), i % 32,
				 lacp_mux_name(m.w.a.l.mux), host_carries(&m.host));
		for (int tick_count = 0; tick_count < 100000; tick_count++) {
			tick(&m.w);
			assert_true(both_through(&m.w));
		}
		m.w.a.shut = true;
		tick(&m.w);
		assert_false(lacp_partner_left(&m.w.a.l));
		/* Never said to have left before it has, and soon after. */
		ms = until(&m.w, a_saw_b_leave, 1100);
		assert_false(host_carries(&m.host));
		if (ms > out + 2)
			fail_msg("%s %x: left after %d ms", host_kind_name(kind), i % 32, (int)ms);
		pass(&m.w, 5000);
		assert_false(host_carries(&m.host));
		m.w.a.shut = false;
		ms = until(&m.w, both_through, 1100);
		assert_true(ms <= 1100);
		unplug(&m.w);
	}
}

/* Our daemon is gone for a second and a half, and resumes: the host never stops. */
static void hosts_do_not_see_a_restart(void **unused)
{
	(void)unused;
	for (unsigned i = 0; i < 32 * HOST_KIND_COUNT; i++) {
		struct meeting m;
		struct lacp before;

		if (meet(&m, (enum host_kind)(i / 32), i % 32)) {
			assert_true(until(&m.w, both_through, 5000) <= 5000);
			pass(&m.w, 3000);
			before = m.w.a.l;
			m.w.a.dead = true;
			for (int ms = 0; ms < 1500; ms++) {
				tick(&m.w);
				assert_true(host_carries(&m.host));
			}
			m.w.a.dead = false;
			end_ours(&m.w.a, i & 1, i & 2, 1);
			m.w.a.s.now.ms = m.w.now;
			lacp_resume(&m.w.a.l, &m.w.a.s, &before.partner, before.actor.state);
			flush(&m.w, &m.w.a, &m.w.b);
			for (int ms = 0; ms < 100000; ms++) {
				tick(&m.w);
				assert_true(both_through(&m.w));
			}
		}
		unplug(&m.w);
	}
}

/* Another system id: the host is out for less than 1.2 s (bonding waits 2 s of its own), and comes back. */
static void hosts_follow_the_system_id(void **unused)
{
	const struct mac own = {{0x02, 0, 0, 0, 0, 0x77}};

	(void)unused;
	for (unsigned i = 0; i < 32 * HOST_KIND_COUNT; i++) {
		int64_t limit = i / 32 == HOST_BONDING ? 3600 : 1200;
		struct meeting m;

		if (meet(&m, (enum host_kind)(i / 32), i % 32)) {
			assert_true(until(&m.w, both_through, 5000) <= 5000);
			pass(&m.w, 3000);
			m.w.a.s.now.ms = m.w.now;
			lacp_set_system(&m.w.a.l, &m.w.a.s, own);
			flush(&m.w, &m.w.a, &m.w.b);
			assert_true(until(&m.w, b_is_out, 110) <= 110);
			assert_true(until(&m.w, both_through, limit) <= limit);
			assert_true(mac_equal(m.host.them.system, own));
		}
		unplug(&m.w);
	}
}

/* Half of all PDUs are lost for a minute, then none. */
static void hosts_survive_a_bad_cable(void **unused)
{
	(void)unused;
	for (unsigned i = 0; i < 32 * HOST_KIND_COUNT; i++) {
		struct meeting m;

		if (meet(&m, (enum host_kind)(i / 32), i % 32)) {
			m.w.seed = i;
			m.w.loss = 50;
			pass(&m.w, 60000);
			m.w.loss = 0;
			/* A slow talker may stay quiet for its period; nobody stays out for ever. */
			assert_true(until(&m.w, both_through, 35000) <= 35000);
			for (int ms = 0; ms < 100000; ms++) {
				tick(&m.w);
				assert_true(both_through(&m.w));
			}
		}
		unplug(&m.w);
	}
}

/* A dead host is noticed after our timeout, and only then. */
static void hosts_die(void **unused)
{
	(void)unused;
	for (unsigned i = 0; i < 32 * HOST_KIND_COUNT; i++) {
		struct meeting m;

		if (meet(&m, (enum host_kind)(i / 32), i % 32)) {
			int64_t timeout = i & 2 ? LACP_SHORT_TIMEOUT_MS : LACP_LONG_TIMEOUT_MS;
			int64_t died;

			assert_true(until(&m.w, both_through, 5000) <= 5000);
			pass(&m.w, 3000);
			died = m.w.now;
			m.w.b.dead = true;
			while (lacp_ready(&m.w.a.l))
				tick(&m.w);
			assert_true(m.w.now - died <= timeout + 2);
			assert_true(m.w.now - died >= timeout - (i & 2 ? 1100 : 30100));
			assert_true(lacp_partner_left(&m.w.a.l));
		}
		unplug(&m.w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ours_and_ours),
	    cmocka_unit_test(hosts_come_in_and_leave),
	    cmocka_unit_test(hosts_do_not_see_a_restart),
	    cmocka_unit_test(hosts_follow_the_system_id),
	    cmocka_unit_test(hosts_survive_a_bad_cable),
	    cmocka_unit_test(hosts_die),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
