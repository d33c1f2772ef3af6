/* SPDX-License-Identifier: ISC */
/*
 * A binary heap of small items over a pool of happenings, so that what is moved about stays small.
 */
#include "sim/queue.h"

#include <assert.h>
#include <stdlib.h>

#define QUEUE_START 256

static void grow(struct queue *q)
{
	size_t room = q->slot_room ? q->slot_room * 2 : QUEUE_START;

	q->slots = realloc(q->slots, room * sizeof *q->slots);
	q->unused = realloc(q->unused, room * sizeof *q->unused);
	q->heap = realloc(q->heap, room * sizeof *q->heap);
	if (!q->slots || !q->unused || !q->heap)
		abort();
	for (size_t i = room; i > q->slot_room; i--)
		q->unused[q->unused_count++] = (uint32_t)(i - 1);
	q->slot_room = room;
}

void queue_init(struct queue *q)
{
	*q = (struct queue){0};
	grow(q);
}

void queue_release(struct queue *q)
{
	free(q->slots);
	free(q->unused);
	free(q->heap);
	*q = (struct queue){0};
}

static bool before(const struct queue_item *a, const struct queue_item *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void queue_put(struct queue *q, int64_t at, const struct happening *h)
{
	assert(at >= q->now);
	if (q->unused_count == 0)
		grow(q);
	uint32_t slot = q->unused[--q->unused_count];
	q->slots[slot] = *h;

	struct queue_item item = {at, q->order++, slot};
	size_t i = q->count++;
	for (; i > 0 && before(&item, &q->heap[(i - 1) / 2]); i = (i - 1) / 2)
		q->heap[i] = q->heap[(i - 1) / 2];
	q->heap[i] = item;
}

bool queue_next(struct queue *q, int64_t until, struct happening *h)
{
	if (q->count == 0 || q->heap[0].at > until) {
		q->now = until;
		return false;
	}
	struct queue_item first = q->heap[0], last = q->heap[--q->count];
	size_t i = 0;
	for (size_t child; (child = 2 * i + 1) < q->count; i = child) {
		if (child + 1 < q->count && before(&q->heap[child + 1], &q->heap[child]))
			child++;
		if (!before(&q->heap[child], &last))
			break;
		q->heap[i] = q->heap[child];
	}
	q->heap[i] = last;
	q->now = first.at;
	*h = q->slots[first.slot];
	q->unused[q->unused_count++] = first.slot;
	return true;
}

uint64_t dice_roll(struct dice *d)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint32_t dice_below(struct dice *d, uint32_t n)
{
	return (uint32_t)(((dice_roll(d) >> 32) * n) >> 32);
}

int64_t dice_between(struct dice *d, int64_t from, int64_t to)
{
	return from + (int64_t)dice_below(d, (uint32_t)(to - from + 1));
}

bool dice_chance(struct dice *d, uint32_t per_million)
{
	return per_million > 0 && dice_below(d, 1000000) < per_million;
}
