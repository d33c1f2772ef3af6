/* SPDX-License-Identifier: ISC */
/* proto/types: every name of every list, addresses, sets, moments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/types.h"

/* NOLINTBEGIN(bugprone-macro-parentheses): a tag stands where no expression can. */

/* Each value of a list has a name of its own that parses back, and a help text; what is outside has neither.
 */
#define CHECK_NAMES(tag, count)                                                                              \
	do {                                                                                                 \
		for (unsigned i = 0; i < (unsigned)(count); i++) {                                           \
			enum tag parsed = (enum tag)(count);                                                 \
			const char *name = tag##_name((enum tag)i);                                          \
			assert_int_equal(tag##_parse(name, &parsed), 0);                                     \
			assert_int_equal(parsed, i);                                                         \
			assert_true(strlen(name) > 0);                                                       \
			assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));         \
			assert_non_null(tag##_help((enum tag)i));                                            \
		}                                                                                            \
		enum tag untouched = (enum tag)1;                                                            \
		assert_int_equal(tag##_parse("", &untouched), -EINVAL);                                      \
		assert_int_equal(tag##_parse("?", &untouched), -EINVAL);                                     \
		assert_int_equal(tag##_parse("NONE", &untouched), -EINVAL);                                  \
		assert_int_equal(untouched, 1);                                                              \
		assert_string_equal(tag##_name((enum tag)(count)), "?");                                     \
		assert_string_equal(tag##_name((enum tag)(-1)), "?");                                        \
		assert_string_equal(tag##_help((enum tag)(count)), "?");                                     \
	} while (0)

/* NOLINTEND(bugprone-macro-parentheses) */

static void names_round_trip(void **state)
{
	(void)state;
	CHECK_NAMES(role, ROLE_COUNT);
	CHECK_NAMES(session_state, SESSION_STATE_COUNT);
	CHECK_NAMES(verdict, VERDICT_COUNT);
	CHECK_NAMES(hold, HOLD_COUNT);
	CHECK_NAMES(leg_phase, LEG_PHASE_COUNT);
	CHECK_NAMES(speaker, SPEAKER_COUNT);
	CHECK_NAMES(split_policy, SPLIT_POLICY_COUNT);
	CHECK_NAMES(place_kind, PLACE_KIND_COUNT);
	CHECK_NAMES(reason, REASON_COUNT);
	assert_string_equal(hold_name(HOLD_PEER_LINK), "peer_link");
	assert_string_equal(leg_phase_help(LEG_FORWARDING), "carries data");
}

static void macs_parse_and_print(void **state)
{
	(void)state;
	static const char *const refused[] = {
	    "",
	    "02",
	    "02:00:00:00:00",
	    "02:00:00:00:00:",
	    "02:00:00:00:00:a",
	    "02:00:00:00:00:aa:",
	    "02:00:00:00:00:aa:00",
	    "02:00:00:00:00:aaa",
	    "02:00-00:00:00:aa",
	    "02-00-00:00-00-aa",
	    "0200.0000.00aa",
	    "0200000000aa",
	    "2:0:0:0:0:a",
	    "02:00:00:00:00:ag",
	    " 02:00:00:00:00:aa",
	    "02:00:00:00:00:aa ",
	    "02 00 00 00 00 aa",
	};
	char text[MAC_TEXT_SIZE];
	struct mac m;

	assert_int_equal(mac_parse("02:00:5E:10:0f:aA", &m), 0);
	assert_memory_equal(m.byte, ((uint8_t[]){0x02, 0x00, 0x5e, 0x10, 0x0f, 0xaa}), 6);
	assert_string_equal(mac_format(m, text), "02:00:5e:10:0f:aa");
	assert_int_equal(mac_parse("ff-ff-ff-ff-ff-fe", &m), 0);
	assert_string_equal(mac_format(m, text), "ff:ff:ff:ff:ff:fe");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_int_equal(mac_parse(refused[i], &m), -EINVAL);
		assert_string_equal(mac_format(m, text), "ff:ff:ff:ff:ff:fe");
	}
}

static void macs_compare(void **state)
{
	(void)state;
	struct mac a = mac_from_u64(0x0200000000aa), b = mac_from_u64(0x0300000000a9);

	assert_int_equal(mac_to_u64(a), 0x0200000000aa);
	assert_int_equal(a.byte[0], 0x02);
	assert_int_equal(a.byte[5], 0xaa);
	assert_int_equal(mac_to_u64(mac_from_u64(UINT64_MAX)), 0xffffffffffff);
	assert_true(mac_compare(a, b) < 0 && mac_compare(b, a) > 0 && mac_compare(a, a) == 0);
	assert_true(mac_equal(a, a) && !mac_equal(a, b));
	assert_true(mac_is_multicast(b) && !mac_is_multicast(a));
	assert_true(mac_is_multicast(mac_from_u64(0xffffffffffff)));
	assert_true(mac_is_zero(mac_from_u64(0)) && !mac_is_zero(mac_from_u64(1)) && !mac_is_zero(a));
}

static void sets_print(void **state)
{
	(void)state;
	char text[128], small[12];

	assert_string_equal(hold_set_format(0, text, sizeof(text)), "-");
	assert_string_equal(hold_set_format(HOLD_BIT(HOLD_STOPPING), text, sizeof(text)), "stopping");
	assert_string_equal(
	    hold_set_format(HOLD_BIT(HOLD_CARRIER) | HOLD_BIT(HOLD_GRANT), text, sizeof(text)),
	    "carrier,grant");
	assert_string_equal(hold_set_format(HOLD_BIT(HOLD_COUNT) - 1, text, sizeof(text)),
			    "carrier,partner,boot,sync,grant,peer_link,dataplane,stopping");
	assert_string_equal(hold_set_format(HOLD_BIT(HOLD_COUNT) - 1, small, sizeof(small)), "carrier,par");
	assert_string_equal(hold_set_format(HOLD_BIT(HOLD_COUNT) - 1, small, 1), "");

	char lacp[LACP_STATE_TEXT_SIZE];
	assert_string_equal(lacp_state_format(0, lacp), "-");
	assert_string_equal(lacp_state_format(LACP_ACTIVITY | LACP_SYNC, lacp), "active,sync");
	assert_string_equal(lacp_state_format(0xff, lacp),
			    "active,short,aggregation,sync,collecting,distributing,defaulted,expired");
	assert_int_equal(strlen(lacp), LACP_STATE_TEXT_SIZE - 1);
}

static void moments(void **state)
{
	(void)state;
	struct msec t = {1000}, later = msec_after(t, 500);

	assert_int_equal(later.ms, 1500);
	assert_int_equal(msec_since(later, t), 500);
	assert_true(msec_reached(later, t) && msec_reached(t, t) && !msec_reached(t, later));
	assert_true(msec_is_never(MSEC_NEVER) && !msec_is_never(t));
	assert_true(msec_is_never(msec_after(MSEC_NEVER, 1)));
	assert_true(msec_is_never(msec_after((struct msec){INT64_MAX - 5}, 5)));
	assert_int_equal(msec_after((struct msec){INT64_MAX - 5}, 4).ms, INT64_MAX - 1);
	assert_int_equal(msec_min(t, later).ms, 1000);
	assert_int_equal(msec_min(MSEC_NEVER, later).ms, 1500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_round_trip), cmocka_unit_test(macs_parse_and_print),
	    cmocka_unit_test(macs_compare),     cmocka_unit_test(sets_print),
	    cmocka_unit_test(moments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
