/* SPDX-License-Identifier: ISC */
/*
 * Two replicas joined by a queue of messages that can be slow, and a plain table as each leaf's switch: what
 * one switch sees, the other holds; nothing is lost while one sees it, nothing stays when none does.
 */
#include "core/replica.h"

#include <stdlib.h>

#include "core_test.h"

#define KEYS 64
#define WIRE 4096

static const struct mclag_config mclags[] = {{.id = 1}, {.id = 2}, {.id = 3}};

struct fake_switch {
	struct place at[KEYS]; /* PLACE_NONE = absent */
	bool ours[KEYS];       /* programmed, else learned by the switch */
};

struct leaf {
	struct replica r;
	struct step s;
	struct fake_switch sw;
	struct message wire[WIRE]; /* towards the other leaf */
	size_t head, tail;
};

struct pair_fixture {
	struct leaf leaf[2];
	int64_t now;
};

static uint64_t key_of(struct mac m)
{
	return mac_to_u64(m) & 0xffff;
}

/* Performs the actions as a switch and a transport would. */
static void perform(struct leaf *l)
{
	for (size_t i = 0; i < l->s.action_count; i++) {
		struct action *a = &l->s.actions[i];

		if (a->kind == ACTION_SEND) {
			l->wire[l->tail % WIRE] = a->message;
			l->tail++;
			assert_true(l->tail - l->head < WIRE);
			a->kind = ACTION_PROBE; /* the wire owns the message now */
		} else if (a->kind == ACTION_PROGRAM) {
			uint64_t k = key_of(a->program.mac);

			if (k >= KEYS)
				continue;
			l->sw.at[k] = a->program.place;
			l->sw.ours[k] = a->program.place.kind != PLACE_ORPHAN;
		} else if (a->kind == ACTION_UNPROGRAM) {
			uint64_t k = key_of(a->program.mac);

			assert_true(k < KEYS && l->sw.ours[k]); /* never what the switch learned by itself */
			l->sw.at[k] = (struct place){0};
		}
	}
	step_clear(&l->s);
}

static void begin(struct pair_fixture *f, uint32_t limit)
{
	memset(f, 0, sizeof *f);
	for (uint8_t n = 0; n < 2; n++) {
		struct domain_config c = config_for((uint8_t)(n + 1), mclags, 3);

		c.entry_limit = limit;
		replica_init(&f->leaf[n].r, &c);
		replica_start(&f->leaf[n].r, &f->leaf[n].s);
		for (uint16_t id = 1; id <= 3; id++)
			replica_leg(&f->leaf[n].r, &f->leaf[n].s, id, true, true);
	}
}

static void end(struct pair_fixture *f)
{
	for (int n = 0; n < 2; n++) {
		struct leaf *l = &f->leaf[n];

		for (; l->head < l->tail; l->head++)
			message_clear(&l->wire[l->head % WIRE]);
		replica_release(&l->r);
		step_release(&l->s);
	}
}

static void connect(struct pair_fixture *f)
{
	for (int n = 0; n < 2; n++) {
		struct leaf *l = &f->leaf[n];

		replica_session_start(&l->r, &l->s, mac_number(0xb1u + (1u - (unsigned)n)));
		perform(l);
	}
}

static void disconnect(struct pair_fixture *f)
{
	for (int n = 0; n < 2; n++) {
		struct leaf *l = &f->leaf[n];

		for (; l->head < l->tail; l->head++)
			message_clear(&l->wire[l->head % WIRE]);
		replica_session_end(&l->r, &l->s);
		perform(l);
	}
}

static void deliver_one(struct pair_fixture *f, int from)
{
	struct leaf *l = &f->leaf[from], *to = &f->leaf[1 - from];
	struct message *m;

	if (l->head == l->tail)
		return;
	m = &l->wire[l->head++ % WIRE];
	switch (m->kind) {
	case MESSAGE_TABLE_BEGIN:
		replica_table_begin(&to->r, &to->s, &m->mark);
		break;
	case MESSAGE_ENTRIES:
	case MESSAGE_UPDATE:
		replica_batch(&to->r, &to->s, &m->batch);
		break;
	case MESSAGE_TABLE_END:
		replica_table_end(&to->r, &to->s, &m->mark);
		break;
	case MESSAGE_TABLE_ACK:
		replica_table_ack(&to->r, &to->s, &m->ack);
		break;
	case MESSAGE_DIGEST:
		replica_digest(&to->r, &to->s, &m->mark);
		break;
	case MESSAGE_HELLO:
	case MESSAGE_LEG_STATE:
	case MESSAGE_LEG_REQUEST:
	case MESSAGE_LEG_GRANT:
	case MESSAGE_GOODBYE:
	case MESSAGE_KIND_COUNT:
		fail();
	}
	message_clear(m);
	perform(to);
}

