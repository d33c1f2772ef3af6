/* SPDX-License-Identifier: ISC */
/*
 * proto/message against bytes written by hand, field by field as peer.proto numbers them: the wire is held to
 * the specification and not to protobuf-c's idea of it. Each limit of each field, the counts, the sizes, the
 * unknown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../valid.h"
#include "proto/message.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- bytes by hand -------------------------------------------------------------------------------- */

struct wire {
	uint8_t byte[80000];
	size_t size;
};

static void put_varint(struct wire *w, uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		w->byte[w->size++] = (uint8_t)(v | 0x80);
	w->byte[w->size++] = (uint8_t)v;
}

static void put_bytes(struct wire *w, uint32_t number, const struct wire *body)
{
	put_varint(w, number << 3 | 2);
	put_varint(w, body->size);
	memcpy(w->byte + w->size, body->byte, body->size);
	w->size += body->size;
}

/* A field of a message: a varint, a fixed64, or (where `in` is set) one of the message in field `in`. */
struct field {
	uint32_t in, number;
	char type; /* 'v' or 'f'; 0 ends a list */
	uint64_t value;
};

static void put_field(struct wire *w, const struct field *f)
{
	if (f->value == 0)
		return; /* proto3 leaves out zeroes */
	put_varint(w, f->number << 3 | (f->type == 'f'));
	if (f->type == 'v')
		put_varint(w, f->value);
	for (int shift = 0; f->type == 'f' && shift < 64; shift += 8)
		w->byte[w->size++] = (uint8_t)(f->value >> shift);
}

/* A good message of each kind, as peer.proto numbers it. Fields of one inner message stand together. */
static const struct field good[MESSAGE_KIND_COUNT][16] = {
    [MESSAGE_HELLO] = {{0, 1, 'v', 1},
		       {0, 2, 'v', 2},
		       {0, 3, 'v', 5},
		       {0, 4, 'v', 7},
		       {0, 5, 'v', 2},
		       {0, 6, 'f', UINT64_C(0x123456789abcdef0)},
		       {0, 7, 'v', 300},
		       {0, 8, 'v', 100},
		       {0, 9, 'v', 2},
		       {0, 10, 'v', 1},
		       {0, 11, 'f', 0x0200000000aa},
		       {0, 12, 'v', 32768},
		       {0, 13, 'f', 0x0200000000bb}},
    [MESSAGE_LEG_STATE] = {{0, 1, 'v', 10},
			   {0, 2, 'v', 1},
			   {0, 3, 'v', 4},
			   {0, 4, 'v', 0x81},
			   {0, 5, 'v', 25000},
			   {6, 1, 'v', 32768},
			   {6, 2, 'f', 0x0200000000aa},
			   {6, 3, 'v', 10},
			   {6, 4, 'v', 255},
			   {6, 5, 'v', 0x8001},
			   {6, 6, 'v', 0x3d},
			   {7, 2, 'f', 0x0200000000cc}},
    [MESSAGE_LEG_REQUEST] = {{0, 1, 'v', 10}, {0, 2, 'v', 99}},
    [MESSAGE_LEG_GRANT] = {{0, 1, 'v', 10}, {0, 2, 'v', 99}, {0, 3, 'v', 1}},
    [MESSAGE_TABLE_BEGIN] = {{0, 1, 'v', 1}, {0, 2, 'v', 3}, {0, 3, 'v', 1000}},
    [MESSAGE_ENTRIES] = {{0, 1, 'v', 1},
			 {0, 2, 'v', 3},
			 {3, 1, 'f', 0x0200000000dd},
			 {3, 2, 'v', 100},
			 {3, 3, 'v', 10},
			 {3, 4, 'v', 1},
			 {3, 5, 'v', 1}},
    [MESSAGE_TABLE_END] = {{0, 1, 'v', 1}, {0, 2, 'v', 3}, {0, 3, 'v', 1000}, {0, 4, 'f', 5}},
    [MESSAGE_TABLE_ACK] = {{0, 1, 'v', 1}, {0, 2, 'v', 3}, {0, 3, 'v', 1}},
    [MESSAGE_UPDATE] = {{0, 1, 'v', 1}, {0, 2, 'v', 3}, {3, 1, 'f', 0x0200000000dd}, {3, 6, 'v', 1}},
    [MESSAGE_DIGEST] = {{0, 1, 'v', 1}, {0, 2, 'v', 3}, {0, 3, 'v', 1000}, {0, 4, 'f', 5}},
    [MESSAGE_GOODBYE] = {{0, 1, 'v', 2}, {0, 2, 'v', 60}},
};

