/* SPDX-License-Identifier: ISC */
/*
 * test_control.c - the control socket over real UNIX sockets, with a real domain, ring, session room and
 * keepalives behind it: what is answered, and what hostile, slow and vanishing clients can do (nothing).
 *
 * The daemon here is this file: it defines the accessors of daemon.h. One thread: a client here is a
 * descriptor that is read while the event loop turns. The loop's clock is ours, so that timeouts take no
 * time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control_rig.h"
#include "mclagd/control.h"

#include <sys/socket.h>
#include <time.h>

#define ENTRIES       20000
#define CLIENT_MEMORY (3 * CONTROL_OUTPUT_HIGH) /* more than a client may cost, its snapshot apart */

static struct rig *rig;

static int open_rig(void **state)
{
	(void)state;
	rig = rig_create();
	return 0;
}

static int close_rig(void **state)
{
	(void)state;
	rig_destroy(rig);
	return 0;
}

/* --- answers ----------------------------------------------------------------------------------------- */

static void status(void **state)
{
	struct caller c = caller_open(rig);

	(void)state;
	caller_ask_status(&c);
	Mclag__Control__Response *r = caller_expect(&c, MCLAG__CONTROL__RESPONSE__ANSWER_STATUS);
	const Mclag__Control__Status *s = r->status;

	assert_false(r->more);
	assert_int_equal(s->health, MCLAG__CONTROL__HEALTH__DOWN); /* nobody has ever been there */
	assert_string_equal(s->daemon->version, MCLAGD_VERSION);
	assert_int_equal(s->daemon->domain, 1);
	assert_int_equal(s->daemon->node, 1);
	assert_int_equal(s->daemon->uptime_ms, 5000);
	assert_string_equal(s->daemon->system_mac, "02:00:00:00:00:aa");
	assert_string_equal(s->verdict->verdict, "unknown");
	assert_string_equal(s->session->state, "down");
	assert_string_equal(s->session->path, "");
	assert_null(s->peer);
	assert_int_equal(s->n_paths, 2);
	assert_string_equal(s->paths[0]->name, "peer-link");
	assert_string_equal(s->paths[1]->name, "mgmt");
	assert_int_equal(s->paths[1]->heard_ms, -1);
	assert_string_equal(s->peer_link->port, "swp49");
	assert_true(s->peer_link->carrier);
	assert_int_equal(s->n_mclags, 2);
	assert_int_equal(s->mclags[1]->id, 7);
	assert_string_equal(s->mclags[1]->port, "swp7");
	assert_true(s->mclags[0]->local->carrier);
	assert_false(s->mclags[1]->local->carrier);
	assert_string_equal(s->mclags[1]->local->phase, "held");
	assert_true(s->mclags[1]->local->n_holds > 0);
	assert_string_equal(s->mclags[1]->local->holds[0], "carrier");
	assert_null(s->mclags[1]->peer);
	assert_true(s->n_findings > 0);
	mclag__control__response__free_unpacked(r, NULL);
	caller_close(&c);
}

static void ports(void **state)
{
	struct caller c = caller_open(rig);

	(void)state;
	caller_ask_ports(&c, 0);
	Mclag__Control__Response *r = caller_expect(&c, MCLAG__CONTROL__RESPONSE__ANSWER_PORTS);

	assert_int_equal(r->ports->n_ports, 2);
	assert_int_equal(r->ports->ports[0]->id, 1);
	assert_string_equal(r->ports->ports[0]->speaker, "engine");
	assert_int_equal(r->ports->ports[0]->speed, 10000);
	assert_string_equal(r->ports->ports[0]->actor->system, "02:00:00:00:00:aa");
	assert_true(r->ports->ports[0]->actor->n_state > 0);
	assert_string_equal(r->ports->ports[0]->actor->state[0], "active");
	assert_null(r->ports->ports[0]->partner);
	assert_string_equal(r->ports->ports[1]->speaker, "static");
	assert_string_equal(r->ports->ports[1]->lacp_receive, "");
	assert_null(r->ports->ports[1]->actor);
	mclag__control__response__free_unpacked(r, NULL);

	caller_ask_ports(&c, 7);
	r = caller_expect(&c, MCLAG__CONTROL__RESPONSE__ANSWER_PORTS);
	assert_int_equal(r->ports->n_ports, 1);
	assert_int_equal(r->ports->ports[0]->id, 7);
	mclag__control__response__free_unpacked(r, NULL);

	caller_ask_ports(&c, 8);
	caller_expect_error(&c, "mclag 8 is not configured");
	caller_ask_ports(&c, 65536 + 7);
	caller_expect_error(&c, "mclag 65543 is not configured");
	caller_close(&c);
}

