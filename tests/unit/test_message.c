/* SPDX-License-Identifier: ISC */
/*
 * proto/message: what is said arrives equal, and whatever arrives is refused with a reason or valid. Random,
 * and the same in every run. The limits one by one are in test_wire.c.
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

/* --- random messages, the same in every run ------------------------------------------------------- */

static uint64_t dice_next(uint64_t *dice)
{
	uint64_t z = *dice += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* min..max, both ends often. */
static uint64_t dice_range(uint64_t *dice, uint64_t min, uint64_t max)
{
	uint64_t r = dice_next(dice), span = max - min;

	if (r % 4 == 0)
		return r % 8 ? min : max;
	r = dice_next(dice);
	return span == UINT64_MAX ? r : min + r % (span + 1);
}

static uint16_t dice_u16(uint64_t *dice, uint16_t min, uint16_t max)
{
	return (uint16_t)dice_range(dice, min, max);
}

static uint32_t dice_u32(uint64_t *dice)
{
	return (uint32_t)dice_range(dice, 0, UINT32_MAX);
}

static bool dice_bool(uint64_t *dice)
{
	return dice_next(dice) & 1;
}

static struct mac dice_unicast(uint64_t *dice)
{
	struct mac m = mac_from_u64(dice_range(dice, 1, (UINT64_C(1) << 48) - 1));

	m.byte[0] &= 0xfe;
	return mac_is_zero(m) ? mac_from_u64(1) : m;
}

static struct lacp_info dice_lacp(uint64_t *dice)
{
	if (dice_next(dice) % 4 == 0)
		return (struct lacp_info){0};
	return (struct lacp_info){
	    .system_priority = dice_u16(dice, 0, UINT16_MAX),
	    .system = mac_from_u64(dice_range(dice, 0, (UINT64_C(1) << 48) - 1)),
	    .key = dice_u16(dice, 0, UINT16_MAX),
	    .port_priority = dice_u16(dice, 0, UINT16_MAX),
	    .port = dice_u16(dice, 0, UINT16_MAX),
	    .state = (uint8_t)dice_range(dice, 0, UINT8_MAX),
	};
}

static struct hello dice_hello(uint64_t *dice)
{
	uint32_t version = (uint32_t)dice_range(dice, 1, UINT32_MAX);

	return (struct hello){
	    .version_min = version,
	    .version_max = (uint32_t)dice_range(dice, version, UINT32_MAX),
	    .features = dice_range(dice, 0, UINT64_MAX),
	    .domain = dice_u16(dice, 1, DOMAIN_MAX),
	    .node = (uint8_t)dice_range(dice, 1, 2),
	    .boot_id = dice_range(dice, 1, UINT64_MAX),
	    .epoch = dice_range(dice, 0, UINT64_MAX),
	    .priority = dice_u16(dice, 0, UINT16_MAX),
	    .role = (enum role)dice_range(dice, 0, ROLE_COUNT - 1),
	    .carrying = dice_bool(dice),
	    .system = dice_unicast(dice),
	    .system_priority = dice_u16(dice, 0, UINT16_MAX),
	    .via = dice_bool(dice) ? dice_unicast(dice) : mac_from_u64(0),
	};
}

static struct entry_batch dice_batch(uint64_t *dice, bool may_be_gone, uint32_t count)
{
	struct entry_batch b = {.table = TABLE_MAC, .generation = dice_u32(dice), .count = count};

	b.entries = calloc(count, sizeof(*b.entries));
	assert_non_null(b.entries);
	for (uint32_t i = 0; i < count; i++)
		b.entries[i] = (struct mac_entry){
		    .mac = dice_unicast(dice),
		    .vlan = dice_u16(dice, 0, VLAN_MAX),
		    .mclag = dice_u16(dice, 0, MCLAG_MAX),
		    .moves = dice_u32(dice),
		    .fixed = dice_bool(dice),
		    .gone = may_be_gone && dice_bool(dice),
		};
	return b;
}

/* A valid message of a kind; batches have up to `entries` entries. */
static struct message dice_message(uint64_t *dice, enum message_kind kind, uint32_t entries)
{
	struct message m = {.kind = kind};
	bool restart;

	switch (kind) {
	case MESSAGE_HELLO:
		m.hello = dice_hello(dice);
		break;
	case MESSAGE_LEG_STATE:
		m.leg_state = (struct leg_state){
		    .mclag = dice_u16(dice, 1, MCLAG_MAX),
		    .carrier = dice_bool(dice),
		    .phase = (enum leg_phase)dice_range(dice, 0, LEG_PHASE_COUNT - 1),
		    .holds = (hold_set)dice_range(dice, 0, HOLD_BIT(HOLD_COUNT) - 1),
		    .speed = dice_u32(dice),
		    .actor = dice_lacp(dice),
		    .partner = dice_lacp(dice),
		};
		break;
	case MESSAGE_LEG_REQUEST:
	case MESSAGE_LEG_GRANT:
		m.leg = (struct leg_handshake){
		    .mclag = dice_u16(dice, 1, MCLAG_MAX),
		    .nonce = dice_u32(dice),
		    .granted = kind == MESSAGE_LEG_GRANT && dice_bool(dice),
		};
		break;
	case MESSAGE_TABLE_BEGIN:
	case MESSAGE_TABLE_END:
	case MESSAGE_DIGEST:
		m.mark = (struct table_mark){
		    .table = TABLE_MAC,
		    .generation = dice_u32(dice),
		    .count = dice_u32(dice),
		    .digest = kind == MESSAGE_TABLE_BEGIN ? 0 : dice_next(dice),
		};
		break;
	case MESSAGE_ENTRIES:
	case MESSAGE_UPDATE:
		m.batch = dice_batch(dice, kind == MESSAGE_UPDATE, (uint32_t)dice_range(dice, 1, entries));
		break;
	case MESSAGE_TABLE_ACK:
		m.ack = (struct table_ack){TABLE_MAC, dice_u32(dice), dice_bool(dice)};
		break;
	case MESSAGE_GOODBYE:
		restart = dice_bool(dice);
		m.goodbye.reason = restart ? REASON_RESTART : REASON_SHUTDOWN;
		m.goodbye.seconds = restart ? dice_u16(dice, 1, RESTART_SECONDS_MAX) : 0;
		break;
	case MESSAGE_KIND_COUNT:
		fail();
	}
	return m;
}

/* --- what is said arrives ------------------------------------------------------------------------- */

static void assert_arrives(const struct message *m)
{
	char why[MESSAGE_WHY_SIZE] = "";
	struct message back;
	uint8_t *bytes;
	size_t size;

	message_encode(m, &bytes, &size);
	assert_in_range(size, 1, MESSAGE_LIMIT);
	if (message_decode(bytes, size, &back, why))
		fail_msg("refused: %s", why);
	assert_true(message_equal(m, &back) && message_equal(&back, m));
	assert_true(valid_message(&back));
	message_clear(&back);
	free(bytes);
}

static void every_kind_arrives(void **state)
{
	(void)state;
	uint64_t dice = 1;

	for (enum message_kind kind = 0; kind < MESSAGE_KIND_COUNT; kind++)
		for (int i = 0; i < 3000; i++) {
			struct message m = dice_message(&dice, kind, 8), copy;

			assert_arrives(&m);
			message_copy(&copy, &m);
			assert_true(message_equal(&m, &copy));
			message_clear(&m);
			assert_true(valid_message(&copy));
			message_clear(&copy);
			message_clear(&copy);
		}
}

static void largest_batch_fits_its_frame(void **state)
{
	(void)state;
	struct mac_entry *entries = calloc(MESSAGE_ENTRIES_MAX, sizeof(*entries));
	struct message m = {.kind = MESSAGE_UPDATE,
			    .batch = {TABLE_MAC, UINT32_MAX, MESSAGE_ENTRIES_MAX, entries}};

	assert_non_null(entries);
	for (size_t i = 0; i < MESSAGE_ENTRIES_MAX; i++)
		entries[i] = (struct mac_entry){
		    mac_from_u64(0xfeffffffffff), VLAN_MAX, MCLAG_MAX, UINT32_MAX, true, true};
	assert_arrives(&m);
	message_clear(&m);
}

/* --- nothing else gets in ------------------------------------------------------------------------- */

/*
 * Whatever the bytes: refused with a reason and m untouched, or a valid message that survives its own
 * encoding. Returns whether they were accepted; then it is in *out, for the caller to clear.
 */
static bool accepted(const uint8_t *bytes, size_t size, struct message *out)
{
	const struct message marker = {.kind = MESSAGE_GOODBYE, .goodbye = {REASON_RESTART, 77}};
	/* A copy of the exact size: the sanitizer sees the first byte read too many. */
	uint8_t *exact = malloc(size ? size : 1);
	char why[MESSAGE_WHY_SIZE] = "";

	assert_non_null(exact);
	if (size)
		memcpy(exact, bytes, size);
	*out = marker;
	int rc = message_decode(exact, size, out, why);
	free(exact);
	if (rc) {
		assert_true(rc == -EBADMSG || rc == -ENOMSG);
		assert_true(strlen(why) > 0 && strlen(why) < MESSAGE_WHY_SIZE);
		assert_true(message_equal(out, &marker));
		return false;
	}
	assert_true(valid_message(out));
	assert_arrives(out);
	return true;
}

/* message_equal() says the same as the bytes do. */
static void assert_equal_as_bytes(const struct message *m, const struct message *other)
{
	uint8_t *a, *b;
	size_t a_size, b_size;

	message_encode(m, &a, &a_size);
	message_encode(other, &b, &b_size);
	bool same = a_size == b_size && memcmp(a, b, a_size) == 0;
	assert_int_equal(message_equal(m, other), same);
	assert_int_equal(message_equal(other, m), same);
	free(a);
	free(b);
}

static void truncations_and_mutations(void **state)
{
	(void)state;
	uint64_t dice = 2;
	size_t mutants = 0, survivors = 0;

	for (int round = 0; round < 4 * MESSAGE_KIND_COUNT; round++) {
		struct message m = dice_message(&dice, (enum message_kind)(round % MESSAGE_KIND_COUNT), 3),
			       got;
		uint8_t *bytes;
		size_t size;

		message_encode(&m, &bytes, &size);
		for (size_t cut = 0; cut < size; cut++)
			if (accepted(bytes, cut, &got))
				message_clear(&got);
		for (size_t i = 0; i < size; i++)
			for (unsigned flip = 1; flip < 256; flip++, mutants++) {
				bytes[i] ^= (uint8_t)flip;
				if (accepted(bytes, size, &got)) {
					survivors++;
					assert_equal_as_bytes(&m, &got);
					message_clear(&got);
				}
				bytes[i] ^= (uint8_t)flip;
			}
		free(bytes);
		message_clear(&m);
	}
	/* Both outcomes were really seen. */
	assert_true(survivors > mutants / 100 && survivors < mutants);
}

/* --- digest and beacon ---------------------------------------------------------------------------- */

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void hash_is_as_specified(void **state)
{
	(void)state;
	struct mac_entry e = {.mac = mac_from_u64(0x0200000000aa)};

	assert_true(entry_hash(&e) == UINT64_C(0xec823057c2517b70));
	e.gone = true;
	assert_true(entry_hash(&e) == UINT64_C(0xec823057c2517b70));
	e = (struct mac_entry){mac_from_u64(0x0200000000aa), 4094, 65535, UINT32_MAX, true, false};
	assert_true(entry_hash(&e) == UINT64_C(0x089461deea0617c8));
	e = (struct mac_entry){mac_from_u64(0xfeffffffffff), 100, 7, 3, false, false};
	assert_true(entry_hash(&e) == UINT64_C(0x890fc25595ef7af4));

	/* Neighbours in every field: all different. */
	static uint64_t hashes[8 * 8 * 8 * 8 * 2];
	size_t n = 0;
	for (unsigned i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
		e = (struct mac_entry){mac_from_u64(0x020000000000 + i % 8),
				       (uint16_t)(i / 8 % 8),
				       (uint16_t)(i / 64 % 8),
				       i / 512 % 8,
				       i / 4096 % 2,
				       false};
		hashes[n++] = entry_hash(&e);
	}
	qsort(hashes, n, sizeof(hashes[0]), compare_u64);
	for (size_t i = 1; i < n; i++)
		assert_true(hashes[i] != hashes[i - 1]);
}

static void assert_beacon(const uint8_t *bytes, size_t size)
{
	struct beacon got = {.domain = 7777}, back;
	char why[MESSAGE_WHY_SIZE] = "";
	uint8_t buf[BEACON_LIMIT];

	if (beacon_decode(bytes, size, &got, why)) {
		assert_true(strlen(why) > 0);
		assert_int_equal(got.domain, 7777);
		return;
	}
	assert_true(valid_beacon(&got));
	assert_int_equal(beacon_decode(buf, beacon_encode(&got, buf), &back, why), 0);
	assert_true(got.domain == back.domain && got.epoch == back.epoch && got.role == back.role &&
		    got.carrying == back.carrying);
}

static void beacons(void **state)
{
	(void)state;
	uint64_t dice = 3;
	uint8_t buf[BEACON_LIMIT], exact[BEACON_LIMIT];
	char why[MESSAGE_WHY_SIZE];

	for (int i = 0; i < 2000; i++) {
		struct beacon b = {dice_u16(&dice, 1, DOMAIN_MAX),
				   dice_range(&dice, 0, UINT64_MAX),
				   (enum role)dice_range(&dice, 0, ROLE_COUNT - 1),
				   dice_bool(&dice),
				   REASON_NONE,
				   0};
		struct beacon got;
		if (dice_bool(&dice)) {
			b.goodbye = dice_bool(&dice) ? REASON_RESTART : REASON_SHUTDOWN;
			b.seconds = b.goodbye == REASON_RESTART ? (uint32_t)dice_range(&dice, 1, 600) : 0;
		}
		size_t size = beacon_encode(&b, buf);

		assert_int_equal(beacon_decode(buf, size, &got, why), 0);
		assert_true(b.domain == got.domain && b.epoch == got.epoch && b.role == got.role &&
			    b.carrying == got.carrying && b.goodbye == got.goodbye &&
			    b.seconds == got.seconds);
		for (size_t cut = 0; i < 20 && cut < size; cut++)
			assert_beacon(buf, cut);
		for (size_t at = 0; i < 20 && at < size; at++)
			for (unsigned flip = 1; flip < 256; flip++) {
				memcpy(exact, buf, size);
				exact[at] ^= (uint8_t)flip;
				assert_beacon(exact, size);
			}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_kind_arrives),
	    cmocka_unit_test(largest_batch_fits_its_frame),
	    cmocka_unit_test(truncations_and_mutations),
	    cmocka_unit_test(hash_is_as_specified),
	    cmocka_unit_test(beacons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