/* The good message of a kind with one field replaced or added (or NULL). */
static void put_good(struct wire *w, enum message_kind kind, const struct field *other)
{
	static struct wire body, inner;
	bool placed = !other;

	body.size = 0;
	for (const struct field *f = good[kind]; f->type;) {
		uint32_t in = f->in;

		inner.size = 0;
		for (; f->type && f->in == in && (in || !inner.size); f++) {
			bool replaced = other && f->in == other->in && f->number == other->number;

			placed |= replaced;
			put_field(in ? &inner : &body, replaced ? other : f);
		}
		if (other && !placed && in && in == other->in) {
			put_field(&inner, other);
			placed = true;
		}
		if (in)
			put_bytes(&body, in, &inner);
	}
	if (!placed)
		put_field(&body, other);
	w->size = 0;
	put_bytes(w, (uint32_t)kind + 1, &body);
}

static bool accepted(const struct wire *w, struct message *m)
{
	char why[MESSAGE_WHY_SIZE];

	return message_decode(w->byte, w->size, m, why) == 0 && valid_message(m);
}

static void wire_is_as_specified(void **state)
{
	(void)state;
	struct mac_entry entry = {mac_from_u64(0x0200000000dd), 100, 10, 1, true, false};
	struct mac_entry gone = {.mac = mac_from_u64(0x0200000000dd), .gone = true};
	const struct message said[MESSAGE_KIND_COUNT] = {
	    {.kind = MESSAGE_HELLO,
	     .hello = {1, 2, 5, 7, 2, UINT64_C(0x123456789abcdef0), 300, 100, ROLE_SECONDARY, true,
		       mac_from_u64(0x0200000000aa), 32768, mac_from_u64(0x0200000000bb)}},
	    {.kind = MESSAGE_LEG_STATE,
	     .leg_state = {.mclag = 10,
			   .carrier = true,
			   .phase = LEG_FORWARDING,
			   .holds = HOLD_BIT(HOLD_CARRIER) | HOLD_BIT(HOLD_STOPPING),
			   .speed = 25000,
			   .actor = {32768, mac_from_u64(0x0200000000aa), 10, 255, 0x8001, 0x3d},
			   .partner = {.system = mac_from_u64(0x0200000000cc)}}},
	    {.kind = MESSAGE_LEG_REQUEST, .leg = {10, 99, false}},
	    {.kind = MESSAGE_LEG_GRANT, .leg = {10, 99, true}},
	    {.kind = MESSAGE_TABLE_BEGIN, .mark = {TABLE_MAC, 3, 1000, 0}},
	    {.kind = MESSAGE_ENTRIES, .batch = {TABLE_MAC, 3, 1, &entry}},
	    {.kind = MESSAGE_TABLE_END, .mark = {TABLE_MAC, 3, 1000, 5}},
	    {.kind = MESSAGE_TABLE_ACK, .ack = {TABLE_MAC, 3, true}},
	    {.kind = MESSAGE_UPDATE, .batch = {TABLE_MAC, 3, 1, &gone}},
	    {.kind = MESSAGE_DIGEST, .mark = {TABLE_MAC, 3, 1000, 5}},
	    {.kind = MESSAGE_GOODBYE, .goodbye = {REASON_RESTART, 60}},
	};
	static struct wire w;

	for (enum message_kind kind = 0; kind < MESSAGE_KIND_COUNT; kind++) {
		struct message got;
		uint8_t *bytes;
		size_t size;

		assert_int_equal(said[kind].kind, kind);
		message_encode(&said[kind], &bytes, &size);
		put_good(&w, kind, NULL);
		assert_int_equal(size, w.size);
		assert_memory_equal(bytes, w.byte, size);
		assert_true(accepted(&w, &got));
		assert_true(message_equal(&got, &said[kind]));
		message_clear(&got);
		free(bytes);
	}
}

