/* SPDX-License-Identifier: ISC */
/*
 * What the shell makes of what it hears. The age of an echo decides whether the peer has outlived the peer
 * link (core/liveness.c), so its rounding is on the side of doubt.
 */
#include "mclagd/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void an_echo_is_never_made_younger(void **state)
{
	static const struct {
		int64_t us, ms;
	} rows[] = {{0, 0}, {1, 1}, {999, 1}, {1000, 1}, {1001, 2}, {250000, 250}, {4999001, 5000}};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct keepalive_heard h = {.boot = 7, .hears_us = true, .age_us = rows[i].us};
		struct heard_event e = words_heard(2, &h);
		assert_int_equal(e.echo_ms, rows[i].ms);
		assert_int_equal(e.path, 2);
		assert_int_equal(e.boot_id, 7);
		assert_true(e.hears_us);
	}
}

static void who_does_not_hear_us_proves_nothing(void **state)
{
	const struct keepalive_heard h = {.boot = 7, .hears_us = false, .age_us = -1};
	struct heard_event e = words_heard(0, &h);
	(void)state;
	assert_false(e.hears_us);
	assert_true(INT64_C(0) - e.echo_ms < -INT64_C(10) * 365 * 86400 * 1000);
}

static void the_end_of_a_session_has_a_reason(void **state)
{
	(void)state;
	for (int i = 0; i < PEERLINK_REASON_COUNT; i++)
		assert_int_not_equal(words_reason((enum peerlink_reason)i), REASON_NONE);
	assert_int_equal(words_reason(PEERLINK_OVERSIZE), REASON_VIOLATION);
	assert_int_equal(words_reason(PEERLINK_REPLACED), REASON_REPLACED);
	assert_int_equal(words_reason(PEERLINK_TIMEOUT), REASON_TIMEOUT);
	assert_int_equal(words_reason(PEERLINK_CLOSED_PEER), REASON_TRANSPORT);
}

static void traces_keep_their_weight(void **state)
{
	(void)state;
	assert_int_equal(words_level(TRACE_WARN), CONFIG_LOG_WARNING);
	assert_int_equal(words_level(TRACE_INFO), CONFIG_LOG_INFO);
	assert_int_equal(words_level(TRACE_DEBUG), CONFIG_LOG_DEBUG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_echo_is_never_made_younger),
	    cmocka_unit_test(who_does_not_hear_us_proves_nothing),
	    cmocka_unit_test(the_end_of_a_session_has_a_reason),
	    cmocka_unit_test(traces_keep_their_weight),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
