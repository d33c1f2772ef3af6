/* SPDX-License-Identifier: ISC */
/* The store against a plain list: random adds, finds and removals, with keys that collide. */
#include "core/table.h"
#include "core_test.h"

#define KEYS 600

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void random_walk(void **state)
{
	struct entry_table t;
	uint32_t slots[KEYS];
	uint64_t x = 88172645463325252u;
	uint32_t count = 0;

	(void)state;
	entry_table_init(&t, 42);
	memset(slots, 0xff, sizeof slots);
	for (int i = 0; i < 200000; i++) {
		uint32_t k = (uint32_t)(next(&x) % KEYS);
		uint64_t key = entry_key((uint16_t)(k % 3), mac_number(k));

		assert_int_equal(entry_table_find(&t, key), slots[k]);
		if (slots[k] == SLOT_NONE) {
			slots[k] = entry_table_add(&t, key);
			count++;
		} else if (next(&x) % 3 == 0) {
			entry_table_remove(&t, slots[k]);
			slots[k] = SLOT_NONE;
			count--;
		}
		assert_int_equal(t.count, count);
	}
	for (uint32_t k = 0; k < KEYS; k++)
		assert_int_equal(entry_table_find(&t, entry_key((uint16_t)(k % 3), mac_number(k))), slots[k]);
	entry_table_release(&t);
}

static void keys_give_back_what_went_in(void **state)
{
	struct entry_table t;
	struct mac m = mac_number(0x123456);
	uint32_t slot;

	(void)state;
	entry_table_init(&t, 1);
	slot = entry_table_add(&t, entry_key(VLAN_MAX, m));
	assert_true(entry_used(&t.slots[slot]));
	assert_int_equal(entry_vlan(&t.slots[slot]), VLAN_MAX);
	assert_true(mac_equal(entry_mac(&t.slots[slot]), m));
	entry_table_remove(&t, slot);
	assert_false(entry_used(&t.slots[slot]));
	entry_table_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(random_walk),
	    cmocka_unit_test(keys_give_back_what_went_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
