/* SPDX-License-Identifier: ISC */
/*
 * A circular array: line n lies at n modulo the size. Numbers only grow, so a reader that was away sees by
 * the gap how much it missed.
 */
#include "mclagd/ring.h"

#include <assert.h>
#include <stdlib.h>

struct ring {
	struct ring_line *lines;
	size_t size;
	uint64_t next; /* number of the line to come */
	struct ring_listener *listeners;
	struct ring_listener *telling; /* to be told next, while ring_add() tells */
};

struct ring *ring_create(size_t lines)
{
	assert(lines > 0);
	struct ring *r = calloc(1, sizeof(*r));
	struct ring_line *array = calloc(lines, sizeof(*array));
	if (!r || !array)
		abort();
	*r = (struct ring){.lines = array, .size = lines, .next = 1};
	return r;
}

void ring_destroy(struct ring *r)
{
	if (!r)
		return;
	free(r->lines);
	free(r);
}

void ring_add(struct ring *r, struct msec at, int64_t wall_us, const struct trace *t)
{
	struct ring_line *line = &r->lines[r->next % r->size];
	*line = (struct ring_line){.number = r->next, .at = at, .wall_us = wall_us, .trace = *t};
	r->next++;
	/* A listener may take itself, or the one after it, off the list while it is told. */
	for (struct ring_listener *l = r->listeners; l; l = r->telling) {
		r->telling = l->next;
		l->added(l, line);
	}
}

bool ring_next(const struct ring *r, uint64_t *number, struct ring_line *line)
{
	uint64_t oldest = r->next > r->size ? r->next - r->size : 1;
	uint64_t wanted = *number > oldest ? *number : oldest;
	if (wanted >= r->next)
		return false;
	*line = r->lines[wanted % r->size];
	*number = wanted + 1;
	return true;
}

void ring_listen(struct ring *r, struct ring_listener *l)
{
	l->next = r->listeners;
	r->listeners = l;
}

void ring_unlisten(struct ring *r, struct ring_listener *l)
{
	struct ring_listener **at = &r->listeners;
	while (*at && *at != l)
		at = &(*at)->next;
	if (*at)
		*at = l->next;
	if (r->telling == l)
		r->telling = l->next;
}