static void counters(void **state)
{
	struct caller c = caller_open(rig);

	(void)state;
	caller_ask_counters(&c);
	Mclag__Control__Response *r = caller_expect(&c, MCLAG__CONTROL__RESPONSE__ANSWER_COUNTERS);

	assert_int_equal(r->counters->n_messages, MESSAGE_KIND_COUNT);
	assert_string_equal(r->counters->messages[0]->message, "hello");
	assert_int_equal(r->counters->n_keepalives, 2);
	assert_string_equal(r->counters->keepalives[1]->path, "mgmt");
	assert_int_equal(r->counters->keepalives[0]->n_late, KEEPALIVE_LATE_BUCKETS);
	assert_int_equal(r->counters->keepalives[0]->n_dropped, KEEPALIVE_DROP_COUNT - 1);
	assert_int_equal(r->counters->n_lacp, 1);
	assert_int_equal(r->counters->lacp[0]->id, 1);
	assert_true(r->counters->lacp[0]->pdus_out > 0);
	assert_int_equal(r->counters->transport->n_ended, PEERLINK_REASON_COUNT);
	assert_string_equal(r->counters->tables[0]->table, "mac");
	assert_string_equal(r->counters->kernel[0]->name, "link_messages");
	assert_int_equal(r->counters->kernel[0]->count, 1);
	assert_string_equal(r->counters->kernel[r->counters->n_kernel - 1]->name, "lacpdu_errors");
	assert_int_equal(r->counters->kernel[r->counters->n_kernel - 1]->count, 2);
	assert_int_equal(r->counters->control->clients, 1);
	assert_int_equal(r->counters->control->requests, 1);
	assert_true(r->counters->journal->recording && r->counters->journal->missed == 0);
	assert_true(r->counters->journal->events == 3 && r->counters->journal->bytes == 200);
	mclag__control__response__free_unpacked(r, NULL);
	caller_close(&c);
}

