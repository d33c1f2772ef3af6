/* SPDX-License-Identifier: ISC */
/*
 * The legs: the full matrix of phases and events, the order of what is done, and who grants what to whom. The
 * leg is a static one where LACP does not matter.
 */
#include "core/mclag.h"
#include "core_test.h"

#define ID 5

struct fixture {
	struct mclags ms;
	struct step s;
	struct leg_watch watch;
	unsigned changes;
	struct pair pair;
};

static void changed(struct leg_watch *w, struct step *s, const struct leg *leg)
{
	struct fixture *f = (struct fixture *)((char *)w - offsetof(struct fixture, watch));

	(void)s;
	(void)leg;
	f->changes++;
}

static struct leg *the_leg(struct fixture *f)
{
	return &f->ms.legs[0];
}

static void begin(struct fixture *f, enum speaker speaker)
{
	static struct mclag_config mclag;
	struct domain_config config;

	mclag = (struct mclag_config){.id = ID, .speaker = speaker, .active = true, .fast = true};
	config = config_for(1, &mclag, 1);
	memset(f, 0, sizeof *f);
	f->watch.changed = changed;
	step_at(&f->s, 1000);
	mclags_init(&f->ms, &config, &f->watch);
	mclags_start(&f->ms, &f->s, NULL, false);
}

static void end(struct fixture *f)
{
	mclags_release(&f->ms);
	step_release(&f->s);
}

static void carrier(struct fixture *f, bool up)
{
	struct link_event e = {.port = {.kind = PLACE_LEG, .mclag = ID}, .carrier = up};

	mclags_link(&f->ms, &f->s, &e);
}

static void done(struct fixture *f, bool isolate, bool on, bool ok)
{
	struct done_event e = {
	    .port = {.kind = PLACE_LEG, .mclag = ID}, .isolate = isolate, .on = on, .ok = ok};

	mclags_done(&f->ms, &f->s, &e);
}

static void pair_is(struct fixture *f, struct pair pair)
{
	f->pair = pair;
	mclags_pair(&f->ms, &f->s, &pair);
}

static const struct pair healthy = {.verdict = VERDICT_ALIVE,
				    .role = ROLE_PRIMARY,
				    .peer_link = PEER_LINK_UP,
				    .greeted = true,
				    .synced = true};

static void peer_leg(struct fixture *f, enum leg_phase phase)
{
	struct leg_state st = {.mclag = ID, .carrier = true, .phase = phase};

	mclags_peer_state(&f->ms, &f->s, &st);
}

static void grant(struct fixture *f, bool granted)
{
	struct leg_handshake h = {.mclag = ID, .nonce = the_leg(f)->nonce, .granted = granted};

	mclags_peer_grant(&f->ms, &f->s, &h);
}

static void reach(struct fixture *f, enum leg_phase phase)
{
	begin(f, SPEAKER_STATIC);
	pair_is(f, healthy);
	if (phase == LEG_HELD)
		return;
	carrier(f, true);
	if (phase == LEG_REQUESTING)
		return;
	grant(f, true);
	if (phase == LEG_OPENING)
		return;
	done(f, false, true, true);
}

/* LEG_LEAVING needs a partner that takes its time: an engine leg whose partner is in sync. */
static struct lacpdu partner_pdu(const struct leg *leg)
{
	struct lacpdu pdu = {
	    .actor = {.system_priority = 1,
		      .system = mac_number(0x99),
		      .key = 7,
		      .port_priority = 1,
		      .port = 1,
		      .state = LACP_ACTIVITY | LACP_TIMEOUT | LACP_AGGREGATION | LACP_SYNC},
	};

	if (leg->phase == LEG_FORWARDING)
		pdu.actor.state |= LACP_COLLECTING | LACP_DISTRIBUTING;
	pdu.partner = leg->lacp.actor;
	return pdu;
}

static void hear_partner(struct fixture *f)
{
	struct lacpdu pdu = partner_pdu(the_leg(f));

	mclags_lacpdu(&f->ms, &f->s, ID, &pdu);
}

