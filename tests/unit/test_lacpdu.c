/* SPDX-License-Identifier: ISC */
/*
 * test_lacpdu.c - the LACPDU codec against bytes that tshark reads as stated here, against every truncation,
 * every single-byte change, and random PDUs.
 */
#include "core/lacpdu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct lacpdu golden_pdu = {
    .actor = {.system_priority = 0x8000,
	      .system = {{0x02, 0x00, 0x00, 0x00, 0x00, 0xaa}},
	      .key = 0x0102,
	      .port_priority = 0x00ff,
	      .port = 0x8001,
	      .state = LACP_ACTIVITY | LACP_TIMEOUT | LACP_AGGREGATION | LACP_SYNC},
    .partner = {.system_priority = 0x1234,
		.system = {{0x52, 0x54, 0x00, 0x12, 0x34, 0x56}},
		.key = 0x0007,
		.port_priority = 0x8000,
		.port = 0x0002,
		.state = LACP_ACTIVITY | LACP_AGGREGATION | LACP_SYNC | LACP_COLLECTING | LACP_DISTRIBUTING},
    .collector_max_delay = 0x0005,
};

/* clang-format off */
static const uint8_t golden_bytes[LACPDU_SIZE] = {
	0x01, 0x01,
	0x01, 0x14, 0x80, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0xaa, 0x01, 0x02, 0x00, 0xff, 0x80, 0x01, 0x0f, 0, 0, 0,
	0x02, 0x14, 0x12, 0x34, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x00, 0x07, 0x80, 0x00, 0x00, 0x02, 0x3d, 0, 0, 0,
	0x03, 0x10, 0x00, 0x05, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0x00, 0x00, /* terminator, 50 reserved octets */
};
/* clang-format on */

static bool info_equal(const struct lacp_info *a, const struct lacp_info *b)
{
	return a->system_priority == b->system_priority && mac_equal(a->system, b->system) &&
	       a->key == b->key && a->port_priority == b->port_priority && a->port == b->port &&
	       a->state == b->state;
}

static bool pdu_equal(const struct lacpdu *a, const struct lacpdu *b)
{
	return info_equal(&a->actor, &b->actor) && info_equal(&a->partner, &b->partner) &&
	       a->collector_max_delay == b->collector_max_delay;
}

/* Decodes from an allocation of exactly `size` bytes, so that a sanitizer sees one byte too many. */
static enum lacpdu_error decode_exact(const uint8_t *bytes, size_t size, struct lacpdu *pdu)
{
	uint8_t *exact = malloc(size ? size : 1);
	enum lacpdu_error error;

	assert_non_null(exact);
	memcpy(exact, bytes, size);
	error = lacpdu_decode(exact, size, pdu);
	free(exact);
	return error;
}

static void golden(void **state)
{
	uint8_t bytes[LACPDU_SIZE];
	struct lacpdu pdu;

	(void)state;
	memset(bytes, 0xee, sizeof(bytes));
	lacpdu_encode(&golden_pdu, bytes);
	assert_memory_equal(bytes, golden_bytes, LACPDU_SIZE);
	assert_int_equal(decode_exact(golden_bytes, LACPDU_SIZE, &pdu), LACPDU_OK);
	assert_true(pdu_equal(&pdu, &golden_pdu));
}

static void truncations(void **state)
{
	(void)state;
	for (size_t size = 0; size < LACPDU_SIZE; size++) {
		struct lacpdu pdu = golden_pdu;

		pdu.collector_max_delay = 0xbeef;
		assert_int_equal(decode_exact(golden_bytes, size, &pdu), LACPDU_SHORT);
		assert_int_equal(pdu.collector_max_delay, 0xbeef);
	}
}

/* "Reserved: ignored on receipt"; padding behind the PDU is none of its business. */
static void tolerant(void **state)
{
	uint8_t bytes[LACPDU_SIZE + 64];
	struct lacpdu pdu;

	(void)state;
	memset(bytes, 0xff, sizeof(bytes));
	memcpy(bytes, golden_bytes, 58);
	memset(bytes + 19, 0xff, 3);
	memset(bytes + 39, 0xff, 3);
	memset(bytes + 46, 0xff, 12);
	for (unsigned version = 1; version <= UINT8_MAX; version++) {
		bytes[1] = (uint8_t)version;
		assert_int_equal(decode_exact(bytes, sizeof(bytes), &pdu), LACPDU_OK);
		assert_true(pdu_equal(&pdu, &golden_pdu));
	}
}

/* What a wrong byte at each offset of the fixed part means; offsets not listed are values. */
static void mutations(void **state)
{
	static const struct {
		size_t at;
		enum lacpdu_error error;
	} structure[] = {
	    {0, LACPDU_SUBTYPE}, {2, LACPDU_TLV},  {3, LACPDU_TLV},  {22, LACPDU_TLV},
	    {23, LACPDU_TLV},    {42, LACPDU_TLV}, {43, LACPDU_TLV},
	};

	(void)state;
	for (size_t at = 0; at < LACPDU_SIZE; at++) {
		for (unsigned flip = 1; flip <= UINT8_MAX; flip++) {
			enum lacpdu_error expected = LACPDU_OK;
			uint8_t bytes[LACPDU_SIZE];
			struct lacpdu pdu = golden_pdu;

			memcpy(bytes, golden_bytes, LACPDU_SIZE);
			bytes[at] = (uint8_t)(bytes[at] ^ flip);
			for (size_t i = 0; i < sizeof(structure) / sizeof(structure[0]); i++)
				if (structure[i].at == at)
					expected = structure[i].error;
			if (at == 1 && bytes[1] == 0)
				expected = LACPDU_VERSION;
			if (at == 6 && (bytes[6] & 1))
				expected = LACPDU_SYSTEM;
			assert_int_equal(decode_exact(bytes, LACPDU_SIZE, &pdu), expected);
			if (expected != LACPDU_OK)
				assert_true(pdu_equal(&pdu, &golden_pdu));
		}
	}
}

static struct lacp_info random_info(unsigned *seed)
{
	return (struct lacp_info){
	    .system_priority = (uint16_t)rand_r(seed),
	    .system = mac_from_u64(((uint64_t)rand_r(seed) << 24 ^ (uint64_t)rand_r(seed)) & 0xfeffffffffff),
	    .key = (uint16_t)rand_r(seed),
	    .port_priority = (uint16_t)rand_r(seed),
	    .port = (uint16_t)rand_r(seed),
	    .state = (uint8_t)rand_r(seed),
	};
}

static void round_trip(void **state)
{
	unsigned seed = 1;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		struct lacpdu pdu = {.actor = random_info(&seed),
				     .partner = random_info(&seed),
				     .collector_max_delay = (uint16_t)rand_r(&seed)};
		struct lacpdu back;
		uint8_t bytes[LACPDU_SIZE];

		lacpdu_encode(&pdu, bytes);
		assert_int_equal(decode_exact(bytes, LACPDU_SIZE, &back), LACPDU_OK);
		assert_true(pdu_equal(&pdu, &back));
	}
}

static void errors_have_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LACPDU_ERROR_COUNT; i++) {
		enum lacpdu_error parsed;

		assert_int_equal(lacpdu_error_parse(lacpdu_error_name((enum lacpdu_error)i), &parsed), 0);
		assert_int_equal(parsed, i);
	}
	assert_string_equal(lacpdu_error_name(LACPDU_ERROR_COUNT), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(golden),    cmocka_unit_test(truncations), cmocka_unit_test(tolerant),
	    cmocka_unit_test(mutations), cmocka_unit_test(round_trip),  cmocka_unit_test(errors_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
