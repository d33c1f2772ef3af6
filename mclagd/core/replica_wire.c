/* SPDX-License-Identifier: ISC */
/*
 * core/replica_wire.c - snapshots, increments and digests (peer.proto, "Sequence").
 *
 * The send queue holds entries, not changes: each entry is in it at most once, and what is sent is its state
 * when its turn comes. So a peer that reads slowly costs no memory. `sent` remembers what the peer holds of
 * ours, which makes the digest exact at any point of the stream.
 */
#include "core/replica_wire.h"

#include <string.h>

#include "core/memory.h"

static struct mac_entry describe(const struct entry *e, const struct claim *c)
{
	return (struct mac_entry){
	    .mac = entry_mac(e),
	    .vlan = entry_vlan(e),
	    .mclag = c->mclag,
	    .moves = c->moves,
	    .fixed = c->fixed,
	};
}

static uint64_t claim_hash(const struct entry *e, const struct claim *c)
{
	struct mac_entry m = describe(e, c);

	return entry_hash(&m);
}

/* --- telling ---------------------------------------------------------------------------------------- */

void replica_enqueue(struct replica *r, struct entry *e)
{
	uint32_t slot = (uint32_t)(e - r->table.slots);

	if (e->queued || !r->session)
		return; /* without a session there is nothing to tell: the next one starts with a snapshot */
	e->queued = true;
	e->next = SLOT_NONE;
	if (r->queue_tail == SLOT_NONE)
		r->queue_head = slot;
	else
		r->table.slots[r->queue_tail].next = slot;
	r->queue_tail = slot;
	r->queued++;
}

static struct entry *dequeue(struct replica *r)
{
	struct entry *e = &r->table.slots[r->queue_head];

	r->queue_head = e->next;
	if (r->queue_head == SLOT_NONE)
		r->queue_tail = SLOT_NONE;
	e->next = SLOT_NONE;
	e->queued = false;
	r->queued--;
	return e;
}

static void send_mark(struct replica *r, struct step *s, enum message_kind kind, uint32_t count)
{
	struct message m = {.kind = kind};

	m.mark = (struct table_mark){
	    .table = TABLE_MAC, .generation = r->generation, .count = count, .digest = r->sent_digest};
	step_send(s, &m);
}

void replica_snapshot(struct replica *r, struct step *s)
{
	while (r->queue_head != SLOT_NONE)
		dequeue(r);
	r->generation++;
	r->sent_count = 0;
	r->sent_digest = 0;
	r->peer_synced = false;
	r->snapshotting = true;
	for (uint32_t slot = 0; slot < r->table.slot_count; slot++) {
		struct entry *e = &r->table.slots[slot];

		if (!entry_used(e))
			continue;
		e->sent.present = false; /* the receiver sweeps what this snapshot does not mention */
		if (e->local.present)
			replica_enqueue(r, e);
	}
	r->snapshot_left = r->queued;
	r->walk_left = r->table.slot_count; /* entries kept only because the peer held them can go */
	send_mark(r, s, MESSAGE_TABLE_BEGIN, r->queued);
}

/* What to say of e, if anything; keeps the digest of what the peer holds. */
static bool tell(struct replica *r, struct entry *e, struct mac_entry *m)
{
	if (!e->local.present && !e->sent.present)
		return false;
	if (e->sent.present) {
		r->sent_digest -= claim_hash(e, &e->sent);
		r->sent_count--;
	}
	*m = describe(e, &e->local);
	m->gone = !e->local.present;
	if (m->gone)
		m->mclag = e->sent.mclag;
	e->sent = e->local;
	if (e->sent.present) {
		r->sent_digest += claim_hash(e, &e->sent);
		r->sent_count++;
	}
	return true;
}

/* One message's worth of the queue (false: it had nothing to tell): of the snapshot, or of what follows it, never mixed. */
static bool send_batch(struct replica *r, struct step *s)
{
	struct message m = {.kind = r->snapshotting ? MESSAGE_ENTRIES : MESSAGE_UPDATE};
	uint32_t most = REPLICA_BATCH;

	if (r->snapshotting && r->snapshot_left < most)
		most = r->snapshot_left;
	m.batch.table = TABLE_MAC;
	m.batch.generation = r->generation;
	m.batch.entries = core_new(REPLICA_BATCH, sizeof *m.batch.entries);
	for (uint32_t i = 0; i < most && r->queue_head != SLOT_NONE; i++) {
		struct entry *e = dequeue(r);
		struct mac_entry *to = &m.batch.entries[m.batch.count];

		if (r->snapshotting)
			r->snapshot_left--;
		if (tell(r, e, to))
			m.batch.count++;
		if (!e->local.present)
			replica_reconcile(r, s,
					  (uint32_t)(e - r->table.slots)); /* perhaps nobody needs it now */
	}
	if (!m.batch.count) {
		message_clear(&m);
		return false;
	}
	step_send(s, &m);
	return true;
}

