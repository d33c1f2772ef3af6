/* SPDX-License-Identifier: ISC */
/*
 * test_lacp_matrix.c - the LACP machines of one port: every state crossed with every event. A cell left out
 * is a failure.
 */
#include "lacp_rig.h"

#define STIMULI(X)                                                                                           \
	X(CARRIER_UP)                                                                                        \
	X(CARRIER_DOWN)                                                                                      \
	X(PDU_IDLE)       /* out of sync */                                                                  \
	X(PDU_SYNC)       /* in sync */                                                                      \
	X(PDU_COLLECTING) /* in sync, collecting */                                                          \
	X(PDU_STALE)      /* the same, but its partner is someone else */                                    \
	X(PDU_INDIVIDUAL) /* the same, and says that its link is individual */                               \
	X(PDU_OTHER)      /* in sync and collecting, from another host */                                    \
	X(PDU_OWN)        /* our own */                                                                      \
	X(PDU_PAIR)       /* from the other leaf's port */                                                   \
	X(TIMER_PERIODIC) /* nothing but a periodic PDU is due */                                            \
	X(TIMER_ONCE)     /* the receive machine's timer ran out */                                          \
	X(TIMER_TWICE)    /* and once more */                                                                \
	X(OPEN)                                                                                              \
	X(CLOSE)                                                                                             \
	X(SYSTEM)

#define MEMBER(name) name,
#define NAME(name)   #name,
enum stimulus { STIMULI(MEMBER) STIMULUS_COUNT };
static const char *const stimulus_names[] = {STIMULI(NAME)};

static void stimulate(struct rig *r, enum stimulus stimulus)
{
	const struct mac another = {{0x02, 0, 0, 0, 0, 0xbb}};
	struct lacp_info us = r->l.actor, stranger = host, other_port = r->l.actor;

	stranger.system.byte[5] = 2;
	other_port.port = 1;
	switch (stimulus) {
	case CARRIER_UP:
		carrier(r, true);
		break;
	case CARRIER_DOWN:
		carrier(r, false);
		break;
	case PDU_IDLE:
		hear(r, HOST_IDLE);
		break;
	case PDU_SYNC:
		hear(r, HOST_SYNC);
		break;
	case PDU_COLLECTING:
		hear(r, HOST_COLLECTING);
		break;
	case PDU_STALE:
		receive(r, &host, HOST_COLLECTING, &stranger);
		break;
	case PDU_INDIVIDUAL:
		receive(r, &host, HOST_COLLECTING & ~LACP_AGGREGATION, &stranger);
		break;
	case PDU_OTHER:
		receive(r, &stranger, HOST_COLLECTING, &us);
		break;
	case PDU_OWN:
		receive(r, &us, HOST_COLLECTING, &us);
		break;
	case PDU_PAIR:
		receive(r, &other_port, HOST_COLLECTING, &us);
		break;
	case TIMER_PERIODIC:
		r->s.now = msec_after(r->s.now, 1000);
		timer(r);
		break;
	case TIMER_ONCE:
		timer_expire(r);
		break;
	case TIMER_TWICE:
		timer_expire(r);
		timer_expire(r);
		break;
	case OPEN:
		open_gate(r, true);
		break;
	case CLOSE:
		open_gate(r, false);
		break;
	case SYSTEM:
		lacp_set_system(&r->l, &r->s, another);
		took(r);
		break;
	case STIMULUS_COUNT:
		break;
	}
}

#define IS(state) ((state) + 1) /* 0 = the cell is missing */

static void rx_reach(struct rig *r, enum lacp_rx state)
{
	rig_open(r, &fast_active);
	if (state != LACP_RX_PORT_DISABLED)
		carrier(r, true);
	if (state == LACP_RX_CURRENT)
		hear(r, HOST_IDLE);
	if (state == LACP_RX_DEFAULTED)
		timer_expire(r);
	assert_int_equal(r->l.rx, state);
}