static void reach_leaving(struct fixture *f)
{
	struct pair apart = healthy;

	begin(f, SPEAKER_ENGINE);
	pair_is(f, healthy);
	carrier(f, true);
	hear_partner(f);
	hear_partner(f);
	assert_int_equal(the_leg(f)->phase, LEG_REQUESTING);
	grant(f, true);
	done(f, false, true, true);
	hear_partner(f);
	hear_partner(f);
	assert_int_equal(the_leg(f)->phase, LEG_FORWARDING);
	peer_leg(f, LEG_FORWARDING);
	done(f, true, true, true);
	apart.role = ROLE_SECONDARY;
	apart.peer_link = PEER_LINK_LOST;
	pair_is(f, apart);
}

enum happening {
	CARRIER_LOST,
	CARRIER_CAME,
	GRANTED,
	REFUSED,
	OPENED,
	NOT_OPENED,
	SESSION_LOST,
	PEER_GONE,
	ISOLATED_SECONDARY,
	STOPPING,
	LEAVE_TIME,
	HAPPENINGS
};

#define CELL(p) (LEG_##p + 1)

static const int matrix[LEG_PHASE_COUNT][HAPPENINGS] = {
    [LEG_HELD] = {[CARRIER_LOST] = CELL(HELD),
		  [CARRIER_CAME] = CELL(REQUESTING),
		  [GRANTED] = CELL(HELD),
		  [REFUSED] = CELL(HELD),
		  [OPENED] = CELL(HELD),
		  [NOT_OPENED] = CELL(HELD),
		  [SESSION_LOST] = CELL(HELD),
		  [PEER_GONE] = CELL(HELD),
		  [ISOLATED_SECONDARY] = CELL(HELD),
		  [STOPPING] = CELL(HELD),
		  [LEAVE_TIME] = CELL(HELD)},
    [LEG_REQUESTING] = {[CARRIER_LOST] = CELL(HELD),
			[CARRIER_CAME] = CELL(REQUESTING),
			[GRANTED] = CELL(OPENING),
			[REFUSED] = CELL(HELD),
			[OPENED] = CELL(REQUESTING),
			[NOT_OPENED] = CELL(HELD),
			[SESSION_LOST] = CELL(HELD),
			[PEER_GONE] = CELL(OPENING),
			[ISOLATED_SECONDARY] = CELL(HELD),
			[STOPPING] = CELL(HELD),
			[LEAVE_TIME] = CELL(REQUESTING)},
    [LEG_OPENING] = {[CARRIER_LOST] = CELL(HELD),
		     [CARRIER_CAME] = CELL(OPENING),
		     [GRANTED] = CELL(OPENING),
		     [REFUSED] = CELL(OPENING),
		     [OPENED] = CELL(FORWARDING),
		     [NOT_OPENED] = CELL(HELD),
		     [SESSION_LOST] = CELL(OPENING),
		     [PEER_GONE] = CELL(OPENING),
		     [ISOLATED_SECONDARY] = CELL(HELD),
		     [STOPPING] = CELL(HELD),
		     [LEAVE_TIME] = CELL(OPENING)},
    [LEG_FORWARDING] = {[CARRIER_LOST] = CELL(HELD),
			[CARRIER_CAME] = CELL(FORWARDING),
			[GRANTED] = CELL(FORWARDING),
			[REFUSED] = CELL(FORWARDING),
			[OPENED] = CELL(FORWARDING),
			[NOT_OPENED] = CELL(FORWARDING),
			[SESSION_LOST] = CELL(FORWARDING),
			[PEER_GONE] = CELL(FORWARDING),
			[ISOLATED_SECONDARY] = CELL(HELD) /* a static leg cannot ask the host to leave */,
			[STOPPING] = CELL(HELD),
			[LEAVE_TIME] = CELL(FORWARDING)},
    [LEG_LEAVING] = {[CARRIER_LOST] = CELL(HELD),
		     [CARRIER_CAME] = CELL(LEAVING),
		     [GRANTED] = CELL(LEAVING),
		     [REFUSED] = CELL(LEAVING),
		     [OPENED] = CELL(LEAVING),
		     [NOT_OPENED] = CELL(LEAVING),
		     [SESSION_LOST] = CELL(LEAVING),
		     [PEER_GONE] = CELL(LEAVING),
		     [ISOLATED_SECONDARY] = CELL(LEAVING),
		     [STOPPING] = CELL(LEAVING),
		     [LEAVE_TIME] = CELL(HELD)},
};

