/* SPDX-License-Identifier: ISC */
/* The domain as a whole, where no single machine decides: what the shell would see of one leaf alone. */
#include <stdlib.h>

#include "core_test.h"

static const struct mclag_config mclags[] = {{.id = 1, .speaker = SPEAKER_STATIC}};

struct fixture {
	struct domain *d;
	struct step s;
	uint16_t peer_domain;
	enum reason goodbye;
	unsigned warnings; /* of all steps */
};

static void step(struct fixture *f, int64_t at, const struct event *e)
{
	step_at(&f->s, at);
	domain_step(f->d, &f->s, e);
	for (size_t i = 0; i < f->s.trace_count; i++)
		f->warnings += f->s.traces[i].level == TRACE_WARN;
}

static void begin(struct fixture *f, uint8_t node)
{
	struct domain_config config = config_for(node, mclags, 1);
	struct event start = {.kind = EVENT_START};

	memset(f, 0, sizeof *f);
	f->peer_domain = config.domain;
	f->d = domain_create(&config, NULL);
	step(f, 0, &start);
}

static void end(struct fixture *f)
{
	domain_destroy(f->d);
	step_release(&f->s);
}

static void carrier(struct fixture *f, struct place port)
{
	struct event e = {.kind = EVENT_LINK, .link = {.port = port, .carrier = true}};

	step(f, 0, &e);
}

static void hear(struct fixture *f, int64_t at, int path)
{
	struct event e = {
	    .kind = EVENT_HEARD,
	    .heard = {.path = path, .boot_id = 99, .hears_us = true, .beacon = {.domain = f->peer_domain}}};

	e.heard.beacon.goodbye = f->goodbye;
	e.heard.beacon.seconds = f->goodbye == REASON_RESTART ? 30 : 0;
	step(f, at, &e);
}

/* Keepalives on both paths every 100 ms, and timers, but never a session. Returns when the leg was opened, or -1. */
static int64_t heard_without_session(struct fixture *f, int64_t until)
{
	struct event timer = {.kind = EVENT_TIMER};
	struct domain_view v;
	struct leg_view leg;

	for (int64_t at = 100; at <= until; at += 100) {
		hear(f, at, 0);
		hear(f, at, 1);
		step(f, at, &timer);
		domain_view(f->d, &v);
		domain_leg_view(f->d, 0, &leg);
		assert_false(v.peer_link_open);
		if (leg.phase == LEG_OPENING)
			return at;
	}
	return -1;
}

/* "Never both legs down": a session that is refused, wrong keys say, must not hold both leaves for ever; and not open both. */
static void one_leaf_opens_without_session(void **state)
{
	(void)state;
	for (uint8_t node = 1; node <= 2; node++) {
		struct fixture f;

		begin(&f, node);
		carrier(&f, (struct place){.kind = PLACE_PEER_LINK});
		carrier(&f, (struct place){.kind = PLACE_LEG, .mclag = 1});
		if (node == 1)
			assert_in_range((uintmax_t)heard_without_session(&f, 400000), 180000, 181000);
		else
			assert_int_equal(heard_without_session(&f, 400000), -1);
		end(&f);
	}
}

static enum verdict verdict(const struct fixture *f)
{
	struct domain_view v;

	domain_view(f->d, &v);
	return v.verdict;
}

static void keepalives_say_goodbye_too(void **state)
{
	struct fixture f;
	struct event timer = {.kind = EVENT_TIMER};

	(void)state;
	begin(&f, 1);
	carrier(&f, (struct place){.kind = PLACE_PEER_LINK});
	hear(&f, 100, 0);
	f.goodbye = REASON_RESTART;
	hear(&f, 200, 1);
	hear(&f, 201, 0); /* says nothing new */
	assert_int_equal(verdict(&f), VERDICT_RESTARTING);
	step(&f, 30199, &timer);
	assert_int_equal(verdict(&f), VERDICT_RESTARTING);
	step(&f, 30200, &timer); /* the 30 s that it asked for, less than our grace of 60 s */
	assert_int_equal(verdict(&f), VERDICT_SILENT);
	end(&f);
}

static void our_last_beacon_says_goodbye(void **state)
{
	struct fixture f;
	struct event stop = {.kind = EVENT_STOP, .reason = REASON_RESTART};

	(void)state;
	begin(&f, 1);
	step(&f, 100, &stop);
	assert_int_equal(nth_action(&f.s, ACTION_BEACON, 0)->beacon.goodbye, REASON_RESTART);
	assert_int_equal(nth_action(&f.s, ACTION_BEACON, 0)->beacon.seconds, 60);
	assert_int_equal(count_actions(&f.s, ACTION_STOPPED), 1);
	end(&f);
}

static void another_domain_is_no_peer_and_is_told(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1);
	f.peer_domain = 2;
	for (int64_t at = 100; at <= 20000; at += 100)
		hear(&f, at, 0);
	assert_int_equal(verdict(&f), VERDICT_UNKNOWN);
	assert_int_equal(f.warnings, 2); /* every ten seconds, not with every keepalive */
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_leaf_opens_without_session),
	    cmocka_unit_test(keepalives_say_goodbye_too),
	    cmocka_unit_test(our_last_beacon_says_goodbye),
	    cmocka_unit_test(another_domain_is_no_peer_and_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