static void rx_matrix(void **unused)
{
#define DIS IS(LACP_RX_PORT_DISABLED)
#define EXP IS(LACP_RX_EXPIRED)
#define DEF IS(LACP_RX_DEFAULTED)
#define CUR IS(LACP_RX_CURRENT)
	/* clang-format off */
	static const unsigned expected[STIMULUS_COUNT][LACP_RX_COUNT] = {
		/* from             PORT_DISABLED EXPIRED DEFAULTED CURRENT */
		[CARRIER_UP]     = {EXP,          EXP,    DEF,      CUR},
		[CARRIER_DOWN]   = {DIS,          DIS,    DIS,      DIS},
		[PDU_IDLE]       = {DIS,          CUR,    CUR,      CUR},
		[PDU_SYNC]       = {DIS,          CUR,    CUR,      CUR},
		[PDU_COLLECTING] = {DIS,          CUR,    CUR,      CUR},
		[PDU_STALE]      = {DIS,          CUR,    CUR,      CUR},
		[PDU_INDIVIDUAL] = {DIS,          CUR,    CUR,      CUR},
		[PDU_OTHER]      = {DIS,          CUR,    CUR,      CUR},
		[PDU_OWN]        = {DIS,          EXP,    DEF,      CUR},
		[PDU_PAIR]       = {DIS,          EXP,    DEF,      CUR},
		[TIMER_PERIODIC] = {DIS,          EXP,    DEF,      CUR},
		[TIMER_ONCE]     = {DIS,          DEF,    DEF,      EXP},
		[TIMER_TWICE]    = {DIS,          DEF,    DEF,      DEF},
		[OPEN]           = {DIS,          EXP,    DEF,      CUR},
		[CLOSE]          = {DIS,          EXP,    DEF,      CUR},
		[SYSTEM]         = {DIS,          EXP,    DEF,      CUR},
	};
	/* clang-format on */

	(void)unused;
	for (unsigned i = 0; i < STIMULUS_COUNT; i++) {
		for (unsigned from = 0; from < LACP_RX_COUNT; from++) {
			struct rig r;

			rx_reach(&r, (enum lacp_rx)from);
			stimulate(&r, (enum stimulus)i);
			if (IS(r.l.rx) != expected[i][from])
				fail_msg("rx %s + %s: %s", lacp_rx_name((enum lacp_rx)from),
					 stimulus_names[i], lacp_rx_name(r.l.rx));
			rig_close(&r);
		}
	}
}

static void mux_matrix(void **unused)
{
#define DET IS(LACP_MUX_DETACHED)
#define WAI IS(LACP_MUX_WAITING)
#define ATT IS(LACP_MUX_ATTACHED)
#define COL IS(LACP_MUX_COLLECTING)
#define DST IS(LACP_MUX_DISTRIBUTING)
	/* clang-format off */
	static const unsigned expected[STIMULUS_COUNT][PLACE_COUNT] = {
		/* from             SHUT FREE WAITING ATTACHED COLLECTING DISTRIBUTING */
		[CARRIER_UP]     = {DET, DET, WAI,    ATT,     COL,       DST},
		[CARRIER_DOWN]   = {DET, DET, DET,    DET,     DET,       DET},
		[PDU_IDLE]       = {WAI, ATT, WAI,    ATT,     ATT,       ATT},
		[PDU_SYNC]       = {WAI, COL, WAI,    COL,     COL,       COL},
		[PDU_COLLECTING] = {WAI, DST, WAI,    DST,     DST,       DST},
		[PDU_STALE]      = {WAI, ATT, WAI,    ATT,     ATT,       ATT},
		[PDU_INDIVIDUAL] = {WAI, DST, WAI,    DST,     DST,       DST},
		[PDU_OTHER]      = {WAI, DST, WAI,    DST,     DST,       DST},
		[PDU_OWN]        = {DET, DET, WAI,    ATT,     COL,       DST},
		[PDU_PAIR]       = {DET, DET, WAI,    ATT,     COL,       DST},
		[TIMER_PERIODIC] = {DET, DET, WAI,    ATT,     COL,       DST},
		[TIMER_ONCE]     = {DET, DET, WAI,    ATT,     ATT,       ATT},
		[TIMER_TWICE]    = {DET, DET, DET,    DET,     DET,       DET},
		[OPEN]           = {DET, DET, ATT,    ATT,     COL,       DST},
		[CLOSE]          = {DET, DET, WAI,    WAI,     WAI,       WAI},
		[SYSTEM]         = {DET, DET, WAI,    ATT,     ATT,       ATT},
	};
	/* These take synchronization away, if only for a moment: the partner must be told in the same call. */
	static const bool leaves[STIMULUS_COUNT] = {
		[PDU_INDIVIDUAL] = true, [PDU_OTHER] = true, [CLOSE] = true, [SYSTEM] = true,
	};
	/* clang-format on */

	(void)unused;
	for (unsigned i = 0; i < STIMULUS_COUNT; i++) {
		for (unsigned from = 0; from < PLACE_COUNT; from++) {
			struct rig r;

			mux_reach(&r, (enum place_in_mux)from);
			stimulate(&r, (enum stimulus)i);
			if (IS(r.l.mux) != expected[i][from])
				fail_msg("mux %u + %s: %s\n%s", from, stimulus_names[i],
					 lacp_mux_name(r.l.mux), r.trace);
			if (leaves[i] && from >= ATTACHED) {
				assert_int_equal(r.sent, 1);
				assert_false(r.pdu.actor.state & MUX_BITS);
			}
			rig_close(&r);
		}
	}
}

