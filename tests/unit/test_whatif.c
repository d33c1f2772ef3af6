/* SPDX-License-Identifier: ISC */
/*
 * test_whatif.c - every question in healthy and degraded pairs. A pair is one real domain, brought up event
 * by event; the forecast is compared with what the rules of behaviour.md section 1 say, and the table of ways
 * with what the core has programmed.
 */
#include "core/whatif.h"
#include "core_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOST    1 /* dual-attached, LACP */
#define STATIC  7 /* dual-attached, no protocol */
#define LONELY  9 /* the peer has no such leg */
#define MCLAGS  3
#define PEER_ID 2002

static const struct mclag_config mclags[MCLAGS] = {
    {.id = HOST, .speaker = SPEAKER_ENGINE, .active = true, .fast = true},
    {.id = STATIC, .speaker = SPEAKER_STATIC},
    {.id = LONELY, .speaker = SPEAKER_STATIC},
};

struct leaf {
	struct domain_config config;
	struct domain *domain;
	struct step s;
};

/* --- a leaf, brought up ------------------------------------------------------------------------------ */

static void tell(struct leaf *l, struct event e);

/* The switch obeys, the peer grants. */
static void follow(struct leaf *l)
{
	size_t count = l->s.action_count;
	struct action *actions = calloc(count + 1, sizeof *actions);
	struct message m = {.kind = MESSAGE_LEG_GRANT};

	assert_non_null(actions);
	memcpy(actions, l->s.actions, count * sizeof *actions);
	for (size_t i = 0; i < count; i++) {
		const struct action *a = &actions[i];

		if (a->kind == ACTION_FORWARD || a->kind == ACTION_ISOLATE)
			tell(l, (struct event){
				    .kind = EVENT_DONE,
				    .done = {a->gate.port, a->kind == ACTION_ISOLATE, a->gate.on, true}});
		if (a->kind == ACTION_SEND && a->message.kind == MESSAGE_LEG_REQUEST) {
			m.leg = a->message.leg;
			m.leg.granted = true;
			tell(l, (struct event){.kind = EVENT_MESSAGE, .message = &m});
		}
		if (a->kind == ACTION_SEND && a->message.kind == MESSAGE_TABLE_END) {
			struct message ack = {.kind = MESSAGE_TABLE_ACK};

			ack.ack.generation = a->message.mark.generation;
			tell(l, (struct event){.kind = EVENT_MESSAGE, .message = &ack});
		}
	}
	free(actions);
}

static void tell(struct leaf *l, struct event e)
{
	step_at(&l->s, l->s.now.ms);
	domain_step(l->domain, &l->s, &e);
	follow(l);
}

static void carrier(struct leaf *l, enum place_kind kind, uint16_t id, bool up)
{
	tell(l, (struct event){.kind = EVENT_LINK, .link = {{.kind = kind, .mclag = id}, up, 10000}});
}

static void heard(struct leaf *l, int path)
{
	if ((size_t)path < l->config.path_count)
		tell(l, (struct event){.kind = EVENT_HEARD,
				       .heard = {.path = path,
						 .boot_id = PEER_ID,
						 .hears_us = true,
						 .beacon = {.domain = 1, .role = ROLE_SECONDARY}}});
}

static void meet(struct leaf *l)
{
	struct message m = {.kind = MESSAGE_HELLO};

	m.hello = (struct hello){.version_min = PROTOCOL_VERSION_MIN,
				 .version_max = PROTOCOL_VERSION_MAX,
				 .domain = 1,
				 .node = l->config.node == 1 ? 2 : 1,
				 .boot_id = PEER_ID,
				 .priority = 100,
				 .system = l->config.system,
				 .system_priority = l->config.system_priority};
	tell(l, (struct event){.kind = EVENT_ROOM, .room = 1 << 20});
	tell(l, (struct event){.kind = EVENT_SESSION_OPENED, .path = 0});
	tell(l, (struct event){.kind = EVENT_MESSAGE, .message = &m});
}