static void turn(struct leaf *l, size_t room)
{
	replica_timer(&l->r, &l->s);
	replica_pump(&l->r, &l->s, &room);
	perform(l);
}

static void settle(struct pair_fixture *f)
{
	for (int i = 0; i < 200; i++) {
		f->now += 100;
		for (int n = 0; n < 2; n++) {
			f->leaf[n].s.now = (struct msec){f->now};
			turn(&f->leaf[n], 1 << 20);
			while (f->leaf[n].head < f->leaf[n].tail)
				deliver_one(f, n);
		}
	}
}

static void sight(struct pair_fixture *f, int n, unsigned k, struct place place, enum sighting what)
{
	struct leaf *l = &f->leaf[n];
	struct entry_event e = {.mac = mac_number(k), .place = place, .sighting = what};

	if (what == SIGHTING_LEARNED) {
		l->sw.at[k] = place;
		l->sw.ours[k] = false;
	} else if (what == SIGHTING_GONE) {
		l->sw.at[k] = (struct place){0};
	}
	l->s.now = (struct msec){f->now};
	replica_sighting(&l->r, &l->s, &e);
	perform(l);
}

static struct place leg(uint16_t id)
{
	return (struct place){.kind = PLACE_LEG, .mclag = id};
}

static const struct place orphan = {.kind = PLACE_ORPHAN, .port = 33};

static void assert_in_step(const struct pair_fixture *f)
{
	const struct replica *a = &f->leaf[0].r, *b = &f->leaf[1].r;

	assert_true(a->synced && a->peer_synced && b->synced && b->peer_synced);
	assert_int_equal(a->sent_count, b->received_count);
	assert_int_equal(b->sent_count, a->received_count);
	assert_true(a->sent_digest == b->received_digest && b->sent_digest == a->received_digest);
	assert_int_equal(a->queued + b->queued, 0);
}

static void learned_here_stands_there(void **state)
{
	struct pair_fixture *f = calloc(1, sizeof *f);

	(void)state;
	begin(f, 1000);
	sight(f, 0, 1, leg(1), SIGHTING_LEARNED); /* before the session: in the snapshot */
	connect(f);
	sight(f, 0, 2, leg(2), SIGHTING_LEARNED);
	sight(f, 0, 3, orphan, SIGHTING_LEARNED);
	settle(f);
	assert_in_step(f);
	assert_int_equal(f->leaf[0].sw.at[1].kind, PLACE_LEG); /* made ours: a lost carrier cannot flush it */
	assert_true(f->leaf[0].sw.ours[1]);
	assert_false(f->leaf[0].sw.ours[3]); /* an orphan's stays the switch's own */
	assert_int_equal(f->leaf[1].sw.at[1].mclag, 1);
	assert_int_equal(f->leaf[1].sw.at[2].mclag, 2);
	assert_int_equal(f->leaf[1].sw.at[3].kind, PLACE_PEER_LINK);
	end(f);
	free(f);
}

static void ages_only_when_neither_sees_it(void **state)
{
	struct pair_fixture *f = calloc(1, sizeof *f);

	(void)state;
	begin(f, 1000);
	connect(f);
	sight(f, 0, 1, leg(1), SIGHTING_LEARNED);
	settle(f);
	sight(f, 1, 1, leg(1), SIGHTING_ACTIVE); /* a flow hashed to the other leaf */
	settle(f);
	sight(f, 0, 1, leg(1), SIGHTING_INACTIVE);
	settle(f);
	assert_int_equal(f->leaf[0].sw.at[1].kind, PLACE_LEG);
	sight(f, 1, 1, leg(1), SIGHTING_INACTIVE);
	settle(f);
	assert_int_equal(f->leaf[0].sw.at[1].kind, PLACE_NONE);
	assert_int_equal(f->leaf[1].sw.at[1].kind, PLACE_NONE);
	assert_int_equal(f->leaf[0].r.table.count + f->leaf[1].r.table.count,
			 2); /* both leaves' `via` remain */
	end(f);
	free(f);
}

