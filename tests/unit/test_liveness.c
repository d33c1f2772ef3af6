/* SPDX-License-Identifier: ISC */
/*
 * The verdict: each story of behaviour.md section 1 as evidence -> verdict, and the full matrix of verdicts
 * and events.
 */
#include "core/liveness.h"
#include "core_test.h"

struct fixture {
	struct liveness l;
	struct step s;
	struct domain_config config;
};

static void begin(struct fixture *f, size_t paths)
{
	memset(f, 0, sizeof *f);
	f->config = config_for(1, NULL, 0);
	f->config.path_count = paths;
	liveness_init(&f->l, &f->config);
	liveness_start(&f->l, &f->s, VERDICT_UNKNOWN);
}

static void hear(struct fixture *f, int64_t at, int path)
{
	struct heard_event e = {.path = path, .boot_id = 7, .hears_us = true};

	step_at(&f->s, at);
	liveness_heard(&f->l, &f->s, &e);
}

static void carrier(struct fixture *f, int64_t at, bool up)
{
	step_at(&f->s, at);
	liveness_carrier(&f->l, &f->s, up);
}

static void timer(struct fixture *f, int64_t at)
{
	step_at(&f->s, at);
	liveness_timer(&f->l, &f->s);
}

static void goodbye(struct fixture *f, int64_t at, enum reason reason)
{
	struct goodbye g = {.reason = reason, .seconds = reason == REASON_RESTART ? 60 : 0};

	step_at(&f->s, at);
	liveness_goodbye(&f->l, &f->s, &g, 7);
}

static void alive(struct fixture *f)
{
	begin(f, 2);
	carrier(f, 0, true);
	hear(f, 1000, 0);
	hear(f, 1000, 1);
	assert_int_equal(f->l.verdict, VERDICT_ALIVE);
}

static void never_heard_opens_alone(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 2);
	assert_int_equal(liveness_deadline(&f.l).ms, 60000);
	timer(&f, 59999);
	assert_int_equal(f.l.verdict, VERDICT_UNKNOWN);
	timer(&f, 60000);
	assert_int_equal(f.l.verdict, VERDICT_ALONE);
	hear(&f, 70000, 1);
	assert_int_equal(f.l.verdict, VERDICT_ALIVE);
	step_release(&f.s);
}

static void everything_at_once_is_gone(void **state)
{
	struct fixture f;

	(void)state;
	alive(&f);
	carrier(&f, 1050, false);
	assert_int_equal(count_actions(&f.s, ACTION_PROBE), 1);
	assert_int_equal(liveness_peer_link(&f.l), PEER_LINK_DOUBTFUL);
	timer(&f, 1499);
	assert_int_equal(f.l.verdict, VERDICT_ALIVE);
	timer(&f, 1500);
	assert_int_equal(f.l.verdict, VERDICT_GONE);
	step_release(&f.s);
}

static void carrier_stays_is_silent(void **state)
{
	struct fixture f;

	(void)state;
	alive(&f);
	timer(&f, 1500);
	assert_int_equal(f.l.verdict, VERDICT_SILENT);
	carrier(&f, 5000, false); /* its kernel died as well */
	assert_int_equal(f.l.verdict, VERDICT_GONE);
	step_release(&f.s);
}

static void one_after_another_is_split(void **state)
{
	struct fixture f;

	(void)state;
	alive(&f);
	carrier(&f, 1050, false);
	hear(&f, 1051, 1); /* the probe's answer */
	assert_int_equal(liveness_peer_link(&f.l), PEER_LINK_LOST);
	for (int64_t t = 1100; t <= 3000; t += 100)
		hear(&f, t, 1);
	timer(&f, 3500);
	assert_int_equal(f.l.verdict, VERDICT_SPLIT);
	step_release(&f.s);
}

static void blind_before_the_cut_is_split(void **state)
{
	struct fixture f;

	(void)state;
	alive(&f);
	for (int64_t t = 1100; t <= 5000; t += 100)
		hear(&f, t, 0);
	timer(&f, 5000); /* the backup path fell long ago */
	assert_false(f.l.paths[1].up);
	carrier(&f, 5010, false);
	timer(&f, 5500);
	assert_int_equal(f.l.verdict, VERDICT_SPLIT);
	step_release(&f.s);
}

static void single_path_cut_is_no_proof(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1);
	carrier(&f, 0, true);
	hear(&f, 1000, 0);
	carrier(&f, 1050, false);
	timer(&f, 1500);
	assert_int_equal(f.l.verdict, VERDICT_SPLIT);
	step_release(&f.s);
}

static void resumed_and_cut_off_is_no_proof(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 2);
	liveness_start(&f.l, &f.s, VERDICT_ALIVE);
	assert_int_equal(f.l.verdict, VERDICT_ALIVE);
	carrier(&f, 1, false); /* assumed until the dump of links says otherwise */
	timer(&f, 500);
	assert_int_equal(f.l.verdict, VERDICT_SPLIT); /* nothing was really heard */
	step_release(&f.s);
}

static void one_way_is_no_path(void **state)
{
	struct fixture f;
	struct heard_event deaf = {.path = 0, .boot_id = 7, .hears_us = false};

	(void)state;
	begin(&f, 1);
	carrier(&f, 0, true);
	hear(&f, 1000, 0);
	for (int64_t t = 1100; t <= 1500; t += 100) {
		step_at(&f.s, t);
		liveness_heard(&f.l, &f.s, &deaf);
	}
	timer(&f, 1500);
	assert_false(f.l.paths[0].up);
	step_release(&f.s);
}

