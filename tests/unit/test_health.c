/* SPDX-License-Identifier: ISC */
/*
 * test_health.c - the verdict over everything: one thing is made wrong at a time in a pair that is in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mclagd/control_health.h"

#define MCLAGS 2

struct pair {
	struct domain_view view;
	struct leg_view legs[MCLAGS];
};

static struct config *config;

static struct pair in_order(void)
{
	struct pair p = {0};

	p.view.verdict = VERDICT_ALIVE;
	p.view.role = ROLE_PRIMARY;
	p.view.session = SESSION_UP;
	p.view.peer_link_carrier = p.view.peer_link_open = true;
	p.view.macs.synced = p.view.macs.peer_synced = true;
	p.view.path_count = 2;
	for (size_t i = 0; i < p.view.path_count; i++)
		p.view.paths[i] = (struct path_view){.ever = true, .up = true, .hears_us = true};
	p.view.mclag_count = MCLAGS;
	for (size_t i = 0; i < MCLAGS; i++) {
		p.legs[i].id = (uint16_t)(i == 0 ? 1 : 7);
		p.legs[i].phase = p.legs[i].peer.phase = LEG_FORWARDING;
		p.legs[i].carrier = p.legs[i].peer.carrier = p.legs[i].peer_known = true;
	}
	return p;
}

static void free_lines(struct health_lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		free(lines->lines[i]);
	free(lines->lines);
}

/* expected ends with NULL. */
static void assert_lines(const struct health_lines *lines, const char *const *expected)
{
	size_t i = 0;

	for (; i < lines->count && expected[i] != NULL; i++)
		assert_string_equal(lines->lines[i], expected[i]);
	if (i < lines->count)
		fail_msg("too much: %s", lines->lines[i]);
	else if (expected[i] != NULL)
		fail_msg("missing: %s", expected[i]);
}

static void assert_judged(const struct pair *p, Mclag__Control__Health health, const char *const *findings,
			  const char *const *points)
{
	struct health_lines found = {0}, single = {0};

	assert_int_equal(health_judge(&p->view, p->legs, config, &found, &single), health);
	assert_lines(&found, findings);
	assert_lines(&single, points);
	free_lines(&found);
	free_lines(&single);
}

#define LINES(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
#define HEALTHY    MCLAG__CONTROL__HEALTH__HEALTHY
#define DEGRADED   MCLAG__CONTROL__HEALTH__DEGRADED
#define DOWN       MCLAG__CONTROL__HEALTH__DOWN

static void healthy(void **state)
{
	struct pair p = in_order();

	(void)state;
	assert_judged(&p, HEALTHY, LINES(), LINES());
	/* An mclag without a host is nothing to find. */
	p.legs[1].phase = p.legs[1].peer.phase = LEG_HELD;
	p.legs[1].carrier = p.legs[1].peer.carrier = false;
	p.legs[1].holds = HOLD_BIT(HOLD_CARRIER);
	assert_judged(&p, HEALTHY, LINES(), LINES());
	/* Nor is a pair without mclags. */
	p.view.mclag_count = 0;
	assert_judged(&p, HEALTHY, LINES(), LINES());
}

static void paths(void **state)
{
	struct pair p = in_order();

	(void)state;
	p.view.paths[1].up = false;
	assert_judged(&p, DEGRADED, LINES("path mgmt is down"),
		      LINES("path peer-link is the last one: one fault from blind"));
	p.view.paths[1] = (struct path_view){0};
	assert_judged(&p, DEGRADED, LINES("path mgmt is down: the peer was never heard on it"),
		      LINES("path peer-link is the last one: one fault from blind"));
	p = in_order();
	p.view.paths[0].hears_us = false;
	assert_judged(&p, DEGRADED, LINES("path peer-link is one-way: the peer does not hear this leaf"),
		      LINES());
	/* A pair that has only one is healthy, and one fault from blind for ever. */
	p = in_order();
	p.view.path_count = 1;
	assert_judged(&p, HEALTHY, LINES(), LINES("path peer-link is the last one: one fault from blind"));
	p = in_order();
	p.view.peer_link_open = false;
	assert_judged(&p, DEGRADED, LINES("the peer link swp49 is closed for data"), LINES());
	p.view.peer_link_carrier = false;
	assert_judged(&p, DEGRADED, LINES("the peer link swp49 has no carrier"), LINES());
}