static void closed_leg_moves_entries_to_the_peer_link_and_back(void **state)
{
	struct pair_fixture *f = calloc(1, sizeof *f);
	struct leaf *l = &f->leaf[0];

	(void)state;
	begin(f, 1000);
	connect(f);
	sight(f, 0, 1, leg(1), SIGHTING_LEARNED);
	settle(f);
	replica_leg(&l->r, &l->s, 1, false, false);
	settle(f);
	assert_int_equal(l->sw.at[1].kind, PLACE_PEER_LINK);
	assert_int_equal(f->leaf[1].sw.at[1].kind, PLACE_LEG);
	replica_leg(&l->r, &l->s, 1, true, true);
	settle(f);
	assert_int_equal(l->sw.at[1].kind, PLACE_LEG);
	/* closed for longer than the ageing time: we have no word to say about it any more */
	replica_leg(&l->r, &l->s, 1, false, false);
	f->now += 300001;
	settle(f);
	assert_int_equal(f->leaf[1].sw.at[1].kind, PLACE_NONE);
	end(f);
	free(f);
}

static void moves_follow_the_owner(void **state)
{
	struct pair_fixture *f = calloc(1, sizeof *f);

	(void)state;
	begin(f, 1000);
	connect(f);
	sight(f, 0, 1, leg(1), SIGHTING_LEARNED);
	settle(f);
	sight(f, 1, 1, orphan, SIGHTING_LEARNED); /* moved behind the other leaf's orphan port */
	settle(f);
	assert_in_step(f);
	assert_int_equal(f->leaf[0].sw.at[1].kind, PLACE_PEER_LINK);
	assert_false(f->leaf[1].sw.ours[1]);
	sight(f, 0, 1, leg(3), SIGHTING_LEARNED); /* and to another mclag */
	settle(f);
	assert_int_equal(f->leaf[0].sw.at[1].mclag, 3);
	assert_int_equal(f->leaf[1].sw.at[1].mclag, 3);
	end(f);
	free(f);
}

static void broken_copy_is_repaired(void **state)
{
	struct pair_fixture *f = calloc(1, sizeof *f);
	struct replica *b = &f->leaf[1].r;

	(void)state;
	begin(f, 1000);
	connect(f);
	for (unsigned k = 1; k < 20; k++)
		sight(f, 0, k, leg(1), SIGHTING_LEARNED);
	settle(f);
	b->received_digest ^= 1; /* as if an entry had been lost */
	replica_send_digest(&f->leaf[0].r, &f->leaf[0].s);
	perform(&f->leaf[0]);
	deliver_one(f, 0);
	assert_false(b->synced);
	settle(f);
	assert_in_step(f);
	assert_int_equal(f->leaf[0].r.repairs + b->repairs, 2);
	end(f);
	free(f);
}

static void limit_refuses_and_counts(void **state)
{
	struct pair_fixture *f = calloc(1, sizeof *f);

	(void)state;
	begin(f, 10);
	connect(f);
	for (unsigned k = 1; k < 30; k++)
		sight(f, 0, k, leg(1), SIGHTING_LEARNED);
	settle(f);
	assert_int_equal(f->leaf[1].r.peer_count, 10);
	assert_int_equal(f->leaf[1].r.refused, 19);
	assert_true(f->leaf[1].r.synced); /* no repair can help */
	end(f);
	free(f);
}

static void slow_peer_costs_no_memory(void **state)
{
	struct pair_fixture *f = calloc(1, sizeof *f);

	(void)state;
	begin(f, 1000);
	connect(f);
	settle(f);
	for (unsigned i = 0; i < 10000;
	     i++) /* the peer does not read: one change waits, however often it changes */
		sight(f, 0, 1, leg((uint16_t)(1 + i % 3)), SIGHTING_LEARNED);
	assert_int_equal(f->leaf[0].r.queued, 1);
	settle(f);
	assert_in_step(f);
	assert_int_equal(f->leaf[1].sw.at[1].mclag, 1 + 9999 % 3);
	end(f);
	free(f);
}

