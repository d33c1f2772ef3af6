/* SPDX-License-Identifier: ISC */
/*
 * fork.h - a copy of this process that thinks about something and writes down what it found. Whatever it does
 * to its memory is seen by nobody, so a question may be answered by changing the very state it is about.
 *
 * The copy has every descriptor of the original and must use none but the one it is given: it closes nothing,
 * runs no event loop, and ends when its thinker returns. It runs at the lowest priority, dies with the
 * original, and is killed when it takes too long or writes too much. The original never waits for it.
 */
#ifndef MCLAGD_FORK_H
#define MCLAGD_FORK_H

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct fork;

/* Embedded by the owner. */
struct fork_owner {
	/* In the copy: writes the answer with fork_write(). Returns for success; may not return. */
	void (*think)(struct fork_owner *self, int fd);
	/* In the original, once, from the loop: the answer, borrowed for the call, or NULL with the reason why
	 * there is none. The fork is gone. */
	void (*done)(struct fork_owner *self, const uint8_t *answer, size_t size, const char *why);
};

struct fork_limits {
	int64_t ms;  /* it may take so long */
	size_t size; /* and write so much */
};

/* 0, or -errno: there is no copy, and done() is not called. Then and while the copy is made, the caller waits
 * (fork(2) copies page tables: a few milliseconds for 100 MB). */
int fork_start(struct fork **f, struct event_base *base, const struct fork_limits *limits,
	       struct fork_owner *owner);
/* In the copy. Ends it when the original does not read any more. */
void fork_write(int fd, const uint8_t *bytes, size_t size);
/* Kills the copy and waits for its end: for the end of the original. done() is not called. Takes NULL. */
void fork_destroy(struct fork *f);

#endif
