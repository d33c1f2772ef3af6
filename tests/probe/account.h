/* SPDX-License-Identifier: ISC */
/*
 * What became of every numbered frame of one direction: pure bookkeeping, no I/O and no clock, so that
 * tests/unit/test_probe_account.c can prove that loss, duplicates, reordering and gaps are really seen.
 *
 * A direction sends frames 0, 1, 2 ...; frame i belongs to flow i % flows. A frame is settled when it has
 * arrived and `linger` has passed (a duplicate would have come by then), or when `drain` has passed without
 * it: it is lost. Settling goes in order of sending, so a run of losses is seen as one.
 *
 * Definitions of the figures:
 *   lost        settled without any copy
 *   duplicated  copies beyond the first one
 *   reordered   first copies that came after a younger frame of their own flow
 *   stale       first copies that came after the frame was settled as lost (it stays lost)
 *   gap         the longest episode of loss: from the sending of its first lost frame to the sending of its
 *               last one, plus one frame interval. Losses closer together than `quiet` are one episode,
 *               whatever the flow: with flows interleaved round robin this is how long sending was unsafe,
 *               to the precision of one frame interval, also when only the flows on one cable are hit.
 *   silence     the longest time between two arrivals of the direction (any flow)
 *   delay       the longest time from sending to arrival of a first copy
 *   late        how far behind its schedule the sender was at worst. Everything runs in one loop, so this is
 *               also how late it can have been to look at a socket: delay and silence up to `late` are
 *               the machine's, not the network's. A gap is free of it: it is counted in times of sending.
 */
#ifndef PROBE_ACCOUNT_H
#define PROBE_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

/* Nanoseconds of CLOCK_MONOTONIC, or a span of them. */
typedef uint64_t nsec;

struct tally {
	uint64_t sent;
	uint64_t received;
	uint64_t lost;
	uint64_t duplicated;
	uint64_t reordered;
	uint64_t stale;
	uint64_t refused;  /* sends the kernel refused; they are in `sent`, and normally in `lost` */
	uint64_t episodes; /* of loss */
	nsec gap;
	nsec silence;
	nsec delay;
	nsec late;
};

struct account_limits {
	uint32_t flows;   /* >= 1 */
	uint32_t window;  /* frames remembered, a power of two; must hold what is sent in `drain` */
	nsec spacing;     /* between two frames of the schedule */
	nsec linger;      /* wait for a duplicate of a frame that arrived */
	nsec drain;       /* wait for a frame before it is lost */
	nsec quiet;       /* losses closer together are one episode */
	bool unsolicited; /* nothing is expected here (a sender listening for its own frames): no loss is
			     counted */
};

struct account;

/* Owned by the caller, account_free() takes NULL. Out of memory aborts. */
struct account *account_new(const struct account_limits *limits);
void account_free(struct account *account);

/* The index of the next frame to send. */
uint64_t account_next(const struct account *account);

/*
 * That frame was sent at `now`, due at `due`; `refused` when the kernel did not take it.
 * When the window is full the oldest frame is settled as it stands.
 */
void account_sent(struct account *account, nsec now, nsec due, bool refused);

/* The sender was `late` behind its schedule and gave those frames up: they were never sent. */
void account_late(struct account *account, nsec late);

/* A copy of frame `index` arrived. An index that was never sent is ignored and returns false. */
bool account_received(struct account *account, uint64_t index, nsec now);

/*
 * Close the current interval at the frame sent last: frames from here on belong to the next one.
 * One interval can be closing at a time; false when one still is.
 */
bool account_mark(struct account *account);

/*
 * Settle what can be settled at `now`. Returns true when an interval is closing and all its frames are
 * settled: its tally is in `closed` then, and it is not closing any more.
 */
bool account_settle(struct account *account, nsec now, struct tally *closed);

/* Everything of all closed intervals. */
struct tally account_total(const struct account *account);

/* Add `more` to `sum`: counts add up, spans keep the longest. */
void tally_add(struct tally *sum, const struct tally *more);

#endif