/* One field other than good: `why` is the reason it is refused with, or NULL when it is a limit still
 * allowed. */
static const struct {
	enum message_kind kind;
	struct field field;
	const char *why;
} limits[] = {
    {MESSAGE_HELLO, {0, 1, 'v', 0}, "hello: version_min 0 is not 1..4294967295"},
    {MESSAGE_HELLO, {0, 1, 'v', 2}, NULL},
    {MESSAGE_HELLO, {0, 1, 'v', 3}, "hello: version_max 2 is not 3..4294967295"},
    {MESSAGE_HELLO, {0, 2, 'v', UINT32_MAX}, NULL},
    {MESSAGE_HELLO, {0, 3, 'v', UINT64_MAX}, NULL},
    {MESSAGE_HELLO, {0, 4, 'v', 0}, "hello: domain 0 is not 1..4095"},
    {MESSAGE_HELLO, {0, 4, 'v', 1}, NULL},
    {MESSAGE_HELLO, {0, 4, 'v', 4095}, NULL},
    {MESSAGE_HELLO, {0, 4, 'v', 4096}, "hello: domain 4096 is not 1..4095"},
    {MESSAGE_HELLO, {0, 4, 'v', 65537}, "hello: domain 65537 is not 1..4095"},
    {MESSAGE_HELLO, {0, 5, 'v', 0}, "hello: node 0 is not 1..2"},
    {MESSAGE_HELLO, {0, 5, 'v', 3}, "hello: node 3 is not 1..2"},
    {MESSAGE_HELLO, {0, 5, 'v', 257}, "hello: node 257 is not 1..2"},
    {MESSAGE_HELLO, {0, 6, 'f', 0}, "hello: boot_id 0 is not 1..18446744073709551615"},
    {MESSAGE_HELLO, {0, 7, 'v', UINT64_MAX}, NULL},
    {MESSAGE_HELLO, {0, 8, 'v', 65535}, NULL},
    {MESSAGE_HELLO, {0, 8, 'v', 65536}, "hello: priority 65536 is not 0..65535"},
    {MESSAGE_HELLO, {0, 9, 'v', 0}, NULL},
    {MESSAGE_HELLO, {0, 9, 'v', 3}, "hello: role 3 is not 0..2"},
    {MESSAGE_HELLO, {0, 9, 'v', UINT64_MAX}, "hello: role 4294967295 is not 0..2"},
    {MESSAGE_HELLO, {0, 11, 'f', 0}, "hello: system 00:00:00:00:00:00 is not a unicast address"},
    {MESSAGE_HELLO, {0, 11, 'f', 0x01005e000001}, "hello: system 01:00:5e:00:00:01 is not a unicast address"},
    {MESSAGE_HELLO, {0, 11, 'f', 0x1020000000000}, "hello: system 0x1020000000000 has more than 48 bits"},
    {MESSAGE_HELLO, {0, 11, 'f', 0xfeffffffffff}, NULL},
    {MESSAGE_HELLO, {0, 12, 'v', 65536}, "hello: system_priority 65536 is not 0..65535"},
    {MESSAGE_HELLO, {0, 13, 'f', 0}, NULL},
    {MESSAGE_HELLO,
     {0, 13, 'f', 0xffffffffffff},
     "hello: via ff:ff:ff:ff:ff:ff is not a unicast address or zero"},
    {MESSAGE_HELLO, {0, 13, 'f', UINT64_MAX}, "hello: via 0xffffffffffffffff has more than 48 bits"},

    {MESSAGE_LEG_STATE, {0, 1, 'v', 0}, "leg_state: mclag 0 is not 1..65535"},
    {MESSAGE_LEG_STATE, {0, 1, 'v', 65535}, NULL},
    {MESSAGE_LEG_STATE, {0, 1, 'v', 70000}, "leg_state: mclag 70000 is not 1..65535"},
    {MESSAGE_LEG_STATE, {0, 3, 'v', 0}, "leg_state: phase 0 is not 1..5"},
    {MESSAGE_LEG_STATE, {0, 3, 'v', 5}, NULL},
    {MESSAGE_LEG_STATE, {0, 3, 'v', 6}, "leg_state: phase 6 is not 1..5"},
    {MESSAGE_LEG_STATE, {0, 4, 'v', 255}, NULL},
    {MESSAGE_LEG_STATE, {0, 4, 'v', 256}, "leg_state: holds 256 is not 0..255"},
    {MESSAGE_LEG_STATE, {0, 5, 'v', UINT32_MAX}, NULL},
    {MESSAGE_LEG_STATE, {6, 1, 'v', 65536}, "leg_state: actor: system_priority 65536 is not 0..65535"},
    {MESSAGE_LEG_STATE,
     {6, 2, 'f', UINT64_C(1) << 48},
     "leg_state: actor: system 0x1000000000000 has more than 48 bits"},
    {MESSAGE_LEG_STATE, {6, 3, 'v', 65536}, "leg_state: actor: key 65536 is not 0..65535"},
    {MESSAGE_LEG_STATE, {6, 4, 'v', 65536}, "leg_state: actor: port_priority 65536 is not 0..65535"},
    {MESSAGE_LEG_STATE, {7, 5, 'v', 65536}, "leg_state: partner: port 65536 is not 0..65535"},
    {MESSAGE_LEG_STATE, {7, 6, 'v', 256}, "leg_state: partner: state 256 is not 0..255"},
    {MESSAGE_LEG_STATE, {7, 2, 'f', 0xffffffffffff}, NULL},

    {MESSAGE_LEG_REQUEST, {0, 1, 'v', 0}, "leg_request: mclag 0 is not 1..65535"},
    {MESSAGE_LEG_REQUEST, {0, 1, 'v', 65536}, "leg_request: mclag 65536 is not 1..65535"},
    {MESSAGE_LEG_GRANT, {0, 1, 'v', 0}, "leg_grant: mclag 0 is not 1..65535"},
    {MESSAGE_LEG_GRANT, {0, 1, 'v', 65536}, "leg_grant: mclag 65536 is not 1..65535"},

    {MESSAGE_TABLE_BEGIN, {0, 1, 'v', 0}, "table_begin: table 0 is not 1..1"},
    {MESSAGE_TABLE_BEGIN, {0, 1, 'v', 2}, "table_begin: table 2 is not 1..1"},
    {MESSAGE_TABLE_END, {0, 1, 'v', 2}, "table_end: table 2 is not 1..1"},
    {MESSAGE_TABLE_ACK, {0, 1, 'v', 0}, "table_ack: table 0 is not 1..1"},
    {MESSAGE_DIGEST, {0, 1, 'v', 2}, "digest: table 2 is not 1..1"},
    {MESSAGE_ENTRIES, {0, 1, 'v', 2}, "entries: table 2 is not 1..1"},
    {MESSAGE_UPDATE, {0, 1, 'v', 0}, "update: table 0 is not 1..1"},

    {MESSAGE_ENTRIES, {3, 1, 'f', 0}, "entries: entry 0: mac 00:00:00:00:00:00 is not a unicast address"},
    {MESSAGE_ENTRIES,
     {3, 1, 'f', 0x333300000001},
     "entries: entry 0: mac 33:33:00:00:00:01 is not a unicast address"},
    {MESSAGE_UPDATE,
     {3, 1, 'f', UINT64_C(1) << 63},
     "update: entry 0: mac 0x8000000000000000 has more than 48 bits"},
    {MESSAGE_ENTRIES, {3, 2, 'v', 0}, NULL},
    {MESSAGE_ENTRIES, {3, 2, 'v', 4094}, NULL},
    {MESSAGE_ENTRIES, {3, 2, 'v', 4095}, "entries: entry 0: vlan 4095 is not 0..4094"},
    {MESSAGE_ENTRIES, {3, 3, 'v', 0}, NULL},
    {MESSAGE_ENTRIES, {3, 3, 'v', 65535}, NULL},
    {MESSAGE_UPDATE, {3, 3, 'v', 65536}, "update: entry 0: mclag 65536 is not 0..65535"},
    {MESSAGE_ENTRIES, {3, 4, 'v', UINT32_MAX}, NULL},
    {MESSAGE_ENTRIES, {3, 6, 'v', 1}, "entries: entry 0: gone is set, which only an update may say"},

    {MESSAGE_GOODBYE, {0, 1, 'v', 0}, "goodbye: reason 0 is not 1..2"},
    {MESSAGE_GOODBYE, {0, 1, 'v', 3}, "goodbye: reason 3 is not 1..2"},
    {MESSAGE_GOODBYE, {0, 1, 'v', 1}, "goodbye: seconds 60 is not 0..0"},
    {MESSAGE_GOODBYE, {0, 2, 'v', 0}, "goodbye: seconds 0 is not 1..600"},
    {MESSAGE_GOODBYE, {0, 2, 'v', 600}, NULL},
    {MESSAGE_GOODBYE, {0, 2, 'v', 601}, "goodbye: seconds 601 is not 1..600"},

    /* Unknown fields, in the message and in what it contains. */
    {MESSAGE_HELLO, {0, 100, 'v', 1}, NULL},
    {MESSAGE_LEG_STATE, {6, 100, 'f', 1}, NULL},
    {MESSAGE_ENTRIES, {3, 100, 'v', 1}, NULL},
    {MESSAGE_GOODBYE, {0, 15, 'f', 1}, NULL},
};