/* With a table as a large network has it: the answer, and how long the loop stood still to ask. */
static void what_if(void **state)
{
	struct caller c = caller_open(rig);
	struct timespec begin, end;

	(void)state;
	rig_learn(rig, 0, 65536, 10);
	rig_turn(rig);
	caller_ask_whatif(&c, "self-down", 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	rig_turn(rig);
	clock_gettime(CLOCK_MONOTONIC, &end);
	print_message("65536 entries: the loop was held for %lld us\n",
		      (long long)(end.tv_sec - begin.tv_sec) * 1000000 +
			  (end.tv_nsec - begin.tv_nsec) / 1000);
	Mclag__Control__Response *r = caller_expect(&c, MCLAG__CONTROL__RESPONSE__ANSWER_WHAT_IF);

	assert_string_equal(r->what_if->question, "self-down");
	assert_int_equal(r->what_if->n_mclags, 2);
	assert_string_equal(r->what_if->mclags[0]->local->after, "dead");
	assert_int_equal(r->what_if->n_entries, 1);
	assert_string_equal(r->what_if->entries[0]->before, "orphan");
	assert_string_equal(r->what_if->entries[0]->after, "none");
	assert_int_equal(r->what_if->entries[0]->count, 65536);
	assert_true(r->what_if->n_assumptions > 0);
	mclag__control__response__free_unpacked(r, NULL);
	caller_ask_status(&c); /* and the daemon goes on */
	r = caller_expect(&c, MCLAG__CONTROL__RESPONSE__ANSWER_STATUS);
	assert_int_equal(r->status->tables->mac->total, 65536);
	assert_string_equal(r->status->verdict->verdict, "unknown");
	mclag__control__response__free_unpacked(r, NULL);
	caller_close(&c);
}

static void what_if_refused(void **state)
{
	struct caller first = caller_open(rig), second = caller_open(rig);

	(void)state;
	caller_ask_whatif(&first, "sky-down", 0);
	caller_expect_error(&first, "that is no question this mclagd can answer");
	caller_ask_whatif(&first, "leg-down", 65536 + 1);
	caller_expect_error(&first, "mclag 65537 is not configured");
	caller_ask_whatif(&first, "leg-down", 8);
	caller_expect_error(&first, "mclag 8 is not configured");
	rig_learn(rig, 0, ENTRIES, 10); /* something to think about */
	caller_ask_whatif(&first, "peer-dead", 0);
	caller_ask_whatif(&second, "peer-dead", 0);
	rig_turn(rig);
	caller_close(&first); /* vanishes while the copy thinks for it */
	rig_turn(rig);
	caller_close(&second);
	struct caller third = caller_open(rig);

	for (bool answered = false; !answered;) { /* once the copy has ended, the next may ask */
		caller_ask_whatif(&third, "backup-down", 0);
		Mclag__Control__Response *r = caller_receive(&third);

		assert_non_null(r);
		answered = r->answer_case == MCLAG__CONTROL__RESPONSE__ANSWER_WHAT_IF;
		if (!answered)
			assert_string_equal(r->error->text,
					    "another question is being answered; try again in a moment");
		mclag__control__response__free_unpacked(r, NULL);
	}
	caller_ask_whatif(&third, "peer-dead", 0); /* the daemon ends meanwhile */
	rig_turn(rig);
	caller_close(&third);
}

/* Reads a listing to its end. Returns how many entries came, each once; all of the pieces say `matched`. */
static size_t read_listing(struct caller *c, uint32_t matched, size_t *pieces)
{
	bool *seen = calloc(matched + 1, sizeof(*seen));
	size_t count = 0;

	*pieces = 0;
	for (bool more = true; more;) {
		Mclag__Control__Response *r = caller_expect(c, MCLAG__CONTROL__RESPONSE__ANSWER_MAC);

		assert_int_equal(r->mac->matched, matched);
		assert_true(r->mac->n_entries <= CONTROL_BATCH);
		for (size_t i = 0; i < r->mac->n_entries; i++) {
			struct mac mac;

			assert_int_equal(mac_parse(r->mac->entries[i]->mac, &mac), 0);
			uint64_t n = mac_to_u64(mac) & 0xffffff;

			assert_true(n < matched && !seen[n]);
			seen[n] = true;
		}
		count += r->mac->n_entries;
		more = r->more;
		(*pieces)++;
		mclag__control__response__free_unpacked(r, NULL);
	}
	free(seen);
	return count;
}

/* What is listed is the table as it was, though it changes between the pieces. */
static void mac_snapshot(void **state)
{
	struct caller c = caller_open(rig);
	size_t pieces;

	(void)state;
	caller_ask_mac(&c, 0, "", 0);
	assert_int_equal(read_listing(&c, 0, &pieces), 0);
	assert_int_equal(pieces, 1);

	rig_learn(rig, 0, ENTRIES, 10);
	caller_ask_mac(&c, 0, "", 0);
	rig_turn(rig); /* the request is read; far less than the table fits into the socket */
	rig_forget(rig, 0, ENTRIES, 10);
	assert_int_equal(read_listing(&c, ENTRIES, &pieces), ENTRIES);
	assert_int_equal(pieces, (ENTRIES + CONTROL_BATCH - 1) / CONTROL_BATCH);

	caller_ask_mac(&c, 0, "", 0);
	assert_int_equal(read_listing(&c, 0, &pieces), 0);
	caller_close(&c);
}

static void mac_filters(void **state)
{
	struct caller c = caller_open(rig);

	(void)state;
	rig_learn(rig, 0, 10, 10);
	rig_learn(rig, 5, 10, 20);
	rig_learn_on_leg(rig, 30, 1);
	static const struct {
		uint32_t vlan, mclag;
		const char *mac;
		uint32_t matched;
	} cases[] = {
	    {0, 0, "", 16},
	    {10, 0, "", 10},
	    {20, 0, "", 5},
	    {11, 0, "", 0},
	    {0, 1, "", 1},
	    {0, 7, "", 0},
	    {0, 0, "02-00-01-00-00-07", 2},
	    {20, 0, "02:00:01:00:00:07", 1},
	    {20, 1, "02:00:01:00:00:07", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		caller_ask_mac(&c, cases[i].vlan, cases[i].mac, cases[i].mclag);
		Mclag__Control__Response *r = caller_expect(&c, MCLAG__CONTROL__RESPONSE__ANSWER_MAC);

		assert_int_equal(r->mac->matched, cases[i].matched);
		assert_int_equal(r->mac->n_entries, cases[i].matched);
		mclag__control__response__free_unpacked(r, NULL);
	}
	caller_ask_mac(&c, 20, "02:00:01:00:00:07", 0);
	Mclag__Control__Response *r = caller_expect(&c, MCLAG__CONTROL__RESPONSE__ANSWER_MAC);

	assert_string_equal(r->mac->entries[0]->mac, "02:00:01:00:00:07");
	assert_string_equal(r->mac->entries[0]->place, "orphan");
	assert_string_equal(r->mac->entries[0]->port, "lo");
	assert_true(r->mac->entries[0]->local && !r->mac->entries[0]->peer);
	mclag__control__response__free_unpacked(r, NULL);
	caller_ask_mac(&c, 0, "", 1);
	r = caller_expect(&c, MCLAG__CONTROL__RESPONSE__ANSWER_MAC);
	assert_string_equal(r->mac->entries[0]->place, "leg");
	assert_int_equal(r->mac->entries[0]->mclag, 1);
	assert_string_equal(r->mac->entries[0]->port, "swp1");
	mclag__control__response__free_unpacked(r, NULL);

	caller_ask_mac(&c, 4095, "", 0);
	caller_expect_error(&c, "vlan 4095, mclag 0: at most 4094 and 65535");
	caller_ask_mac(&c, 0, "", 65536);
	caller_expect_error(&c, "vlan 0, mclag 65536: at most 4094 and 65535");
	caller_ask_mac(&c, 0, "02:00:00:00:00", 0);
	caller_expect_error(&c, "not a MAC address");
	caller_close(&c);
}

/* --- events ------------------------------------------------------------------------------------------ */

static void expect_events(struct caller *c, bool more, uint64_t first, size_t count)
{
	Mclag__Control__Response *r = caller_expect(c, MCLAG__CONTROL__RESPONSE__ANSWER_EVENTS);

	assert_int_equal(r->more, more);
	assert_int_equal(r->events->n_events, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(r->events->events[i]->number, first + i);
	mclag__control__response__free_unpacked(r, NULL);
}

static void events(void **state)
{
	struct caller c = caller_open(rig);

	(void)state;
	caller_ask_events(&c, 0, false, false);
	expect_events(&c, false, 0, 0);
	for (int i = 0; i < 300; i++)
		rig_say(rig, TRACE_INFO, "happened -> decided");
	caller_ask_events(&c, 0, false, false);
	expect_events(&c, true, 1, CONTROL_BATCH);
	expect_events(&c, false, CONTROL_BATCH + 1, 300 - CONTROL_BATCH);
	rig_say(rig, TRACE_DEBUG, "inside");
	caller_ask_events(&c, 299, false, false);
	expect_events(&c, false, 300, 1);
	caller_ask_events(&c, 299, false, true);
	expect_events(&c, false, 300, 2);
	caller_ask_events(&c, UINT64_MAX, false, true);
	expect_events(&c, false, 0, 0);
	/* The ring holds the last RIG_LINES; the oldest are gone, and the numbers say so. */
	for (int i = 0; i < RIG_LINES; i++)
		rig_say(rig, TRACE_WARN, "happened -> decided");
	caller_ask_events(&c, 0, false, false);
	for (size_t told = 0; told < RIG_LINES; told += CONTROL_BATCH)
		expect_events(&c, true, 302 + told, CONTROL_BATCH);
	expect_events(&c, false, 0, 0); /* whether a full piece is the last is only known after it */
	caller_close(&c);
}

static void follow(void **state)
{
	struct caller c = caller_open(rig), other = caller_open(rig);

	(void)state;
	rig_say(rig, TRACE_INFO, "before");
	caller_ask_events(&c, 1, true, false);
	caller_ask_events(&other, 0, true, true);
	expect_events(&c, true, 0, 0);
	expect_events(&other, true, 1, 1);
	rig_say(rig, TRACE_DEBUG, "inside");
	rig_say(rig, TRACE_INFO, "after");
	expect_events(&c, true, 3, 1);
	expect_events(&other, true, 2, 2);
	/* Nothing happens for a long time: a follower is not idle. */
	rig_pass(rig, 10 * CONTROL_IDLE_S);
	rig_say(rig, TRACE_INFO, "later");
	expect_events(&c, true, 4, 1);
	/* It may not ask on the same stream. */
	caller_ask_status(&c);
	caller_expect_end(&c);
	caller_close(&c);
	/* The other vanishes while there is something to tell. */
	rig_say(rig, TRACE_INFO, "and later");
	caller_close(&other);
	rig_say(rig, TRACE_INFO, "and again");
	rig_turn(rig);
	assert_int_equal(rig_control(rig).invalid, 1);
}

/* --- framing ----------------------------------------------------------------------------------------- */

static void pipelined(void **state)
{
	struct caller c = caller_open(rig);

	(void)state;
	rig_learn(rig, 0, ENTRIES, 10);
	caller_ask_mac(&c, 0, "", 0);
	caller_ask_ports(&c, 7);
	caller_ask_counters(&c);
	size_t pieces;

	assert_int_equal(read_listing(&c, ENTRIES, &pieces), ENTRIES);
	mclag__control__response__free_unpacked(caller_expect(&c, MCLAG__CONTROL__RESPONSE__ANSWER_PORTS),
						NULL);
	mclag__control__response__free_unpacked(caller_expect(&c, MCLAG__CONTROL__RESPONSE__ANSWER_COUNTERS),
						NULL);
	/* Half-closed: what was asked is answered to the last piece, then the end comes. */
	caller_ask_mac(&c, 0, "", 0);
	caller_shut(&c);
	rig_turn(rig);
	assert_int_equal(read_listing(&c, ENTRIES, &pieces), ENTRIES);
	caller_expect_end(&c);
	caller_close(&c);
}

static void byte_by_byte(void **state)
{
	static const uint8_t bytes[] = {0, 0, 0, 2, 0x0a, 0}; /* StatusRequest {} */
	struct caller c = caller_open(rig);

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		caller_send(&c, &bytes[i], 1);
		rig_turn(rig);
	}
	mclag__control__response__free_unpacked(caller_expect(&c, MCLAG__CONTROL__RESPONSE__ANSWER_STATUS),
						NULL);
	caller_close(&c);
}

/* A request of a newer mclagctl is an Error, and the next one is answered. */
static void unknown_request(void **state)
{
	static const uint8_t unknown[] = {0, 0, 0, 3, 0x9a, 0x06, 0}; /* field 99, empty */
	struct caller c = caller_open(rig);

	(void)state;
	caller_send(&c, unknown, sizeof(unknown));
	caller_expect_error(&c, "mclagd " MCLAGD_VERSION " does not know this request; is mclagctl newer?");
	caller_ask_ports(&c, 1);
	mclag__control__response__free_unpacked(caller_expect(&c, MCLAG__CONTROL__RESPONSE__ANSWER_PORTS),
						NULL);
	caller_close(&c);
}

/* --- hostile clients --------------------------------------------------------------------------------- */

static void no_request(void **state)
{
	static const struct {
		size_t size;
		uint8_t bytes[12];
	} cases[] = {
	    {4, {0, 0, 0, 0}},                             /* empty */
	    {4, {0, 0, 4, 1}},                             /* 1025 bytes announced */
	    {4, {0xff, 0xff, 0xff, 0xff}},                 /* 4 GiB announced */
	    {8, {0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff}},     /* no protobuf */
	    {6, {0, 0, 0, 2, 0x0a, 0x05}},                 /* a member longer than the message */
	    {7, {0, 0, 0, 3, 0x12, 0x01, 0x08}},           /* cut inside a field */
	    {8, {'G', 'E', 'T', ' ', '/', ' ', 'H', 'T'}}, /* HTTP */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct caller c = caller_open(rig);

		caller_send(&c, cases[i].bytes, cases[i].size);
		caller_expect_end(&c);
		caller_close(&c);
		assert_int_equal(rig_control(rig).invalid, i + 1);
	}
}

/* Random bytes behind a good length, many times: nothing but an answer, an Error or the end. */
static void noise(void **state)
{
	uint64_t seed = 0x9e3779b97f4a7c15u;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct caller c = caller_open(rig);
		uint8_t bytes[FRAME_HEAD + 40];
		size_t size = 1 + (size_t)(seed % 40);

		frame_head(bytes, size);
		for (size_t i = 0; i < size; i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			bytes[FRAME_HEAD + i] = (uint8_t)(i == 0 ? 0x0a + 8 * (seed % 5) : seed);
		}
		caller_send(&c, bytes, FRAME_HEAD + size);
		caller_shut(&c);
		for (Mclag__Control__Response *r; (r = caller_receive(&c)) != NULL;)
			mclag__control__response__free_unpacked(r, NULL);
		caller_close(&c);
	}
	struct caller c = caller_open(rig);

	caller_ask_status(&c);
	mclag__control__response__free_unpacked(caller_expect(&c, MCLAG__CONTROL__RESPONSE__ANSWER_STATUS),
						NULL);
	caller_close(&c);
}

static void half_frame(void **state)
{
	static const uint8_t half[] = {0, 0, 0, 9, 0x0a};
	struct caller c = caller_open(rig), stays = caller_open(rig);

	(void)state;
	caller_send(&c, half, sizeof(half));
	caller_send(&stays, half, sizeof(half));
	rig_turn(rig);
	caller_close(&c);
	rig_pass(rig, CONTROL_IDLE_S + 1);
	caller_expect_end(&stays);
	caller_close(&stays);
	assert_int_equal(rig_control(rig).dropped, 1);
}

static void too_many(void **state)
{
	struct caller clients[CONTROL_CLIENTS], late;

	(void)state;
	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		clients[i] = caller_open(rig);
		rig_turn(rig);
	}
	late = caller_open(rig);
	caller_expect_error(&late, "too many clients at once; end one, or try again in a minute");
	caller_expect_end(&late);
	caller_close(&late);
	/* Those who are in are served, and one who leaves makes room. */
	caller_ask_ports(&clients[9], 1);
	mclag__control__response__free_unpacked(
	    caller_expect(&clients[9], MCLAG__CONTROL__RESPONSE__ANSWER_PORTS), NULL);
	caller_close(&clients[0]);
	rig_turn(rig);
	clients[0] = caller_open(rig);
	caller_ask_ports(&clients[0], 1);
	mclag__control__response__free_unpacked(
	    caller_expect(&clients[0], MCLAG__CONTROL__RESPONSE__ANSWER_PORTS), NULL);
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		caller_close(&clients[i]);
	rig_turn(rig);
	assert_int_equal(rig_control(rig).refused, 1);
}

