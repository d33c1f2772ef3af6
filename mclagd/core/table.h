/* SPDX-License-Identifier: ISC */
/*
 * core/table.h - the store behind a replica: entries in stable slots, found by (vlan, mac).
 *
 * Open addressing over slot numbers, seeded against hosts that choose their MACs. Iteration goes by slot, so
 * its order depends only on the sequence of insertions and removals.
 */
#ifndef CORE_TABLE_H
#define CORE_TABLE_H

#include "proto/message.h"

#define SLOT_NONE UINT32_MAX

/* What one leaf says of an entry. */
struct claim {
	uint32_t moves;
	uint16_t mclag; /* 0 = an orphan port of the claiming leaf */
	bool present;
	bool fixed;
};

struct entry {
	uint64_t key; /* vlan << 48 | mac; UINT64_MAX = the slot is free */
	struct claim local, peer;
	struct claim sent;         /* what we have told the peer; present = it holds the entry as ours */
	int32_t port;              /* the local claim's orphan port, the switch's number */
	uint32_t next;             /* send queue, or free list */
	uint32_t peer_sweep;       /* the peer's snapshot that last confirmed its claim */
	uint16_t programmed_mclag; /* PLACE_LEG only */
	uint8_t programmed;        /* enum place_kind: what we put into the switch */
	uint8_t dump;              /* the last dump that mentioned it */
	bool queued;
};

struct entry_table {
	struct entry *slots;
	size_t slot_room;
	uint32_t slot_count; /* slots ever used; iterate below it, skipping free ones */
	uint32_t count;
	uint32_t free_list;
	uint32_t *index;
	uint32_t index_size; /* power of two */
	uint64_t seed;
};

uint64_t entry_key(uint16_t vlan, struct mac mac);
struct mac entry_mac(const struct entry *e);
uint16_t entry_vlan(const struct entry *e);
bool entry_used(const struct entry *e);

void entry_table_init(struct entry_table *t, uint64_t seed);
void entry_table_release(struct entry_table *t);
/* SLOT_NONE when absent. */
uint32_t entry_table_find(const struct entry_table *t, uint64_t key);
/* The slot of a new entry; key must be absent. Pointers into slots may move. */
uint32_t entry_table_add(struct entry_table *t, uint64_t key);
void entry_table_remove(struct entry_table *t, uint32_t slot);

#endif
