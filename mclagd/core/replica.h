/* SPDX-License-Identifier: ISC */
/*
 * core/replica.h - a table that both leaves keep: the MACs. Owner flags, move counts, a coalesced send queue,
 * snapshots with mark and sweep, digests. Decides which entry stands where in this leaf's switch.
 *
 * Two claims per entry: local (our switch sees its owner) and peer (the peer says it does). An entry stays
 * while either claim does. Where the claims disagree, the higher move count wins, then the lower node number,
 * and the loser's leaf withdraws its claim. An entry behind an mclag stands on our leg while the leg
 * forwards, else on the peer link.
 *
 * Anything that concerns many entries (a leg that closed, claims that expired, a sweep) is a walk over the
 * table in pieces of WALK_PIECE: replica_reconcile() is idempotent, so a walk is just "look at all again".
 */
#ifndef CORE_REPLICA_H
#define CORE_REPLICA_H

#include "core/step.h"
#include "core/table.h"

struct domain_config;

#define REPLICA_WALK_PIECE   1024                 /* entries looked at per step */
#define REPLICA_BATCH        512                  /* entries per message */
#define REPLICA_BATCH_BYTES  (REPLICA_BATCH * 40) /* more than they can take encoded */
#define REPLICA_REPAIR_MS    1000                 /* at most one repair snapshot in this time */
#define REPLICA_RETRY_MS     1000  /* writes that the switch refused are tried again after this, */
#define REPLICA_RETRY_MAX_MS 64000 /* doubling up to this */

struct replica_leg {
	uint16_t mclag;
	bool open; /* forwards: its entries stand on it */
	bool carrier;
	bool expired;        /* closed for an ageing time: local claims at it have ended */
	struct msec expires; /* when that is due */
};

struct replica {
	struct entry_table table;
	uint8_t node;
	int64_t ageing_ms, grace_ms;
	uint32_t entry_limit;
	struct mac via, peer_via; /* both leaves' interfaces on the peer link: ours is nobody's, the peer's
				     stands there */
	size_t leg_count;
	struct replica_leg *legs; /* ascending by mclag */

	/* Telling the peer. */
	bool session;        /* the peer's Hello is accepted */
	uint32_t generation; /* of our snapshots; grows over sessions */
	uint32_t queue_head, queue_tail, queued;
	uint32_t snapshot_left; /* entries before TableEnd is due */
	bool snapshotting;
	bool peer_synced;        /* our snapshot is acknowledged */
	struct msec snapshot_at; /* a repair is due then */
	uint32_t sent_count;
	uint64_t sent_digest;

	/* Hearing the peer. */
	bool receiving;           /* between TableBegin and TableEnd */
	bool synced;              /* the last snapshot of this session arrived whole */
	uint32_t peer_generation; /* of the peer's snapshot, as it numbers them */
	uint32_t sweep;           /* number of the snapshot as we do: marks the claims it confirmed */
	uint32_t received_count;
	uint64_t received_digest;
	uint32_t peer_count;      /* entries with a peer claim, of any generation */
	bool peer_expired;        /* the session is gone for an ageing time: peer claims have ended */
	struct msec peer_expires; /* when that is due */
	bool orphans_gone;        /* the peer is dead: what hung on it alone is unreachable */
	bool overflowed;          /* entries were refused: digests cannot be compared */

	/* The switch. */
	bool adopting; /* entries of a former run are kept until somebody claims them */
	struct msec adopting_until;
	uint8_t dump; /* number of the last complete or running dump */
	bool dumping;
	uint32_t walk_position, walk_left;

	struct msec retry_at;  /* refused writes are tried again then */
	struct msec failed_at; /* the last one */
	int64_t retry_ms;      /* doubles while writes are refused */
	uint32_t local_count, programmed_count;

	uint64_t repairs, moves;
	uint64_t refused; /* told by the peer, over the limit or impossible */
	uint64_t failed;  /* writes that the switch refused */
};

void replica_init(struct replica *r, const struct domain_config *config);
void replica_release(struct replica *r);
void replica_start(struct replica *r, struct step *s);

/* The switch said something. */
void replica_sighting(struct replica *r, struct step *s, const struct entry_event *e);
void replica_dump_begin(struct replica *r, struct step *s);
void replica_dump_end(struct replica *r, struct step *s);
void replica_program_failed(struct replica *r, struct step *s, const struct entry_event *e);
/* The leg of an mclag opened or closed (forwards or not), or its carrier changed. */
void replica_leg(struct replica *r, struct step *s, uint16_t mclag, bool open, bool carrier);

/* The session. peer_via: the peer's interface on the peer link, or zero. */
void replica_session_start(struct replica *r, struct step *s, struct mac peer_via);
void replica_session_end(struct replica *r, struct step *s);
void replica_peer_gone(struct replica *r, struct step *s);
void replica_table_begin(struct replica *r, struct step *s, const struct table_mark *m);
void replica_batch(struct replica *r, struct step *s, const struct entry_batch *b);
void replica_table_end(struct replica *r, struct step *s, const struct table_mark *m);
void replica_table_ack(struct replica *r, struct step *s, const struct table_ack *a);
void replica_digest(struct replica *r, struct step *s, const struct table_mark *m);
void replica_send_digest(struct replica *r, struct step *s);
/* Sends what is queued while the transport has room; *room is lowered by what was sent. */
void replica_pump(struct replica *r, struct step *s, size_t *room);

void replica_timer(struct replica *r, struct step *s);
struct msec replica_deadline(const struct replica *r, struct msec now);

/* Where the entry's owner is, seen from here. */
struct place replica_place(const struct replica *r, const struct entry *e);

#endif