/* A client that asks and never reads is dropped; until then it costs no more than one output limit. */
static void never_reads(void **state)
{
	struct caller lazy = caller_open(rig), brisk = caller_open(rig);
	size_t pieces;

	(void)state;
	rig_learn(rig, 0, ENTRIES, 10);
	rig_turn(rig);
	size_t before = rig_memory();

	for (int i = 0; i < 20; i++)
		caller_ask_mac(&lazy, 0, "", 0); /* all but the first not even looked at */
	for (int i = 0; i < 50; i++)
		rig_turn(rig);
	assert_true(rig_memory() < before + ENTRIES * sizeof(struct mac_view) + CLIENT_MEMORY);
	rig_pass(rig, CONTROL_WRITE_S / 2);
	caller_ask_mac(&brisk, 0, "", 0);
	assert_int_equal(read_listing(&brisk, ENTRIES, &pieces), ENTRIES);
	assert_int_equal(rig_control(rig).dropped, 0);
	rig_pass(rig, CONTROL_WRITE_S);
	assert_int_equal(rig_control(rig).dropped, 1);
	caller_close(&lazy);
	caller_close(&brisk);
}

/* It may ask what it likes while it does not read: no more is taken in than is answered, and no more is
 * answered than its output holds. */
static void floods(void **state)
{
	static const uint8_t ask[] = {0, 0, 0, 2, 0x0a, 0}; /* StatusRequest {} */
	struct caller c = caller_open(rig);
	uint8_t block[300 * sizeof(ask)];
	size_t sent = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = ask[i % sizeof(ask)];
	rig_learn(rig, 0, ENTRIES, 10);
	for (int listing = 0; listing < 2; listing++) {
		rig_turn(rig);
		size_t before = rig_memory();

		if (listing)
			caller_ask_mac(&c, 0, "", 0);
		for (int i = 0; i < 2000; i++) {
			ssize_t n = send(c.fd, block, sizeof(block), MSG_NOSIGNAL);

			sent += n > 0 ? (size_t)n : 0;
			rig_turn(rig);
		}
		assert_true(sent < (size_t)2000 * sizeof(block)); /* the kernel's buffer is full */
		assert_true(rig_memory() <
			    before + ENTRIES * sizeof(struct mac_view) * (size_t)listing + CLIENT_MEMORY);
		/* And the loop has not turned on it all the while, until real time dropped it. */
		assert_int_equal(rig_control(rig).dropped, 0);
		caller_close(&c);
		c = caller_open(rig);
	}
	caller_close(&c);
}

