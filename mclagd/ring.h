/* SPDX-License-Identifier: ISC */
/*
 * ring.h - the last trace lines, numbered, for `mclagctl events`. Bounded; the oldest go first.
 */
#ifndef MCLAGD_RING_H
#define MCLAGD_RING_H

#include "core/step.h"

struct ring;

struct ring_line {
	uint64_t number; /* from 1, never reused while the daemon lives */
	struct msec at;
	int64_t wall_us; /* microseconds since 1970, for display only */
	struct trace trace;
};

/* Called after each ring_add(); embedded by the owner, listed by ring_listen(). */
struct ring_listener {
	void (*added)(struct ring_listener *self, const struct ring_line *line);
	struct ring_listener *next; /* the ring's */
};

struct ring *ring_create(size_t lines);
void ring_destroy(struct ring *r);
void ring_add(struct ring *r, struct msec at, int64_t wall_us, const struct trace *t);
/* The first line with a number >= *number; false when there is none. *number is set to one past it. */
bool ring_next(const struct ring *r, uint64_t *number, struct ring_line *line);
void ring_listen(struct ring *r, struct ring_listener *l);
void ring_unlisten(struct ring *r, struct ring_listener *l);

#endif