static void legs(void **state)
{
	struct pair p = in_order();

	(void)state;
	p.legs[1].phase = LEG_HELD;
	p.legs[1].carrier = false;
	p.legs[1].holds = HOLD_BIT(HOLD_CARRIER) | HOLD_BIT(HOLD_PARTNER);
	assert_judged(&p, DEGRADED, LINES("mclag 7: the local leg swp7 is held: carrier,partner"),
		      LINES("mclag 7: the peer's leg is the only one that forwards"));
	p = in_order();
	p.legs[0].peer.phase = LEG_HELD;
	p.legs[0].peer.holds = HOLD_BIT(HOLD_GRANT);
	assert_judged(&p, DEGRADED, LINES("mclag 1: the peer's leg is held: grant"),
		      LINES("mclag 1: the local leg swp1 is the only one that forwards"));
	p.legs[0].peer.phase = LEG_OPENING;
	assert_judged(&p, DEGRADED, LINES("mclag 1: the peer's leg is opening"),
		      LINES("mclag 1: the local leg swp1 is the only one that forwards"));
	p = in_order();
	p.legs[0].phase = LEG_LEAVING;
	assert_judged(
	    &p, DEGRADED,
	    LINES("mclag 1: the local leg swp1 is leaving: out of sync was announced, the host has not left "
		  "yet; still carries data"),
	    LINES());
	p = in_order();
	p.legs[0].peer_known = false;
	assert_judged(&p, DEGRADED, LINES("mclag 1: the peer has no such leg"),
		      LINES("mclag 1: the local leg swp1 is the only one that forwards"));
}

static void the_pair(void **state)
{
	struct pair p = in_order();

	(void)state;
	p.view.session = SESSION_SYNCING;
	p.view.macs.synced = false; /* said by the session already */
	assert_judged(&p, DEGRADED,
		      LINES("the session is syncing: Hello accepted, tables are being exchanged"), LINES());
	p = in_order();
	p.view.macs.peer_synced = false;
	assert_judged(&p, DEGRADED, LINES("the MAC tables of the leaves are not known to be equal"), LINES());
	p = in_order();
	p.view.role = ROLE_NONE;
	assert_judged(&p, DEGRADED, LINES("the role is not settled"), LINES());
	p = in_order();
	p.view.macs.overflowed = p.view.macs.failing = true;
	p.view.macs.failed = 12;
	assert_judged(&p, DEGRADED,
		      LINES("the peer tells of more MACs than entry-limit allows: some of them are not held",
			    "the switch refuses MAC entries (12 so far); they are tried again"),
		      LINES());
	p = in_order();
	p.view.stopping = p.view.arbitrating = true;
	assert_judged(&p, DEGRADED,
		      LINES("this leaf is stopping: goodbye is said",
			    "this leaf uses a system id of its own: the hosts choose between the leaves"),
		      LINES());
}

/* The peer is dead: its word counts no more, and this leaf is alone with everything. */
static void peer_gone(void **state)
{
	struct pair p = in_order();
	const char *gone =
	    "the peer is gone: a goodbye, or all paths and the carrier fell at once: the leaf is dead";

	(void)state;
	p.view.verdict = VERDICT_GONE;
	p.view.session = SESSION_DOWN;
	assert_judged(&p, DEGRADED, LINES(gone), LINES("this leaf: there is no peer to take over from it"));
	for (size_t i = 0; i < MCLAGS; i++)
		p.legs[i].phase = LEG_REQUESTING;
	struct health_lines findings = {0}, points = {0};

	assert_int_equal(health_judge(&p.view, p.legs, config, &findings, &points), DOWN);
	assert_string_equal(findings.lines[findings.count - 1],
			    "no mclag is known to forward, on this leaf or on the peer");
	assert_int_equal(points.count, 0);
	free_lines(&findings);
	free_lines(&points);
}