/* 6.4.13: who is active, and what timeout the partner asks for. */
static void periodic_table(void **unused)
{
	static const struct {
		bool active;
		uint8_t partner;
		enum lacp_periodic expected;
	} rows[] = {
	    {false, 0, LACP_PERIODIC_NONE},
	    {false, LACP_TIMEOUT, LACP_PERIODIC_NONE},
	    {false, LACP_ACTIVITY, LACP_PERIODIC_SLOW},
	    {false, LACP_ACTIVITY | LACP_TIMEOUT, LACP_PERIODIC_FAST},
	    {true, 0, LACP_PERIODIC_SLOW},
	    {true, LACP_TIMEOUT, LACP_PERIODIC_FAST},
	    {true, LACP_ACTIVITY, LACP_PERIODIC_SLOW},
	    {true, LACP_ACTIVITY | LACP_TIMEOUT, LACP_PERIODIC_FAST},
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		static const size_t in_ten_minutes[LACP_PERIODIC_COUNT] = {0, 600, 20};
		struct lacp_config config = fast_active;
		struct rig r;
		size_t sent = 0;

		config.active = rows[i].active;
		rig_open(&r, &config);
		carrier(&r, true);
		hear(&r, rows[i].partner | LACP_AGGREGATION);
		assert_int_equal(r.l.periodic, rows[i].expected);
		run_for(&r, 1000);
		for (int second = 0; second < 600; second++) {
			hear(&r, rows[i].partner | LACP_AGGREGATION);
			sent += r.sent + run_for(&r, 1000);
		}
		assert_int_equal(sent, in_ten_minutes[rows[i].expected]);
		assert_int_equal(lacp_ready(&r.l), rows[i].expected != LACP_PERIODIC_NONE);
		rig_close(&r);
	}
}

/* A partner that changes to short timeout has not heard us for up to 30 s: it hears us at once. */
static void slow_to_fast(void **unused)
{
	struct rig r;

	(void)unused;
	rig_open(&r, &fast_active);
	carrier(&r, true);
	hear(&r, HOST_IDLE);
	run_for(&r, 2500);
	hear(&r, HOST_IDLE);
	assert_int_equal(r.sent, 0);
	hear(&r, HOST_IDLE | LACP_TIMEOUT);
	assert_int_equal(r.sent, 1);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rx_matrix),
	    cmocka_unit_test(mux_matrix),
	    cmocka_unit_test(periodic_table),
	    cmocka_unit_test(slow_to_fast),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