/* A follower that never reads misses lines, and nothing grows. */
static void never_reads_events(void **state)
{
	struct caller lazy = caller_open(rig);

	(void)state;
	caller_ask_events(&lazy, 0, true, false);
	rig_turn(rig);
	size_t before = rig_memory();

	for (int i = 0; i < 40; i++) {
		for (int line = 0; line < RIG_LINES; line++)
			rig_say(rig, TRACE_INFO,
				"a line that is a good deal longer than most, to fill the socket");
		rig_turn(rig);
	}
	assert_true(rig_memory() < before + CLIENT_MEMORY);
	rig_pass(rig, CONTROL_WRITE_S + 1);
	assert_int_equal(rig_control(rig).dropped, 1);
	caller_close(&lazy);
}

/* All clients together hold at most CONTROL_SNAPSHOT_MAX entries; who vanishes gives his back. */
static void snapshots_are_limited(void **state)
{
	struct caller first = caller_open(rig), second = caller_open(rig);
	const uint32_t many = CONTROL_SNAPSHOT_MAX / 2 + 1;
	size_t pieces;

	(void)state;
	rig_learn(rig, 0, many, 10);
	caller_ask_mac(&first, 0, "", 0);
	rig_turn(rig);
	caller_ask_mac(&second, 0, "", 0);
	caller_expect_error(&second, "other listings of the MAC table are being read; try again in a moment");
	caller_close(&first);
	rig_turn(rig);
	caller_ask_mac(&second, 0, "", 0);
	assert_int_equal(read_listing(&second, many, &pieces), many);
	caller_close(&second);
}

int main(void)
{
#define IN_RIG(test) cmocka_unit_test_setup_teardown(test, open_rig, close_rig)
	const struct CMUnitTest tests[] = {
	    IN_RIG(status),       IN_RIG(ports),           IN_RIG(counters),    IN_RIG(mac_snapshot),
	    IN_RIG(mac_filters),  IN_RIG(events),          IN_RIG(follow),      IN_RIG(pipelined),
	    IN_RIG(byte_by_byte), IN_RIG(unknown_request), IN_RIG(no_request),  IN_RIG(noise),
	    IN_RIG(half_frame),   IN_RIG(too_many),        IN_RIG(never_reads), IN_RIG(never_reads_events),
	    IN_RIG(what_if),      IN_RIG(what_if_refused), IN_RIG(floods),      IN_RIG(snapshots_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