static void peer_leg(struct leaf *l, uint16_t id, enum leg_phase phase, hold_set holds)
{
	struct message m = {.kind = MESSAGE_LEG_STATE};

	m.leg_state = (struct leg_state){
	    .mclag = id, .carrier = !(holds & HOLD_BIT(HOLD_CARRIER)), .phase = phase, .holds = holds};
	tell(l, (struct event){.kind = EVENT_MESSAGE, .message = &m});
}

static void mark(struct leaf *l, enum message_kind kind, uint32_t count, uint64_t digest)
{
	struct message m = {.kind = kind};

	m.mark = (struct table_mark){.generation = 1, .count = count, .digest = digest};
	tell(l, (struct event){.kind = EVENT_MESSAGE, .message = &m});
}

/* The peer tells of an orphan of its own. */
static void peer_table(struct leaf *l)
{
	struct mac_entry entry = {.mac = mac_number(0x501), .vlan = 10};
	struct message m = {.kind = MESSAGE_ENTRIES};

	mark(l, MESSAGE_TABLE_BEGIN, 1, 0);
	m.batch = (struct entry_batch){.generation = 1, .count = 1, .entries = &entry};
	tell(l, (struct event){.kind = EVENT_MESSAGE, .message = &m});
	mark(l, MESSAGE_TABLE_END, 1, entry_hash(&entry));
}

static void host_speaks(struct leaf *l)
{
	struct leg_view v;
	struct event e = {.kind = EVENT_LACPDU};

	domain_leg_view(l->domain, 0, &v);
	e.lacpdu.mclag = HOST;
	e.lacpdu.pdu =
	    (struct lacpdu){.actor = {.system_priority = 1,
				      .system = mac_number(0x99),
				      .key = 7,
				      .port_priority = 1,
				      .port = 1,
				      .state = LACP_ACTIVITY | LACP_TIMEOUT | LACP_AGGREGATION | LACP_SYNC},
			    .partner = v.actor};
	if (v.actor.state & LACP_SYNC)
		e.lacpdu.pdu.actor.state |= LACP_COLLECTING | LACP_DISTRIBUTING;
	tell(l, e);
}

static void learn(struct leaf *l, uint32_t number, struct place place)
{
	tell(l,
	     (struct event){.kind = EVENT_ENTRY, .entry = {mac_number(number), 10, place, SIGHTING_LEARNED}});
}

/* Timers that are due now or soon: table walks, LACP's rate limit. */
static void settle(struct leaf *l, int64_t until)
{
	while (domain_deadline(l->domain).ms <= until) {
		l->s.now = domain_deadline(l->domain);
		heard(l, 0);
		heard(l, 1);
		tell(l, (struct event){.kind = EVENT_TIMER});
	}
	host_speaks(l);
}

/* Node 1 becomes primary, node 2 secondary. */
static struct leaf *healthy(uint8_t node, enum split_policy on_split, size_t paths)
{
	struct leaf *l = calloc(1, sizeof *l);

	assert_non_null(l);
	l->config = config_for(node, mclags, MCLAGS);
	l->config.on_split = on_split;
	l->config.path_count = paths;
	l->s.now.ms = 1000;
	l->domain = domain_create(&l->config, NULL);
	tell(l, (struct event){.kind = EVENT_START});
	tell(l, (struct event){.kind = EVENT_DUMP_BEGIN});
	tell(l, (struct event){.kind = EVENT_DUMP_END});
	carrier(l, PLACE_PEER_LINK, 0, true);
	for (size_t i = 0; i < MCLAGS; i++)
		carrier(l, PLACE_LEG, mclags[i].id, true);
	heard(l, 0);
	heard(l, 1);
	meet(l);
	peer_leg(l, HOST, LEG_FORWARDING, 0);
	peer_leg(l, STATIC, LEG_FORWARDING, 0);
	peer_table(l);
	host_speaks(l);
	settle(l, l->s.now.ms + 1500);
	host_speaks(l);
	learn(l, 0x101, (struct place){.kind = PLACE_LEG, .mclag = HOST});
	learn(l, 0x107, (struct place){.kind = PLACE_LEG, .mclag = STATIC});
	learn(l, 0x109, (struct place){.kind = PLACE_LEG, .mclag = LONELY});
	learn(l, 0x301, (struct place){.kind = PLACE_ORPHAN, .port = 3});
	settle(l, l->s.now.ms + 10);
	return l;
}

