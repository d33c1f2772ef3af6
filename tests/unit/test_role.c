/* SPDX-License-Identifier: ISC */
/* Every pair of Hellos over a small domain of values: exactly one primary, and the rules in their order. */
#include "core/role.h"
#include "core_test.h"

static struct hello variant(unsigned bits, uint8_t node)
{
	return (struct hello){
	    .node = node,
	    .carrying = bits & 1,
	    .role = (enum role)((bits >> 1) % ROLE_COUNT),
	    .epoch = bits / 6 % 3,
	    .priority = (uint16_t)(bits / 18 % 3),
	};
}

#define VARIANTS (2 * 3 * 3 * 3)

static void exactly_one_primary(void **state)
{
	(void)state;
	for (unsigned a = 0; a < VARIANTS; a++) {
		for (unsigned b = 0; b < VARIANTS; b++) {
			struct hello x = variant(a, 1), y = variant(b, 2);

			assert_int_not_equal(role_elect(&x, &y), role_elect(&y, &x));
			assert_int_not_equal(role_elect(&x, &y), ROLE_NONE);
			assert_int_equal(role_epoch(&x, &y), role_epoch(&y, &x));
			assert_true(role_epoch(&x, &y) >= x.epoch && role_epoch(&x, &y) >= y.epoch);
		}
	}
}

struct rule {
	const char *name;
	struct hello winner, loser;
};

static void rules_in_order(void **state)
{
	static const struct rule rules[] = {
	    {"carrying beats everything",
	     {.node = 2, .carrying = true, .role = ROLE_SECONDARY, .priority = 200},
	     {.node = 1, .role = ROLE_PRIMARY, .epoch = 9, .priority = 1}},
	    {"no preemption: the last primary stays",
	     {.node = 2, .role = ROLE_PRIMARY, .priority = 200},
	     {.node = 1, .role = ROLE_SECONDARY, .epoch = 9, .priority = 1}},
	    {"two primaries: the later epoch",
	     {.node = 2, .role = ROLE_PRIMARY, .epoch = 4, .priority = 200},
	     {.node = 1, .role = ROLE_PRIMARY, .epoch = 3, .priority = 1}},
	    {"equals: the lower priority", {.node = 2, .priority = 50}, {.node = 1, .priority = 100}},
	    {"all equal: the lower node number", {.node = 1}, {.node = 2}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		if (role_elect(&rules[i].winner, &rules[i].loser) != ROLE_PRIMARY)
			fail_msg("%s", rules[i].name);
	}
}

static void epoch_grows_with_a_change_only(void **state)
{
	struct hello p = {.node = 1, .role = ROLE_PRIMARY, .epoch = 5};
	struct hello q = {.node = 2, .role = ROLE_SECONDARY, .epoch = 5};

	(void)state;
	assert_int_equal(role_epoch(&p, &q), 5);
	q.role = ROLE_PRIMARY;
	assert_int_equal(role_epoch(&p, &q), 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(exactly_one_primary),
	    cmocka_unit_test(rules_in_order),
	    cmocka_unit_test(epoch_grows_with_a_change_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
