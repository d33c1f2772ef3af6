/* SPDX-License-Identifier: ISC */
/*
 * A ring remembers, for the last `window` frames, when each was sent and how many copies came. Two cursors
 * run over it: `next` (sending) and `settled` (judging), settled <= next <= settled + window. Tallies exist
 * for two intervals, the closing one (frames before `boundary`) and the current one; a figure goes to the
 * interval of the frame it is about, so that a slow arrival never counts against the interval it happens to
 * arrive in.
 */
#include "account.h"

#include <assert.h>
#include <stdlib.h>

struct frame {
	nsec sent;
	uint32_t copies;
};

/* One episode of loss that may still grow. */
struct episode {
	bool open;
	nsec first;
	nsec last;
};

struct account {
	struct account_limits limits;
	struct frame *ring;
	uint64_t *flow_next; /* per flow: 1 + the youngest index that arrived */
	uint64_t next;       /* index of the next frame to send */
	uint64_t settled;    /* frames before this are judged */
	uint64_t boundary;   /* frames before this belong to the closing interval */
	bool closing_now;
	struct tally closing;
	struct tally current;
	struct tally total;
	struct episode episode;
	bool heard; /* something arrived since the current interval began */
	nsec last_heard;
};

static void *zeroed(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		abort();
	return memory;
}

struct account *account_new(const struct account_limits *limits)
{
	struct account *account = zeroed(1, sizeof(*account));

	assert(limits->flows > 0 && limits->window > 0 && (limits->window & (limits->window - 1)) == 0);
	account->limits = *limits;
	account->ring = zeroed(limits->window, sizeof(*account->ring));
	account->flow_next = zeroed(limits->flows, sizeof(*account->flow_next));
	return account;
}

void account_free(struct account *account)
{
	if (!account)
		return;
	free(account->ring);
	free(account->flow_next);
	free(account);
}

static struct frame *frame_of(struct account *account, uint64_t index)
{
	return &account->ring[index & (account->limits.window - 1)];
}

static struct tally *tally_of(struct account *account, uint64_t index)
{
	return account->closing_now && index < account->boundary ? &account->closing : &account->current;
}

static void keep_longest(nsec *longest, nsec span)
{
	if (span > *longest)
		*longest = span;
}

static void count_loss(struct account *account, struct tally *tally, nsec sent)
{
	struct episode *episode = &account->episode;

	tally->lost++;
	if (!episode->open || sent - episode->last > account->limits.quiet) {
		*episode = (struct episode){.open = true, .first = sent};
		tally->episodes++;
	}
	episode->last = sent;
	keep_longest(&tally->gap, episode->last - episode->first + account->limits.spacing);
}

/* Judge the oldest frame that is not judged yet, as it stands. */
static void settle_one(struct account *account)
{
	const struct frame *frame = frame_of(account, account->settled);
	struct tally *tally = tally_of(account, account->settled);

	account->settled++;
	if (frame->copies == 0) {
		if (!account->limits.unsolicited)
			count_loss(account, tally, frame->sent);
		return;
	}
	tally->received++;
	tally->duplicated += frame->copies - 1;
}

uint64_t account_next(const struct account *account)
{
	return account->next;
}

void account_late(struct account *account, nsec late)
{
	keep_longest(&account->current.late, late);
}

void account_sent(struct account *account, nsec now, nsec due, bool refused)
{
	if (account->next - account->settled == account->limits.window)
		settle_one(account);
	*frame_of(account, account->next) = (struct frame){.sent = now};
	account->next++;
	account->current.sent++;
	account->current.refused += refused;
	if (now > due)
		account_late(account, now - due);
}

bool account_received(struct account *account, uint64_t index, nsec now)
{
	struct tally *tally;
	struct frame *frame;
	uint64_t *flow_next;

	if (index >= account->next || account->next - index > account->limits.window)
		return false;
	tally = tally_of(account, index);
	frame = frame_of(account, index);
	if (account->heard && !account->limits.unsolicited)
		keep_longest(&tally->silence, now - account->last_heard);
	account->heard = true;
	account->last_heard = now;
	if (frame->copies++ > 0) {
		if (index < account->settled)
			tally->duplicated++;
		return true;
	}
	if (index < account->settled) {
		tally->stale++;
		return true;
	}
	keep_longest(&tally->delay, now - frame->sent);
	flow_next = &account->flow_next[index % account->limits.flows];
	if (index < *flow_next)
		tally->reordered++;
	else
		*flow_next = index + 1;
	return true;
}

bool account_mark(struct account *account)
{
	if (account->closing_now)
		return false;
	account->closing_now = true;
	account->boundary = account->next;
	account->closing = account->current;
	account->current = (struct tally){0};
	return true;
}

bool account_settle(struct account *account, nsec now, struct tally *closed)
{
	while (account->settled < account->next) {
		const struct frame *frame = frame_of(account, account->settled);
		nsec wait = frame->copies > 0 || account->limits.unsolicited ? account->limits.linger
									     : account->limits.drain;

		if (now - frame->sent < wait)
			break;
		/* An episode of loss is reported in one interval only. */
		if (account->closing_now && account->settled == account->boundary)
			account->episode.open = false;
		settle_one(account);
	}
	if (!account->closing_now || account->settled < account->boundary)
		return false;
	*closed = account->closing;
	tally_add(&account->total, closed);
	account->closing_now = false;
	account->episode.open = false;
	return true;
}

struct tally account_total(const struct account *account)
{
	return account->total;
}

void tally_add(struct tally *sum, const struct tally *more)
{
	sum->sent += more->sent;
	sum->received += more->received;
	sum->lost += more->lost;
	sum->duplicated += more->duplicated;
	sum->reordered += more->reordered;
	sum->stale += more->stale;
	sum->refused += more->refused;
	sum->episodes += more->episodes;
	keep_longest(&sum->gap, more->gap);
	keep_longest(&sum->silence, more->silence);
	keep_longest(&sum->delay, more->delay);
	keep_longest(&sum->late, more->late);
}