static void happen(struct fixture *f, enum happening h)
{
	struct pair p = f->pair;

	switch (h) {
	case CARRIER_LOST:
		carrier(f, false);
		break;
	case CARRIER_CAME:
		carrier(f, true);
		break;
	case GRANTED:
		grant(f, true);
		break;
	case REFUSED:
		grant(f, false);
		break;
	case OPENED:
		done(f, false, true, true);
		break;
	case NOT_OPENED:
		done(f, false, true, false);
		break;
	case SESSION_LOST:
		p.greeted = p.synced = false;
		pair_is(f, p);
		break;
	case PEER_GONE:
		p.verdict = VERDICT_GONE;
		p.greeted = p.synced = false;
		pair_is(f, p);
		break;
	case ISOLATED_SECONDARY:
		peer_leg(f, LEG_FORWARDING);
		p.role = ROLE_SECONDARY;
		p.peer_link = PEER_LINK_LOST;
		pair_is(f, p);
		break;
	case STOPPING:
		p.stopping = true;
		pair_is(f, p);
		break;
	case LEAVE_TIME:
		f->s.now.ms += 3000;
		mclags_timer(&f->ms, &f->s);
		break;
	case HAPPENINGS:
		break;
	}
}

static void full_matrix(void **state)
{
	struct fixture f;

	(void)state;
	for (int phase = 0; phase < LEG_PHASE_COUNT; phase++) {
		for (int h = 0; h < HAPPENINGS; h++) {
			assert_int_not_equal(matrix[phase][h], 0); /* a hole */
			if (phase == LEG_LEAVING)
				reach_leaving(&f);
			else
				reach(&f, (enum leg_phase)phase);
			assert_int_equal(the_leg(&f)->phase, phase);
			happen(&f, (enum happening)h);
			if ((int)the_leg(&f)->phase != matrix[phase][h] - 1)
				fail_msg("%s x event %d -> %s", leg_phase_name((enum leg_phase)phase), h,
					 leg_phase_name(the_leg(&f)->phase));
			end(&f);
		}
	}
}

/* Index of the first such action, or -1. */
static int where(const struct step *s, enum action_kind kind, int message)
{
	for (size_t i = 0; i < s->action_count; i++) {
		if (s->actions[i].kind == kind && (message < 0 || (int)s->actions[i].message.kind == message))
			return (int)i;
	}
	return -1;
}

static void never_forwards_without_a_grant(void **state)
{
	struct fixture f;
	struct leg_handshake stale;

	(void)state;
	reach(&f, LEG_REQUESTING);
	assert_int_equal(count_actions(&f.s, ACTION_FORWARD), 0);
	stale = (struct leg_handshake){.mclag = ID, .nonce = the_leg(&f)->nonce + 1, .granted = true};
	mclags_peer_grant(&f.ms, &f.s, &stale);
	assert_int_equal(the_leg(&f)->phase, LEG_REQUESTING);
	grant(&f, true);
	assert_int_equal(count_actions(&f.s, ACTION_FORWARD), 1);
	end(&f);
}

static void grants_only_what_is_isolated(void **state)
{
	struct fixture f;
	struct leg_handshake request = {.mclag = ID, .nonce = 77};

	(void)state;
	reach(&f, LEG_FORWARDING);
	step_at(&f.s, 2000);
	mclags_peer_request(&f.ms, &f.s, &request);
	assert_int_equal(count_actions(&f.s, ACTION_ISOLATE), 1);
	assert_int_equal(count_sent(&f.s, MESSAGE_LEG_GRANT), 0);
	done(&f, true, true, true);
	assert_true(last_sent(&f.s, MESSAGE_LEG_GRANT)->leg.granted);
	assert_int_equal(last_sent(&f.s, MESSAGE_LEG_GRANT)->leg.nonce, 77);
	/* lifted as soon as the peer's leg says that it carries nothing */
	step_at(&f.s, 2100);
	peer_leg(&f, LEG_FORWARDING);
	assert_int_equal(count_actions(&f.s, ACTION_ISOLATE), 0);
	peer_leg(&f, LEG_HELD);
	assert_false(nth_action(&f.s, ACTION_ISOLATE, 0)->gate.on);
	end(&f);
}