static void leaf_free(struct leaf *l)
{
	domain_destroy(l->domain);
	step_release(&l->s);
	free(l);
}

/* --- looking ----------------------------------------------------------------------------------------- */

static const struct whatif_mclag *of(const struct whatif_answer *a, uint16_t id)
{
	for (size_t i = 0; i < a->mclag_count; i++)
		if (a->mclags[i].id == id)
			return &a->mclags[i];
	fail_msg("no mclag %u", id);
	abort();
}

static void assert_legs(const struct whatif_answer *a, uint16_t id, const char *here, const char *peer)
{
	const struct whatif_mclag *m = of(a, id);

	assert_string_equal(m->here[WHATIF_AFTER].known ? leg_phase_name(m->here[WHATIF_AFTER].phase) : "-",
			    here);
	assert_string_equal(m->peer[WHATIF_AFTER].known ? leg_phase_name(m->peer[WHATIF_AFTER].phase) : "-",
			    peer);
}

static void assert_outage(const struct whatif_answer *a, uint16_t id, enum outage_kind kind, int64_t min_ms,
			  int64_t max_ms)
{
	const struct outage *o = &of(a, id)->outage;

	assert_string_equal(outage_kind_name(o->kind), outage_kind_name(kind));
	assert_int_equal(o->min_ms, min_ms);
	assert_int_equal(o->max_ms, max_ms);
}

/* What the core has put into the switch by then is what the ways say. */
static void assert_programmed(const struct leaf *l, const struct whatif_answer *a)
{
	uint32_t legs = 0, ways = 0;
	struct mac_view v;

	for (size_t cursor = 0; domain_mac_next(l->domain, &cursor, &v);)
		legs += v.programmed.kind == PLACE_LEG;
	for (int way = 0; way < WAY_COUNT; way++)
		ways += a->ways[way][WAY_LEG];
	assert_int_equal(legs, ways);
}

static struct whatif_answer asked(struct leaf *l, enum question question, uint16_t id)
{
	const struct whatif_ask ask = {.question = question, .mclag = id, .rtt_ms = 2};
	struct whatif_answer a;

	assert_int_equal(whatif_ask(l->domain, l->s.now, &ask, &a), 0);
	if (question != QUESTION_SELF_DOWN)
		assert_programmed(l, &a);
	return a;
}

/* --- healthy ----------------------------------------------------------------------------------------- */

static void the_pair(void **state)
{
	struct leaf *l = healthy(1, SPLIT_ARBITRATE, 2);
	struct domain_view v;
	struct leg_view leg;

	(void)state;
	domain_view(l->domain, &v);
	assert_string_equal(verdict_name(v.verdict), "alive");
	assert_string_equal(role_name(v.role), "primary");
	assert_string_equal(session_state_name(v.session), "up");
	assert_true(v.peer_link_open);
	for (size_t i = 0; i < MCLAGS; i++) {
		domain_leg_view(l->domain, i, &leg);
		assert_string_equal(leg_phase_name(leg.phase), "forwarding");
	}
	leaf_free(l);
}