void replica_pump(struct replica *r, struct step *s, size_t *room)
{
	if (!r->session)
		return;
	while (*room >= REPLICA_BATCH_BYTES && (r->queue_head != SLOT_NONE || r->snapshotting)) {
		if (r->snapshotting && r->snapshot_left == 0) {
			r->snapshotting = false;
			send_mark(r, s, MESSAGE_TABLE_END, r->sent_count);
			continue;
		}
		if (send_batch(r, s))
			*room -= REPLICA_BATCH_BYTES;
	}
}

void replica_send_digest(struct replica *r, struct step *s)
{
	if (r->session) /* while the snapshot is under way it says nothing, but that we are there */
		send_mark(r, s, MESSAGE_DIGEST, r->sent_count);
}

void replica_table_ack(struct replica *r, struct step *s, const struct table_ack *a)
{
	if (a->generation != r->generation)
		return; /* of a snapshot that was replaced since */
	if (!a->repair) {
		r->peer_synced = true;
		return;
	}
	r->repairs++;
	r->snapshot_at = msec_after(s->now, REPLICA_REPAIR_MS);
	step_trace(s, TRACE_REPLICA, TRACE_WARN, 0,
		   "the peer's copy of our macs differs -> new snapshot in %d ms", REPLICA_REPAIR_MS);
}

/* --- hearing ---------------------------------------------------------------------------------------- */

void replica_count_received(struct replica *r, const struct entry *e)
{
	r->received_count++;
	r->received_digest += claim_hash(e, &e->peer);
}

void replica_forget_received(struct replica *r, const struct entry *e)
{
	if (e->peer_sweep != r->sweep)
		return; /* was not counted: of a former snapshot */
	r->received_count--;
	r->received_digest -= claim_hash(e, &e->peer);
}

static void send_ack(struct replica *r, struct step *s, bool repair)
{
	struct message m = {.kind = MESSAGE_TABLE_ACK};

	m.ack = (struct table_ack){.table = TABLE_MAC, .generation = r->peer_generation, .repair = repair};
	step_send(s, &m);
}

static bool equal(const struct replica *r, const struct table_mark *m)
{
	return r->overflowed || (m->count == r->received_count && m->digest == r->received_digest);
}

void replica_table_begin(struct replica *r, struct step *s, const struct table_mark *m)
{
	(void)s;
	r->receiving = true;
	r->synced = false;
	r->overflowed = false;
	r->peer_generation = m->generation;
	r->sweep++;
	r->received_count = 0;
	r->received_digest = 0;
}

void replica_batch(struct replica *r, struct step *s, const struct entry_batch *b)
{
	if (b->generation != r->peer_generation)
		return;
	for (uint32_t i = 0; i < b->count; i++)
		replica_receive(r, s, &b->entries[i]);
}

void replica_table_end(struct replica *r, struct step *s, const struct table_mark *m)
{
	if (m->generation != r->peer_generation || !r->receiving)
		return;
	if (!equal(r, m)) {
		r->repairs++;
		step_trace(s, TRACE_REPLICA, TRACE_WARN, 0,
			   "snapshot has %u macs, %u arrived, or digests differ -> asking for another",
			   m->count, r->received_count);
		send_ack(r, s, true);
		return; /* still receiving: nothing is swept on the word of a broken snapshot */
	}
	r->receiving = false;
	r->synced = true;
	replica_adopted(r); /* walks: sweeps what the snapshot did not mention */
	send_ack(r, s, false);
}

void replica_digest(struct replica *r, struct step *s, const struct table_mark *m)
{
	if (m->generation != r->peer_generation || !r->synced || equal(r, m))
		return;
	r->repairs++;
	r->synced = false;
	r->receiving = true;
	step_trace(s, TRACE_REPLICA, TRACE_WARN, 0,
		   "digests of the peer's macs differ (%u there, %u here) -> asking for a snapshot", m->count,
		   r->received_count);
	send_ack(r, s, true);
}

void replica_session_start(struct replica *r, struct step *s, struct mac peer_via)
{
	r->session = true;
	r->synced = false;
	r->receiving = true;
	r->orphans_gone = false;
	r->peer_expired = false;
	r->peer_expires = MSEC_NEVER;
	r->snapshot_at = MSEC_NEVER;
	replica_set_peer_via(r, s, peer_via);
	replica_snapshot(r, s);
}

void replica_session_end(struct replica *r, struct step *s)
{
	if (!r->session)
		return;
	r->session = false;
	r->synced = false;
	r->peer_synced = false;
	r->snapshotting = false;
	r->receiving = false;
	while (r->queue_head != SLOT_NONE)
		dequeue(r);
	for (uint32_t slot = 0; slot < r->table.slot_count; slot++)
		r->table.slots[slot].sent.present = false;
	r->walk_left = r->table.slot_count;
	r->peer_expires = msec_after(s->now, r->ageing_ms);
}