static void limits_hold(void **state)
{
	(void)state;
	static struct wire w;

	for (size_t i = 0; i < COUNT(limits); i++) {
		char why[MESSAGE_WHY_SIZE] = "accepted";
		struct message m;

		put_good(&w, limits[i].kind, &limits[i].field);
		int rc = message_decode(w.byte, w.size, &m, why);
		if (!limits[i].why && rc)
			fail_msg("limit %zu is allowed, but: %s", i, why);
		if (limits[i].why)
			assert_string_equal(why, limits[i].why);
		assert_int_equal(rc, limits[i].why ? -EBADMSG : 0);
		if (!rc) {
			assert_true(valid_message(&m));
			message_clear(&m);
		}
	}
}

static void assert_refused(const struct wire *w, int rc, const char *expected)
{
	struct message m = {.kind = MESSAGE_GOODBYE, .goodbye = {REASON_RESTART, 77}};
	char why[MESSAGE_WHY_SIZE] = "accepted";

	assert_int_equal(message_decode(w->byte, w->size, &m, why), rc);
	assert_string_equal(why, expected);
	assert_int_equal(m.goodbye.seconds, 77);
}

static void unknown_kinds_are_skipped(void **state)
{
	(void)state;
	static struct wire w, body;

	assert_refused(&w, -EBADMSG, "message: is empty");
	put_bytes(&w, 12, &body);
	assert_refused(&w, -ENOMSG, "message: kind 12 is not known to this version");
	w.size = 0;
	put_field(&w, &(struct field){0, 1000, 'v', 1});
	assert_refused(&w, -ENOMSG, "message: kind 1000 is not known to this version");

	/* An unknown field beside a known kind is ignored. */
	struct message m;
	put_good(&w, MESSAGE_DIGEST, NULL);
	put_field(&w, &(struct field){0, 1000, 'v', 1});
	assert_true(accepted(&w, &m));
	assert_int_equal(m.kind, MESSAGE_DIGEST);
}