static void leg_down(void **state)
{
	struct leaf *l = healthy(1, SPLIT_ARBITRATE, 2);
	struct whatif_answer a = asked(l, QUESTION_LEG_DOWN, HOST);

	(void)state;
	assert_legs(&a, HOST, "held", "forwarding");
	assert_true(of(&a, HOST)->here[WHATIF_AFTER].holds & HOLD_BIT(HOLD_CARRIER));
	assert_outage(&a, HOST, OUTAGE_MESSAGE, 0, 2);
	assert_legs(&a, STATIC, "forwarding", "forwarding");
	assert_outage(&a, STATIC, OUTAGE_NONE, 0, 0);
	assert_int_equal(a.ways[WAY_LEG][WAY_PEER_LINK], 1);
	assert_int_equal(a.ways[WAY_LEG][WAY_LEG], 2);
	assert_int_equal(a.ways[WAY_ORPHAN][WAY_ORPHAN], 1);
	assert_int_equal(a.ways[WAY_PEER_LINK][WAY_PEER_LINK], 1);
	assert_true(a.rewritten > 0);
	assert_int_equal(a.orphans_cut, 0);
	assert_int_equal(a.outage.kind, OUTAGE_MESSAGE);
	assert_false(a.assumptions & 1u << ASSUME_UNSETTLED);
	whatif_release(&a);
	leaf_free(l);
}

/* Only this leaf has it: the host is cut. */
static void last_leg_down(void **state)
{
	struct leaf *l = healthy(1, SPLIT_ARBITRATE, 2);
	struct whatif_answer a = asked(l, QUESTION_LEG_DOWN, LONELY);

	(void)state;
	assert_true(of(&a, LONELY)->single);
	assert_outage(&a, LONELY, OUTAGE_CUT, 0, -1);
	assert_int_equal(a.outage.kind, OUTAGE_CUT);
	assert_int_equal(a.ways[WAY_LEG][WAY_NONE], 1);
	whatif_release(&a);
	leaf_free(l);
}

static void unknown_leg(void **state)
{
	struct leaf *l = healthy(1, SPLIT_ARBITRATE, 2);
	const struct whatif_ask ask = {.question = QUESTION_LEG_DOWN, .mclag = 8};
	struct whatif_answer a = {.virtual_ms = 77};

	(void)state;
	assert_int_equal(whatif_ask(l->domain, l->s.now, &ask, &a), -ENOENT);
	assert_int_equal(a.virtual_ms, 77);
	leaf_free(l);
}

static void peer_link_down_primary(void **state)
{
	struct leaf *l = healthy(1, SPLIT_ARBITRATE, 2);
	struct whatif_answer a = asked(l, QUESTION_PEER_LINK_DOWN, 0);

	(void)state;
	assert_int_equal(a.pair[WHATIF_AFTER].verdict, VERDICT_ALIVE);
	assert_int_equal(a.pair[WHATIF_AFTER].role, ROLE_PRIMARY);
	assert_int_equal(a.pair[WHATIF_AFTER].session, SESSION_UP);
	assert_int_equal(a.pair[WHATIF_BEFORE].session_path, 0);
	assert_int_equal(a.pair[WHATIF_AFTER].session_path, 1);
	assert_true(a.pair[WHATIF_BEFORE].peer_link);
	assert_false(a.pair[WHATIF_AFTER].peer_link);
	assert_legs(&a, HOST, "forwarding", "held");
	assert_legs(&a, STATIC, "forwarding", "held");
	assert_legs(&a, LONELY, "forwarding", "-");
	assert_int_equal(of(&a, HOST)->peer[WHATIF_AFTER].holds, HOLD_BIT(HOLD_PEER_LINK));
	assert_outage(&a, HOST, OUTAGE_ORDER, 0, 3000);
	assert_outage(&a, STATIC, OUTAGE_ORDER, 0, 2);
	assert_int_equal(a.ways[WAY_PEER_LINK][WAY_NONE], 1);
	assert_int_equal(a.orphans_cut, 1); /* the peer's: none of its legs carries data then */
	assert_false(a.cut[0].here);
	assert_true(mac_equal(a.cut[0].mac, mac_number(0x501)));
	whatif_release(&a);
	leaf_free(l);
}