static void failed_isolation_is_refused(void **state)
{
	struct fixture f;
	struct leg_handshake request = {.mclag = ID, .nonce = 78};

	(void)state;
	reach(&f, LEG_FORWARDING);
	step_at(&f.s, 2000);
	mclags_peer_request(&f.ms, &f.s, &request);
	done(&f, true, true, false);
	assert_false(last_sent(&f.s, MESSAGE_LEG_GRANT)->leg.granted);
	end(&f);
}

static void lost_carrier_tells_the_peer_first(void **state)
{
	struct fixture f;

	(void)state;
	reach(&f, LEG_FORWARDING);
	step_at(&f.s, 2000);
	carrier(&f, false);
	assert_int_equal(where(&f.s, ACTION_SEND, MESSAGE_LEG_STATE), 0);
	assert_true(where(&f.s, ACTION_FORWARD, -1) > 0);
	assert_int_equal(last_sent(&f.s, MESSAGE_LEG_STATE)->leg_state.phase, LEG_HELD);
	end(&f);
}

static void other_closings_close_before_they_tell(void **state)
{
	struct fixture f;
	struct pair stopping = healthy;

	(void)state;
	reach(&f, LEG_FORWARDING);
	step_at(&f.s, 2000);
	stopping.stopping = true;
	pair_is(&f, stopping);
	assert_true(where(&f.s, ACTION_FORWARD, -1) < where(&f.s, ACTION_SEND, MESSAGE_LEG_STATE));
	end(&f);
}

static void engine_opens_the_dataplane_before_it_announces_sync(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, SPEAKER_ENGINE);
	pair_is(&f, healthy);
	carrier(&f, true);
	hear_partner(&f);
	hear_partner(&f);
	grant(&f, true);
	for (size_t i = 0; i < f.s.action_count; i++) {
		if (f.s.actions[i].kind == ACTION_LACPDU)
			assert_false(f.s.actions[i].lacpdu.pdu.actor.state & LACP_SYNC);
	}
	step_at(&f.s, 1500);
	done(&f, false, true, true);
	assert_true(nth_action(&f.s, ACTION_LACPDU, 0)->lacpdu.pdu.actor.state & LACP_SYNC);
	end(&f);
}

static void peer_link_opens_after_isolation_and_closes_first(void **state)
{
	struct fixture f;
	struct pair gone = {.verdict = VERDICT_GONE, .role = ROLE_PRIMARY};
	struct done_event pl = {.port = {.kind = PLACE_PEER_LINK}, .on = true, .ok = true};

	(void)state;
	reach(&f, LEG_FORWARDING);
	step_at(&f.s, 2000);
	mclags_session_start(&f.ms, &f.s);
	peer_leg(&f, LEG_FORWARDING);
	mclags_peer_complete(&f.ms, &f.s);
	done(&f, true, true, true);
	assert_int_equal(count_actions(&f.s, ACTION_FORWARD), 0); /* ours is open: the peer must confirm it */
	grant(&f, true);
	assert_int_equal(nth_action(&f.s, ACTION_FORWARD, 0)->gate.port.kind, PLACE_PEER_LINK);
	mclags_done(&f.ms, &f.s, &pl);
	assert_true(f.ms.peer_link_open);
	step_at(&f.s, 3000);
	pair_is(&f, gone);
	assert_int_equal(f.s.actions[where(&f.s, ACTION_FORWARD, -1)].gate.port.kind, PLACE_PEER_LINK);
	assert_true(where(&f.s, ACTION_FORWARD, -1) < where(&f.s, ACTION_ISOLATE, -1));
	end(&f);
}

static void silent_peer_keeps_its_isolation(void **state)
{
	struct fixture f;
	struct pair silent = {.verdict = VERDICT_SILENT, .role = ROLE_PRIMARY};

	(void)state;
	reach(&f, LEG_FORWARDING);
	peer_leg(&f, LEG_FORWARDING);
	done(&f, true, true, true);
	step_at(&f.s, 2000);
	pair_is(&f, silent);
	assert_int_equal(count_actions(&f.s, ACTION_ISOLATE), 0);
	assert_int_equal(the_leg(&f)->phase, LEG_FORWARDING);
	carrier(&f, false); /* and a leg that returns must wait for a grant nobody can give */
	carrier(&f, true);
	assert_int_equal(the_leg(&f)->phase, LEG_HELD);
	assert_int_equal(leg_holds(&f.ms, the_leg(&f), f.s.now), HOLD_BIT(HOLD_GRANT));
	end(&f);
}