/* An Entries of `count` entries, each the bytes of `entry`. */
static void put_entries(struct wire *w, size_t count, const struct wire *entry)
{
	static struct wire body;

	body.size = w->size = 0;
	put_field(&body, &(struct field){0, 1, 'v', 1});
	for (size_t i = 0; i < count; i++)
		put_bytes(&body, 3, entry);
	put_bytes(w, MESSAGE_ENTRIES + 1, &body);
}

static void counts_and_sizes_are_limited(void **state)
{
	(void)state;
	static struct wire w, entry;
	struct message m;

	put_field(&entry, &(struct field){0, 1, 'f', 0x0200000000dd});
	put_entries(&w, 0, &entry);
	assert_refused(&w, -EBADMSG, "entries: number of entries 0 is not 1..1024");
	put_entries(&w, 1024, &entry);
	assert_true(accepted(&w, &m));
	message_clear(&m);
	put_entries(&w, 1025, &entry);
	assert_refused(&w, -EBADMSG, "entries: number of entries 1025 is not 1..1024");
	put_good(&w, MESSAGE_GOODBYE, NULL);
	while (w.size <= MESSAGE_LIMIT)
		put_field(&w, &(struct field){0, 1000, 'v', 1});
	w.size = MESSAGE_LIMIT + 1;
	assert_refused(&w, -EBADMSG, "message: 65537 bytes are more than 65536");
}