static void peer_link_down_secondary(void **state)
{
	struct leaf *l = healthy(2, SPLIT_ARBITRATE, 2);
	struct whatif_answer a = asked(l, QUESTION_PEER_LINK_DOWN, 0);

	(void)state;
	assert_int_equal(a.pair[WHATIF_AFTER].role, ROLE_SECONDARY);
	assert_legs(&a, HOST, "held", "forwarding");
	assert_legs(&a, STATIC, "held", "forwarding");
	assert_true(of(&a, HOST)->here[WHATIF_AFTER].holds & HOLD_BIT(HOLD_PEER_LINK));
	/* A leg that the peer does not have is kept; so our orphan is not cut from everybody. */
	assert_legs(&a, LONELY, "forwarding", "-");
	assert_int_equal(a.orphans_cut, 0);
	whatif_release(&a);
	leaf_free(l);
}

/* Without a second path nobody can tell a cut cable from a dead peer. */
static void peer_link_down_without_backup(void **state)
{
	static const struct {
		uint8_t node;
		enum split_policy policy;
		const char *here, *peer;
		bool arbitrates;
	} cases[] = {
	    {1, SPLIT_ARBITRATE, "forwarding", "held", false},
	    {1, SPLIT_STAY, "forwarding", "forwarding", false},
	    {2, SPLIT_ARBITRATE, "held", "forwarding", true},
	    {2, SPLIT_STAY, "forwarding", "forwarding", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct leaf *l = healthy(cases[i].node, cases[i].policy, 1);
		struct whatif_answer a = asked(l, QUESTION_PEER_LINK_DOWN, 0);

		assert_int_equal(a.pair[WHATIF_AFTER].verdict, VERDICT_SPLIT);
		assert_int_equal(a.pair[WHATIF_AFTER].arbitrating, cases[i].arbitrates);
		assert_legs(&a, HOST, cases[i].here, cases[i].peer);
		whatif_release(&a);
		leaf_free(l);
	}
}

static void backup_down(void **state)
{
	struct leaf *l = healthy(2, SPLIT_ARBITRATE, 2);
	struct whatif_answer a = asked(l, QUESTION_BACKUP_DOWN, 0);

	(void)state;
	assert_int_equal(a.pair[WHATIF_AFTER].verdict, VERDICT_ALIVE);
	assert_int_equal(a.pair[WHATIF_AFTER].session_path, 0);
	assert_legs(&a, HOST, "forwarding", "forwarding");
	assert_int_equal(a.outage.kind, OUTAGE_NONE);
	assert_int_equal(a.rewritten, 0);
	whatif_release(&a);
	leaf_free(l);
}

static void peer_dead(void **state)
{
	(void)state;
	for (uint8_t node = 1; node <= 2; node++) {
		struct leaf *l = healthy(node, SPLIT_ARBITRATE, 2);
		struct whatif_answer a = asked(l, QUESTION_PEER_DEAD, 0);

		assert_int_equal(a.pair[WHATIF_AFTER].verdict, VERDICT_GONE);
		assert_int_equal(a.pair[WHATIF_AFTER].role, ROLE_PRIMARY);
		assert_int_equal(a.pair[WHATIF_AFTER].session, SESSION_DOWN);
		assert_int_equal(a.pair[WHATIF_AFTER].session_path, PATH_NONE);
		assert_legs(&a, HOST, "forwarding", "-");
		assert_outage(&a, HOST, OUTAGE_HOST, 0, 0);
		assert_outage(&a, LONELY, OUTAGE_NONE, 0, 0);
		assert_int_equal(a.ways[WAY_PEER_LINK][WAY_NONE], 1);
		assert_int_equal(a.orphans_cut, 1);
		assert_false(a.cut[0].here);
		whatif_release(&a);
		leaf_free(l);
	}
}

static void self_down(void **state)
{
	struct leaf *l = healthy(1, SPLIT_ARBITRATE, 2);
	struct whatif_answer a = asked(l, QUESTION_SELF_DOWN, 0);

	(void)state;
	assert_int_equal(a.pair[WHATIF_AFTER].verdict, VERDICT_GONE);
	assert_int_equal(a.pair[WHATIF_AFTER].role, ROLE_PRIMARY); /* the peer's */
	assert_legs(&a, HOST, "-", "forwarding");
	assert_outage(&a, HOST, OUTAGE_HOST, 0, 0);
	assert_outage(&a, LONELY, OUTAGE_CUT, 0, -1);
	assert_int_equal(a.ways[WAY_ORPHAN][WAY_NONE], 1);
	assert_int_equal(a.ways[WAY_PEER_LINK][WAY_ORPHAN], 1);
	assert_int_equal(a.ways[WAY_LEG][WAY_LEG], 2);
	assert_int_equal(a.ways[WAY_LEG][WAY_NONE], 1);
	assert_int_equal(a.orphans_cut, 1);
	assert_true(a.cut[0].here);
	assert_true(a.assumptions & 1u << ASSUME_MIRROR);
	whatif_release(&a);
	leaf_free(l);
}

/* --- degraded ---------------------------------------------------------------------------------------- */

/* The peer's leg is lost already: the local one is the last. */
static void second_leg_down(void **state)
{
	struct leaf *l = healthy(1, SPLIT_ARBITRATE, 2);

	(void)state;
	peer_leg(l, HOST, LEG_HELD, HOLD_BIT(HOLD_CARRIER) | HOLD_BIT(HOLD_PARTNER));
	struct whatif_answer a = asked(l, QUESTION_LEG_DOWN, HOST);

	assert_outage(&a, HOST, OUTAGE_CUT, 0, -1);
	assert_true(of(&a, HOST)->single);
	whatif_release(&a);
	leaf_free(l);
}

/* Our own leg is lost: the peer's death cuts the host. */
static void peer_dead_with_a_leg_lost(void **state)
{
	struct leaf *l = healthy(1, SPLIT_ARBITRATE, 2);

	(void)state;
	carrier(l, PLACE_LEG, STATIC, false);
	settle(l, l->s.now.ms + 10);
	struct whatif_answer a = asked(l, QUESTION_PEER_DEAD, 0);

	assert_outage(&a, STATIC, OUTAGE_CUT, 0, -1);
	assert_outage(&a, HOST, OUTAGE_HOST, 0, 0);
	assert_int_equal(a.ways[WAY_PEER_LINK][WAY_NONE], 2); /* the orphan and the host's */
	whatif_release(&a);
	leaf_free(l);
}

static void lose_peer_link(struct leaf *l)
{
	int64_t end = l->s.now.ms + 5000;

	carrier(l, PLACE_PEER_LINK, 0, false);
	heard(l, 1);
	while (l->s.now.ms < end) {
		l->s.now.ms += 50;
		heard(l, 1);
		mark(l, MESSAGE_DIGEST, 1,
		     entry_hash(&(struct mac_entry){.mac = mac_number(0x501), .vlan = 10}));
		host_speaks(l);
		if (msec_reached(l->s.now, domain_deadline(l->domain)))
			tell(l, (struct event){.kind = EVENT_TIMER});
	}
}

/* The secondary's legs are held without the peer link. Then the last path falls, or the primary dies, which
 * looks the same: it opens under its own system id; a living primary keeps its hosts. */
static void backup_down_without_peer_link(void **state)
{
	struct leaf *l = healthy(2, SPLIT_ARBITRATE, 2);

	(void)state;
	lose_peer_link(l);
	struct whatif_answer a = asked(l, QUESTION_BACKUP_DOWN, 0);

	assert_string_equal(leg_phase_name(of(&a, HOST)->here[WHATIF_BEFORE].phase), "held");
	assert_int_equal(a.pair[WHATIF_AFTER].verdict, VERDICT_SPLIT);
	assert_true(a.pair[WHATIF_AFTER].arbitrating);
	assert_legs(&a, HOST, "held", "forwarding");
	assert_true(a.assumptions & 1u << ASSUME_CHOICE);
	whatif_release(&a);
	leaf_free(l);
}

static void primary_dies_without_peer_link(void **state)
{
	struct leaf *l = healthy(2, SPLIT_ARBITRATE, 2);
	const int64_t detection = l->config.keepalive_ms * l->config.multiplier;

	(void)state;
	lose_peer_link(l);
	struct whatif_answer a = asked(l, QUESTION_PEER_DEAD, 0);

	assert_int_equal(a.pair[WHATIF_AFTER].verdict, VERDICT_SPLIT);
	assert_legs(&a, HOST, "forwarding", "-");
	assert_legs(&a, STATIC, "forwarding", "-");
	assert_outage(&a, STATIC, OUTAGE_DETECTION, detection - l->config.keepalive_ms, detection + 2);
	assert_string_equal(outage_kind_name(of(&a, HOST)->outage.kind), "detection");
	assert_true(of(&a, HOST)->outage.min_ms >= detection - l->config.keepalive_ms);
	assert_true(of(&a, HOST)->outage.max_ms < detection + 3000);
	whatif_release(&a);
	leaf_free(l);
}

/* The peer, secondary, holds its leg while ours serves: it takes over when ours goes. */
static void leg_down_without_peer_link(void **state)
{
	struct leaf *l = healthy(1, SPLIT_ARBITRATE, 2);

	(void)state;
	lose_peer_link(l);
	peer_leg(l, HOST, LEG_HELD, HOLD_BIT(HOLD_PEER_LINK) | HOLD_BIT(HOLD_GRANT));
	struct whatif_answer a = asked(l, QUESTION_LEG_DOWN, HOST);

	assert_legs(&a, HOST, "held", "forwarding");
	assert_outage(&a, HOST, OUTAGE_MESSAGE, 0, 4);
	whatif_release(&a);
	leaf_free(l);
}

/* Nobody is there to take over. */
static void alone(void **state)
{
	static const enum question questions[] = {QUESTION_LEG_DOWN, QUESTION_PEER_LINK_DOWN,
						  QUESTION_BACKUP_DOWN, QUESTION_PEER_DEAD,
						  QUESTION_SELF_DOWN};

	(void)state;
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		struct leaf *l = calloc(1, sizeof *l);

		assert_non_null(l);
		l->config = config_for(1, mclags, MCLAGS);
		l->s.now.ms = 1000;
		l->domain = domain_create(&l->config, NULL);
		tell(l, (struct event){.kind = EVENT_START});
		carrier(l, PLACE_LEG, STATIC, true);
		l->s.now.ms += l->config.alone_ms;
		tell(l, (struct event){.kind = EVENT_TIMER});
		struct whatif_answer a = asked(l, questions[i], STATIC);
		bool cut = questions[i] == QUESTION_LEG_DOWN || questions[i] == QUESTION_SELF_DOWN;

		assert_string_equal(leg_phase_name(of(&a, STATIC)->here[WHATIF_BEFORE].phase), "forwarding");
		assert_int_equal(of(&a, STATIC)->outage.kind, cut ? OUTAGE_CUT : OUTAGE_NONE);
		assert_int_equal(of(&a, HOST)->outage.kind, OUTAGE_UNSERVED);
		assert_true(a.assumptions & 1u << ASSUME_PEER_UNHEARD);
		whatif_release(&a);
		leaf_free(l);
	}
}