/* down: by phase here, by the peer's phase, and by how much the peer's word counts. */
static void down(void **state)
{
	static const struct {
		enum verdict verdict;
		bool known;
		enum leg_phase local, peer;
		bool down;
	} cases[] = {
	    {VERDICT_ALIVE, true, LEG_HELD, LEG_HELD, true},
	    {VERDICT_ALIVE, true, LEG_HELD, LEG_FORWARDING, false},
	    {VERDICT_ALIVE, true, LEG_HELD, LEG_LEAVING, false},
	    {VERDICT_ALIVE, true, LEG_HELD, LEG_OPENING, true},
	    {VERDICT_ALIVE, false, LEG_HELD, LEG_FORWARDING, true},
	    {VERDICT_RESTARTING, true, LEG_HELD, LEG_FORWARDING, false},
	    {VERDICT_SPLIT, true, LEG_HELD, LEG_FORWARDING, true},
	    {VERDICT_SILENT, true, LEG_HELD, LEG_FORWARDING, true},
	    {VERDICT_GONE, true, LEG_HELD, LEG_FORWARDING, true},
	    {VERDICT_ALONE, true, LEG_HELD, LEG_FORWARDING, true},
	    {VERDICT_UNKNOWN, true, LEG_HELD, LEG_FORWARDING, true},
	    {VERDICT_GONE, false, LEG_FORWARDING, LEG_HELD, false},
	    {VERDICT_GONE, false, LEG_LEAVING, LEG_HELD, false},
	    {VERDICT_GONE, false, LEG_REQUESTING, LEG_HELD, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pair p = in_order();
		struct health_lines findings = {0}, points = {0};

		p.view.verdict = cases[i].verdict;
		p.view.mclag_count = 1;
		p.legs[0].peer_known = cases[i].known;
		p.legs[0].phase = cases[i].local;
		p.legs[0].peer.phase = cases[i].peer;
		if ((health_judge(&p.view, p.legs, config, &findings, &points) == DOWN) != cases[i].down)
			fail_msg("case %zu", i);
		assert_true(findings.count > 0);
		free_lines(&findings);
		free_lines(&points);
	}
	/* Nobody has a host: nothing forwards, and that is said. */
	struct pair p = in_order();

	for (size_t i = 0; i < MCLAGS; i++) {
		p.legs[i].phase = p.legs[i].peer.phase = LEG_HELD;
		p.legs[i].carrier = p.legs[i].peer.carrier = false;
	}
	assert_judged(&p, DOWN, LINES("no mclag is known to forward, on this leaf or on the peer"), LINES());
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(health_path_name(config, 0), "peer-link");
	assert_string_equal(health_path_name(config, 1), "mgmt");
	assert_string_equal(health_path_name(config, 2), "?");
	assert_string_equal(health_path_name(config, PATH_NONE), "?");
	assert_string_equal(health_leg_port(config, 7), "swp7");
	assert_string_equal(health_leg_port(config, 8), "?");
}

static int read_config(void **state)
{
	static const char text[] =
	    "domain: 1\nnode: 1\nsystem-mac: 02:00:00:00:00:aa\nbridge: br0\n"
	    "peer-link: {port: swp49, via: swp49.4094}\n"
	    "backup-paths:\n- {name: mgmt, address: 192.0.2.1, peer: 192.0.2.2}\n"
	    "keys:\n  certificate: /c\n  key: /k\n  peer-pins-file: /p\n  keepalive-secret: /s\n"
	    "mclags:\n- {id: 1, port: swp1}\n- {id: 7, port: swp7}\n";
	char why[SOURCE_WHY_SIZE];

	(void)state;
	if (config_parse(&config, "test", text, sizeof(text) - 1, why) < 0) {
		print_error("%s\n", why);
		return -1;
	}
	return 0;
}

static int free_config(void **state)
{
	(void)state;
	config_free(config);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(healthy),  cmocka_unit_test(paths),     cmocka_unit_test(legs),
	    cmocka_unit_test(the_pair), cmocka_unit_test(peer_gone), cmocka_unit_test(down),
	    cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, read_config, free_config);
}