/* What is cheap to send and dear to decode: entries of two bytes, and the same kind over and over (it is
 * merged). */
static void memory_is_limited(void **state)
{
	(void)state;
	static struct wire w, one, empty;

	put_entries(&w, 30000, &empty);
	assert_in_range(w.size, 60000, MESSAGE_LIMIT);
	assert_refused(&w, -EBADMSG, "message: does not fit into 1048576 bytes of memory");

	put_entries(&one, 1, &empty);
	w.size = 0;
	while (w.size + one.size <= MESSAGE_LIMIT) {
		memcpy(w.byte + w.size, one.byte, one.size);
		w.size += one.size;
	}
	assert_refused(&w, -EBADMSG, "message: does not fit into 1048576 bytes of memory");
}

static void beacon_limits(void **state)
{
	(void)state;
	static const struct {
		struct field field;
		const char *why;
	} cases[] = {
	    {{0, 1, 'v', 0}, "beacon: domain 0 is not 1..4095"},
	    {{0, 1, 'v', 4096}, "beacon: domain 4096 is not 1..4095"},
	    {{0, 3, 'v', 3}, "beacon: role 3 is not 0..2"},
	    {{0, 5, 'v', 3}, "beacon: goodbye 3 is not 0..2"},
	    {{0, 5, 'v', 2}, "beacon: seconds 0 is not 1..600"},
	    {{0, 6, 'v', 1}, "beacon: seconds 1 is not 0..0"},
	    {{0, 100, 'v', 1}, NULL},
	};
	static struct wire w;
	struct beacon b = {.domain = 7777};
	char why[MESSAGE_WHY_SIZE];

	for (size_t i = 0; i < COUNT(cases); i++) {
		w.size = 0;
		if (cases[i].field.number != 1)
			put_field(&w, &(struct field){0, 1, 'v', 7});
		put_field(&w, &cases[i].field);
		assert_int_equal(beacon_decode(w.byte, w.size, &b, why), cases[i].why ? -EBADMSG : 0);
		if (cases[i].why)
			assert_string_equal(why, cases[i].why);
		assert_int_equal(b.domain, cases[i].why ? 7777 : 7);
	}
	w.size = BEACON_LIMIT + 1;
	assert_int_equal(beacon_decode(w.byte, w.size, &b, why), -EBADMSG);
	assert_string_equal(why, "beacon: 129 bytes are more than 128");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(wire_is_as_specified),      cmocka_unit_test(limits_hold),
	    cmocka_unit_test(unknown_kinds_are_skipped), cmocka_unit_test(counts_and_sizes_are_limited),
	    cmocka_unit_test(memory_is_limited),         cmocka_unit_test(beacon_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