static void restart_deletes_nothing_valid(void **state)
{
	struct pair_fixture *f = calloc(1, sizeof *f);
	struct leaf *l = &f->leaf[1];
	struct domain_config c = config_for(2, mclags, 3);

	(void)state;
	begin(f, 1000);
	connect(f);
	for (unsigned k = 1; k < 20; k++)
		sight(f, 0, k, leg(1), SIGHTING_LEARNED);
	settle(f);
	disconnect(f);
	replica_release(&l->r); /* the daemon dies, its switch lives on */
	replica_init(&l->r, &c);
	replica_start(&l->r, &l->s);
	for (uint16_t id = 1; id <= 3; id++)
		replica_leg(&l->r, &l->s, id, true, true);
	replica_dump_begin(&l->r, &l->s);
	for (unsigned k = 1; k < 20; k++)
		sight(f, 1, k, leg(1), SIGHTING_INACTIVE);
	sight(f, 1, 40, leg(2), SIGHTING_INACTIVE); /* nobody claims this one */
	l->sw.at[40] = leg(2);
	l->sw.ours[40] = true;
	replica_dump_end(&l->r, &l->s);
	perform(l);
	turn(l, 0);
	assert_int_equal(l->sw.at[5].kind, PLACE_LEG);
	connect(f);
	settle(f);
	assert_in_step(f);
	for (unsigned k = 1; k < 20; k++)
		assert_int_equal(l->sw.at[k].kind, PLACE_LEG);
	assert_int_equal(l->sw.at[40].kind, PLACE_NONE);
	end(f);
	free(f);
}

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static struct place random_place(uint64_t *x)
{
	uint64_t r = next(x) % 5;

	return r < 3 ? leg((uint16_t)(r + 1)) : (struct place){.kind = PLACE_ORPHAN, .port = (int32_t)r};
}

static void random_happening(struct pair_fixture *f, uint64_t *x)
{
	int n = (int)(next(x) % 2);
	struct leaf *l = &f->leaf[n];
	unsigned k = 1 + (unsigned)(next(x) % (KEYS - 1));

	switch (next(x) % 12) {
	case 0:
		if (l->sw.at[k].kind == PLACE_LEG && l->sw.ours[k])
			sight(f, n, k, l->sw.at[k], SIGHTING_INACTIVE);
		break;
	case 1:
		if (l->sw.at[k].kind == PLACE_ORPHAN)
			sight(f, n, k, l->sw.at[k], SIGHTING_GONE);
		break;
	case 2:
		disconnect(f);
		connect(f);
		break;
	case 3:
		replica_leg(&l->r, &l->s, (uint16_t)(1 + next(x) % 3), next(x) % 2, true);
		perform(l);
		break;
	case 4:
	case 5:
		turn(l, (size_t)(next(x) % 3) * REPLICA_BATCH_BYTES);
		break;
	case 6:
	case 7:
	case 8:
		deliver_one(f, n);
		break;
	default:
		sight(f, n, k, random_place(x), SIGHTING_LEARNED);
		break;
	}
	f->now++;
}

static void random_walk_ends_in_step(void **state)
{
	struct pair_fixture *f = calloc(1, sizeof *f);

	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		uint64_t x = seed * 0x9e3779b97f4a7c15u;

		begin(f, 1000);
		connect(f);
		for (int i = 0; i < 1500; i++)
			random_happening(f, &x);
		for (uint16_t id = 1; id <= 3; id++) {
			replica_leg(&f->leaf[0].r, &f->leaf[0].s, id, true, true);
			replica_leg(&f->leaf[1].r, &f->leaf[1].s, id, true, true);
		}
		settle(f);
		assert_in_step(f);
		for (unsigned k = 1; k < KEYS; k++) { /* both switches point the same way */
			const struct place *a = &f->leaf[0].sw.at[k], *b = &f->leaf[1].sw.at[k];

			if (a->kind == PLACE_LEG || b->kind == PLACE_LEG)
				assert_true(a->kind == b->kind && a->mclag == b->mclag);
			if (a->kind == PLACE_PEER_LINK)
				assert_int_equal(b->kind, PLACE_ORPHAN);
			if (b->kind == PLACE_PEER_LINK)
				assert_int_equal(a->kind, PLACE_ORPHAN);
		}
		end(f);
	}
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(learned_here_stands_there),
	    cmocka_unit_test(ages_only_when_neither_sees_it),
	    cmocka_unit_test(closed_leg_moves_entries_to_the_peer_link_and_back),
	    cmocka_unit_test(moves_follow_the_owner),
	    cmocka_unit_test(broken_copy_is_repaired),
	    cmocka_unit_test(limit_refuses_and_counts),
	    cmocka_unit_test(slow_peer_costs_no_memory),
	    cmocka_unit_test(restart_deletes_nothing_valid),
	    cmocka_unit_test(random_walk_ends_in_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