/* --- the original ------------------------------------------------------------------------------------- */

/* A digest over everything the views say, and over what further steps decide. */
static uint64_t fingerprint(struct leaf *l)
{
	struct domain_view v;
	struct leg_view leg;
	struct mac_view mac;
	uint64_t sum = 0xcbf29ce484222325u;
	char text[256];
#define MIX(...)                                                                                             \
	do {                                                                                                 \
		snprintf(text, sizeof(text), __VA_ARGS__);                                                   \
		for (const char *c = text; *c; c++)                                                          \
			sum = (sum ^ (uint8_t)*c) * 0x100000001b3u;                                          \
	} while (0)

	domain_view(l->domain, &v);
	MIX("%d %d %d %d %d %d %u", v.verdict, v.role, v.session, v.session_path, v.peer_link_open,
	    v.arbitrating, v.macs.programmed);
	for (size_t i = 0; i < v.mclag_count; i++) {
		domain_leg_view(l->domain, i, &leg);
		MIX("%u %d %u %lld %d", leg.id, leg.phase, leg.holds, (long long)leg.since.ms, leg.isolated);
	}
	for (size_t cursor = 0; domain_mac_next(l->domain, &cursor, &mac);)
		MIX("%d %d %d", mac.place.kind, mac.programmed.kind, mac.local);
	for (int i = 0; i < 20; i++) {
		l->s.now.ms += 100;
		step_at(&l->s, l->s.now.ms);
		domain_step(l->domain, &l->s, &(struct event){.kind = EVENT_TIMER});
		for (size_t t = 0; t < l->s.trace_count; t++)
			MIX("%s", l->s.traces[t].text);
		MIX("%zu %lld", l->s.action_count, (long long)domain_deadline(l->domain).ms);
	}
#undef MIX
	return sum;
}

