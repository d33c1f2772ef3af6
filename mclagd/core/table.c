/* SPDX-License-Identifier: ISC */
/*
 * core/table.c - linear probing with backward-shift removal (no tombstones), grown at half load.
 */
#include "core/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

#define FREE_KEY UINT64_MAX

uint64_t entry_key(uint16_t vlan, struct mac mac)
{
	return (uint64_t)vlan << 48 | mac_to_u64(mac);
}

struct mac entry_mac(const struct entry *e)
{
	return mac_from_u64(e->key & 0xffffffffffffu);
}

uint16_t entry_vlan(const struct entry *e)
{
	return (uint16_t)(e->key >> 48);
}

bool entry_used(const struct entry *e)
{
	return e->key != FREE_KEY;
}

/* A finalizer in the manner of splitmix64 over the seeded key. */
static uint32_t home(const struct entry_table *t, uint64_t key)
{
	uint64_t x = key ^ t->seed;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return (uint32_t)(x ^ x >> 31) & (t->index_size - 1);
}

void entry_table_init(struct entry_table *t, uint64_t seed)
{
	*t = (struct entry_table){.free_list = SLOT_NONE, .index_size = 64, .seed = seed};
	t->index = core_new(t->index_size, sizeof *t->index);
	memset(t->index, 0xff, t->index_size * sizeof *t->index);
}

void entry_table_release(struct entry_table *t)
{
	free(t->slots);
	free(t->index);
	memset(t, 0, sizeof *t);
}

static void index_put(struct entry_table *t, uint32_t slot)
{
	uint32_t i = home(t, t->slots[slot].key);

	while (t->index[i] != SLOT_NONE)
		i = (i + 1) & (t->index_size - 1);
	t->index[i] = slot;
}

static void index_grow(struct entry_table *t)
{
	free(t->index);
	t->index_size *= 2;
	t->index = core_new(t->index_size, sizeof *t->index);
	memset(t->index, 0xff, t->index_size * sizeof *t->index);
	for (uint32_t slot = 0; slot < t->slot_count; slot++) {
		if (entry_used(&t->slots[slot]))
			index_put(t, slot);
	}
}

static uint32_t index_find(const struct entry_table *t, uint64_t key)
{
	uint32_t i = home(t, key);

	while (t->index[i] != SLOT_NONE && t->slots[t->index[i]].key != key)
		i = (i + 1) & (t->index_size - 1);
	return i;
}

uint32_t entry_table_find(const struct entry_table *t, uint64_t key)
{
	return t->index[index_find(t, key)];
}

uint32_t entry_table_add(struct entry_table *t, uint64_t key)
{
	uint32_t slot = t->free_list;

	if (slot != SLOT_NONE) {
		t->free_list = t->slots[slot].next;
	} else {
		slot = t->slot_count++;
		core_grow((void **)&t->slots, &t->slot_room, t->slot_count, sizeof *t->slots);
	}
	memset(&t->slots[slot], 0, sizeof t->slots[slot]);
	t->slots[slot].key = key;
	t->slots[slot].next = SLOT_NONE;
	t->count++;
	if (t->count * 2 > t->index_size)
		index_grow(t); /* puts the new one in as well */
	else
		index_put(t, slot);
	return slot;
}

void entry_table_remove(struct entry_table *t, uint32_t slot)
{
	uint32_t mask = t->index_size - 1;
	uint32_t hole = index_find(t, t->slots[slot].key);

	assert(t->index[hole] == slot);
	for (uint32_t i = (hole + 1) & mask; t->index[i] != SLOT_NONE; i = (i + 1) & mask) {
		uint32_t want = home(t, t->slots[t->index[i]].key);

		if (((i - want) & mask) >= ((i - hole) & mask)) { /* may stand in the hole */
			t->index[hole] = t->index[i];
			hole = i;
		}
	}
	t->index[hole] = SLOT_NONE;
	t->slots[slot].key = FREE_KEY;
	t->slots[slot].next = t->free_list;
	t->free_list = slot;
	t->count--;
}