static void isolated_secondary_serves_a_host_nobody_else_serves(void **state)
{
	struct fixture f;
	struct pair apart = healthy;

	(void)state;
	reach(&f, LEG_FORWARDING);
	peer_leg(&f, LEG_HELD);
	apart.role = ROLE_SECONDARY;
	apart.peer_link = PEER_LINK_LOST;
	pair_is(&f, apart);
	assert_int_equal(the_leg(&f)->phase, LEG_FORWARDING);
	peer_leg(&f, LEG_FORWARDING); /* the primary's leg came back */
	assert_int_equal(the_leg(&f)->phase, LEG_HELD);
	end(&f);
}

static void isolated_secondary_keeps_what_the_peer_does_not_have(void **state)
{
	struct fixture f;
	struct pair apart = healthy;

	(void)state;
	reach(&f, LEG_FORWARDING);
	mclags_session_start(&f.ms, &f.s);
	mclags_peer_complete(&f.ms, &f.s); /* no LegState for ours */
	apart.role = ROLE_SECONDARY;
	apart.peer_link = PEER_LINK_LOST;
	pair_is(&f, apart);
	assert_int_equal(the_leg(&f)->phase, LEG_FORWARDING);
	mclags_session_start(&f.ms, &f.s); /* the session moves to the backup path */
	mclags_timer(&f.ms, &f.s);
	assert_int_equal(the_leg(&f)->phase, LEG_FORWARDING);
	end(&f);
}

/* The session is lost for good while the peer is heard, and the leg flaps: what the peer isolates may open. */
static void leg_returns_without_a_session(void **state)
{
	struct fixture f;
	struct pair lost = healthy;

	(void)state;
	reach(&f, LEG_FORWARDING);
	mclags_session_start(&f.ms, &f.s);
	peer_leg(&f, LEG_FORWARDING);
	mclags_peer_complete(&f.ms, &f.s);
	done(&f, true, true, true);
	grant(&f, true);
	assert_true(f.ms.peer_link_open);
	lost.greeted = lost.synced = false;
	pair_is(&f, lost);
	carrier(&f, false);
	carrier(&f, true);
	assert_int_equal(the_leg(&f)->phase, LEG_HELD);
	lost.late = lost.unattended = true;
	pair_is(&f, lost);
	assert_int_equal(the_leg(&f)->phase, LEG_OPENING);
	end(&f);
}

static void resumed_leg_is_not_touched(void **state)
{
	struct fixture f;
	struct leg_resume leg = {.mclag = ID, .forwarding = true, .isolated = true};
	struct resume r = {
	    .role = ROLE_PRIMARY, .epoch = 3, .peer_link_open = true, .leg_count = 1, .legs = &leg};
	struct pair resumed = {
	    .verdict = VERDICT_ALIVE, .role = ROLE_PRIMARY, .peer_link = PEER_LINK_DOUBTFUL};

	(void)state;
	begin(&f, SPEAKER_STATIC);
	mclags_start(&f.ms, &f.s, &r, false);
	carrier(&f, true);
	pair_is(&f, resumed);
	pair_is(&f, healthy);
	assert_int_equal(the_leg(&f)->phase, LEG_FORWARDING);
	assert_int_equal(count_actions(&f.s, ACTION_FORWARD) + count_actions(&f.s, ACTION_ISOLATE), 0);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(full_matrix),
	    cmocka_unit_test(never_forwards_without_a_grant),
	    cmocka_unit_test(grants_only_what_is_isolated),
	    cmocka_unit_test(failed_isolation_is_refused),
	    cmocka_unit_test(lost_carrier_tells_the_peer_first),
	    cmocka_unit_test(other_closings_close_before_they_tell),
	    cmocka_unit_test(engine_opens_the_dataplane_before_it_announces_sync),
	    cmocka_unit_test(peer_link_opens_after_isolation_and_closes_first),
	    cmocka_unit_test(silent_peer_keeps_its_isolation),
	    cmocka_unit_test(isolated_secondary_serves_a_host_nobody_else_serves),
	    cmocka_unit_test(isolated_secondary_keeps_what_the_peer_does_not_have),
	    cmocka_unit_test(leg_returns_without_a_session),
	    cmocka_unit_test(resumed_leg_is_not_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