/* A question asked in a copy leaves the original, and all it does afterwards, as if nobody had asked. */
static void original_untouched(void **state)
{
	struct leaf *asked_leaf = healthy(1, SPLIT_ARBITRATE, 2), *other = healthy(1, SPLIT_ARBITRATE, 2);
	int status;

	(void)state;
	for (int q = 0; q < QUESTION_COUNT; q++) {
		const struct whatif_ask ask = {.question = (enum question)q, .mclag = HOST, .rtt_ms = 2};
		pid_t copy = fork();

		assert_true(copy >= 0);
		if (copy == 0) {
			struct whatif_answer a;

			_exit(whatif_ask(asked_leaf->domain, asked_leaf->s.now, &ask, &a) == 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(copy, &status, 0), copy);
		assert_int_equal(status, 0);
	}
	assert_int_equal(fingerprint(asked_leaf), fingerprint(other));
	leaf_free(asked_leaf);
	leaf_free(other);
}

/* The same state and question, the same answer. */
static void deterministic(void **state)
{
	(void)state;
	for (int q = 0; q < QUESTION_COUNT; q++) {
		struct leaf *l = healthy(2, SPLIT_ARBITRATE, 2), *k = healthy(2, SPLIT_ARBITRATE, 2);
		struct whatif_answer a = asked(l, (enum question)q, HOST),
				     b = asked(k, (enum question)q, HOST);

		assert_memory_equal(a.ways, b.ways, sizeof a.ways);
		assert_int_equal(a.rewritten, b.rewritten);
		assert_int_equal(a.outage.max_ms, b.outage.max_ms);
		assert_int_equal(fingerprint(l), fingerprint(k));
		whatif_release(&a);
		whatif_release(&b);
		leaf_free(l);
		leaf_free(k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_pair),
	    cmocka_unit_test(leg_down),
	    cmocka_unit_test(last_leg_down),
	    cmocka_unit_test(unknown_leg),
	    cmocka_unit_test(peer_link_down_primary),
	    cmocka_unit_test(peer_link_down_secondary),
	    cmocka_unit_test(peer_link_down_without_backup),
	    cmocka_unit_test(backup_down),
	    cmocka_unit_test(peer_dead),
	    cmocka_unit_test(self_down),
	    cmocka_unit_test(second_leg_down),
	    cmocka_unit_test(peer_dead_with_a_leg_lost),
	    cmocka_unit_test(backup_down_without_peer_link),
	    cmocka_unit_test(primary_dies_without_peer_link),
	    cmocka_unit_test(leg_down_without_peer_link),
	    cmocka_unit_test(alone),
	    cmocka_unit_test(original_untouched),
	    cmocka_unit_test(deterministic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