static void goodbye_is_believed(void **state)
{
	struct fixture f;
	struct heard_event reborn = {.path = 0, .boot_id = 8, .hears_us = true};

	(void)state;
	alive(&f);
	goodbye(&f, 2000, REASON_RESTART);
	assert_int_equal(f.l.verdict, VERDICT_RESTARTING);
	hear(&f, 2001, 0); /* a late datagram of the run that said goodbye */
	assert_int_equal(f.l.verdict, VERDICT_RESTARTING);
	step_at(&f.s, 3000);
	liveness_heard(&f.l, &f.s, &reborn);
	assert_int_equal(f.l.verdict, VERDICT_ALIVE);
	goodbye(&f, 4000, REASON_SHUTDOWN);
	assert_int_equal(f.l.verdict, VERDICT_GONE);
	step_release(&f.s);
}

/* --- the matrix: verdict x event -> verdict ----------------------------------------------------------- */

enum happening { HEAR, CUT, CARRIER, TIME, RESTART, SHUTDOWN, HAPPENINGS };

#define CELL(v) (VERDICT_##v + 1)

static const int matrix[VERDICT_COUNT][HAPPENINGS] = {
    /*                       hear         cut          carrier      time         restart shutdown */
    [VERDICT_UNKNOWN] = {CELL(ALIVE), CELL(UNKNOWN), CELL(UNKNOWN), CELL(ALONE), CELL(RESTARTING),
			 CELL(GONE)},
    [VERDICT_ALIVE] = {CELL(ALIVE), CELL(ALIVE), CELL(ALIVE), CELL(SILENT), CELL(RESTARTING), CELL(GONE)},
    [VERDICT_RESTARTING] = {CELL(ALIVE), CELL(GONE), CELL(RESTARTING), CELL(SILENT), CELL(RESTARTING),
			    CELL(GONE)},
    [VERDICT_SILENT] = {CELL(ALIVE), CELL(GONE), CELL(SILENT), CELL(SILENT), CELL(RESTARTING), CELL(GONE)},
    [VERDICT_GONE] = {CELL(ALIVE), CELL(GONE), CELL(GONE), CELL(GONE), CELL(RESTARTING), CELL(GONE)},
    [VERDICT_SPLIT] = {CELL(ALIVE), CELL(SPLIT), CELL(SPLIT), CELL(SPLIT), CELL(RESTARTING), CELL(GONE)},
    [VERDICT_ALONE] = {CELL(ALIVE), CELL(ALONE), CELL(ALONE), CELL(ALONE), CELL(RESTARTING), CELL(GONE)},
};

static void reach(struct fixture *f, enum verdict v)
{
	switch (v) {
	case VERDICT_UNKNOWN:
		begin(f, 2);
		carrier(f, 0, true);
		break;
	case VERDICT_ALIVE:
		alive(f);
		break;
	case VERDICT_RESTARTING:
		alive(f);
		goodbye(f, 1100, REASON_RESTART);
		break;
	case VERDICT_SILENT:
		alive(f);
		timer(f, 1500);
		break;
	case VERDICT_GONE:
		alive(f);
		goodbye(f, 1100, REASON_SHUTDOWN);
		break;
	case VERDICT_SPLIT:
		alive(f);
		hear(f, 1600, 1);
		timer(f, 2100);
		break;
	case VERDICT_ALONE:
		begin(f, 2);
		carrier(f, 0, true);
		timer(f, 60000);
		break;
	case VERDICT_COUNT:
		break;
	}
	assert_int_equal(f->l.verdict, v);
}

static void happen(struct fixture *f, enum happening h)
{
	struct heard_event reborn = {.path = 0, .boot_id = 9, .hears_us = true};

	switch (h) {
	case HEAR:
		step_at(&f->s, 100000);
		liveness_heard(&f->l, &f->s, &reborn);
		break;
	case CUT:
		carrier(f, f->l.since.ms, false);
		break;
	case CARRIER:
		carrier(f, f->l.since.ms, true);
		break;
	case TIME:
		timer(f, 1000000);
		break;
	case RESTART:
		goodbye(f, 100000, REASON_RESTART);
		break;
	case SHUTDOWN:
		goodbye(f, 100000, REASON_SHUTDOWN);
		break;
	case HAPPENINGS:
		break;
	}
}

static void full_matrix(void **state)
{
	struct fixture f;

	(void)state;
	for (int v = 0; v < VERDICT_COUNT; v++) {
		for (int h = 0; h < HAPPENINGS; h++) {
			assert_int_not_equal(matrix[v][h], 0); /* a hole */
			reach(&f, (enum verdict)v);
			happen(&f, (enum happening)h);
			if ((int)f.l.verdict != matrix[v][h] - 1)
				fail_msg("%s x event %d -> %s", verdict_name((enum verdict)v), h,
					 verdict_name(f.l.verdict));
			liveness_timer(&f.l, &f.s); /* nothing that is due stays due */
			assert_true(liveness_deadline(&f.l).ms > f.s.now.ms);
			step_release(&f.s);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(never_heard_opens_alone),
	    cmocka_unit_test(everything_at_once_is_gone),
	    cmocka_unit_test(carrier_stays_is_silent),
	    cmocka_unit_test(one_after_another_is_split),
	    cmocka_unit_test(blind_before_the_cut_is_split),
	    cmocka_unit_test(single_path_cut_is_no_proof),
	    cmocka_unit_test(resumed_and_cut_off_is_no_proof),
	    cmocka_unit_test(one_way_is_no_path),
	    cmocka_unit_test(goodbye_is_believed),
	    cmocka_unit_test(full_matrix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
