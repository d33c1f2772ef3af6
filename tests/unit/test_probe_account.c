/* SPDX-License-Identifier: ISC */
/* The probe's bookkeeping: what was done to the frames is what it reports, no more and no less. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "account.h"

#define MS ((nsec)1000000)

static const struct account_limits limits = {
    .flows = 4,
    .window = 1024,
    .spacing = 1 * MS,
    .linger = 20 * MS,
    .drain = 200 * MS,
    .quiet = 50 * MS,
};

/* Send `count` frames, one per millisecond from `at` on. */
static void send(struct account *account, uint64_t count, nsec at)
{
	for (uint64_t i = 0; i < count; i++)
		account_sent(account, at + i * MS, at + i * MS, false);
}

static void receive(struct account *account, uint64_t index, nsec at)
{
	assert_true(account_received(account, index, at));
}

static struct tally close_at(struct account *account, nsec now)
{
	struct tally tally;

	assert_true(account_mark(account));
	assert_true(account_settle(account, now, &tally));
	return tally;
}

static void test_nothing_wrong(void **state)
{
	struct account *account = account_new(&limits);
	struct tally tally;

	(void)state;
	send(account, 100, 0);
	for (uint64_t i = 0; i < 100; i++)
		receive(account, i, i * MS + MS / 2);
	tally = close_at(account, 120 * MS);
	assert_int_equal(tally.sent, 100);
	assert_int_equal(tally.received, 100);
	assert_int_equal(tally.lost + tally.duplicated + tally.reordered + tally.stale + tally.gap, 0);
	assert_int_equal(tally.delay, MS / 2);
	assert_int_equal(tally.silence, MS);
	account_free(account);
}

static void test_loss_is_one_episode_over_flows(void **state)
{
	struct account *account = account_new(&limits);
	struct tally tally;

	(void)state;
	send(account, 400, 0);
	/* Frames 100..129 of two of the four flows are lost, and one alone at 300. */
	for (uint64_t i = 0; i < 400; i++)
		if (!(i >= 100 && i < 130 && i % 4 < 2) && i != 300)
			receive(account, i, i * MS);
	tally = close_at(account, 600 * MS);
	assert_int_equal(tally.lost, 17);
	assert_int_equal(tally.received, 383);
	assert_int_equal(tally.episodes, 2);
	assert_int_equal(tally.gap, 30 * MS);
	account_free(account);
}

static void test_duplicates_also_after_settling(void **state)
{
	struct account *account = account_new(&limits);
	struct tally tally;

	(void)state;
	send(account, 10, 0);
	for (uint64_t i = 0; i < 10; i++)
		receive(account, i, i * MS);
	receive(account, 3, 10 * MS);
	receive(account, 3, 10 * MS);
	tally = close_at(account, 100 * MS);
	assert_int_equal(tally.duplicated, 2);
	receive(account, 4, 150 * MS);
	tally = close_at(account, 200 * MS);
	assert_int_equal(tally.duplicated, 1);
	assert_int_equal(tally.sent, 0);
	assert_int_equal(account_total(account).duplicated, 3);
	assert_int_equal(account_total(account).received, 10);
	account_free(account);
}

static void test_reordered_within_a_flow_only(void **state)
{
	struct account *account = account_new(&limits);

	(void)state;
	send(account, 8, 0);
	/* 1 after 0 and 2 is another flow's business; 0 after 4 is not. */
	receive(account, 2, 8 * MS);
	receive(account, 4, 8 * MS);
	receive(account, 1, 8 * MS);
	receive(account, 0, 8 * MS);
	receive(account, 3, 8 * MS);
	receive(account, 5, 8 * MS);
	receive(account, 6, 8 * MS);
	receive(account, 7, 8 * MS);
	assert_int_equal(close_at(account, 50 * MS).reordered, 1);
	account_free(account);
}

static void test_late_frame_is_lost_and_stale(void **state)
{
	struct account *account = account_new(&limits);
	struct tally tally;

	(void)state;
	send(account, 2, 0);
	receive(account, 1, 1 * MS);
	assert_false(account_settle(account, 199 * MS, &tally));
	assert_false(account_settle(account, 201 * MS, &tally));
	receive(account, 0, 210 * MS);
	tally = close_at(account, 220 * MS);
	assert_int_equal(tally.lost, 1);
	assert_int_equal(tally.stale, 1);
	assert_int_equal(tally.received, 1);
	account_free(account);
}

static void test_interval_takes_its_own_frames(void **state)
{
	struct account *account = account_new(&limits);
	struct tally tally;

	(void)state;
	send(account, 10, 0);
	for (uint64_t i = 0; i < 9; i++)
		receive(account, i, i * MS);
	assert_true(account_mark(account));
	assert_false(account_mark(account));
	send(account, 10, 10 * MS);
	for (uint64_t i = 10; i < 20; i++)
		receive(account, i, i * MS);
	/* Frame 9 is still on its way: the interval stays open for it, and its delay is the interval's. */
	assert_false(account_settle(account, 100 * MS, &tally));
	receive(account, 9, 110 * MS);
	assert_true(account_settle(account, 130 * MS, &tally));
	assert_int_equal(tally.sent, 10);
	assert_int_equal(tally.received, 10);
	assert_int_equal(tally.delay, 101 * MS);
	tally = close_at(account, 130 * MS);
	assert_int_equal(tally.sent, 10);
	assert_int_equal(tally.delay, 0);
	account_free(account);
}

static void test_unsolicited_counts_what_comes_back(void **state)
{
	struct account_limits own = limits;
	struct account *account;
	struct tally tally;

	(void)state;
	own.unsolicited = true;
	account = account_new(&own);
	send(account, 10, 0);
	receive(account, 4, 5 * MS);
	tally = close_at(account, 50 * MS);
	assert_int_equal(tally.received, 1);
	assert_int_equal(tally.lost, 0);
	assert_int_equal(tally.gap, 0);
	account_free(account);
}

static void test_full_window_settles_the_oldest(void **state)
{
	struct account *account = account_new(&limits);
	struct tally tally;

	(void)state;
	for (uint64_t i = 0; i < 1500; i++)
		account_sent(account, 0, 0, false);
	assert_false(account_received(account, 1, MS));    /* forgotten */
	assert_false(account_received(account, 1500, MS)); /* never sent */
	for (uint64_t i = 476; i < 1500; i++)
		receive(account, i, MS);
	tally = close_at(account, 100 * MS);
	assert_int_equal(tally.sent, 1500);
	assert_int_equal(tally.lost, 476);
	assert_int_equal(tally.received, 1024);
	account_free(account);
}

static void test_lateness_and_refusals(void **state)
{
	struct account *account = account_new(&limits);
	struct tally tally;

	(void)state;
	account_sent(account, 7 * MS, 2 * MS, true);
	account_late(account, 3 * MS);
	tally = close_at(account, 300 * MS);
	assert_int_equal(tally.late, 5 * MS);
	assert_int_equal(tally.refused, 1);
	assert_int_equal(tally.lost, 1);
	account_free(account);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_wrong),
	    cmocka_unit_test(test_loss_is_one_episode_over_flows),
	    cmocka_unit_test(test_duplicates_also_after_settling),
	    cmocka_unit_test(test_reordered_within_a_flow_only),
	    cmocka_unit_test(test_late_frame_is_lost_and_stale),
	    cmocka_unit_test(test_interval_takes_its_own_frames),
	    cmocka_unit_test(test_unsolicited_counts_what_comes_back),
	    cmocka_unit_test(test_full_window_settles_the_oldest),
	    cmocka_unit_test(test_lateness_and_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
