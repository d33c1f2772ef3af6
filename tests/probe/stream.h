/* SPDX-License-Identifier: ISC */
/*
 * A stream is one sender and the places that listen to it: one direction of a pair has one listener, a
 * broadcast has one per host and one back at its sender, where nothing is expected. All streams of a run
 * share the schedule's rate; they are staggered so that they do not all send at the same instant.
 */
#ifndef PROBE_STREAM_H
#define PROBE_STREAM_H

#include "account.h"
#include "endpoint.h"

#define STREAM_LISTENERS 16 /* of each kind; a stream has room for both */
#define STREAM_NAME      256

struct listener {
	char name[STREAM_NAME];
	struct endpoint *endpoint; /* borrowed */
	struct account *account;   /* owned */
	bool unsolicited;
	uint64_t *heard; /* during warm-up: one bit per flow */
	struct tally closed;
	bool closed_ready;
	uint64_t dropped_before; /* endpoint_dropped() when the interval began */
	uint64_t dropped;        /* of the closed interval */
	uint64_t dropped_total;
};

struct stream {
	struct endpoint *sender; /* borrowed */
	uint32_t id;
	uint32_t flows;
	size_t size;
	nsec spacing;
	nsec due; /* when the next frame is to be sent */
	struct listener listeners[2 * STREAM_LISTENERS];
	uint32_t listener_count;
};

/* How far behind the schedule frames are still sent in a burst; later than that the schedule moves. */
#define STREAM_CATCH_UP ((nsec)20000000)

void stream_listen(struct stream *stream, struct endpoint *endpoint, bool unsolicited, const char *name);
void stream_clear(struct stream *stream);

/* Send every frame that is due at `now`, at most 64. `mark` is filled in except for stream and index. */
void stream_send(struct stream *stream, struct mark *mark, nsec now);

/* Warm-up: one frame in every flow; then ask whether every expected listener heard every flow. */
void stream_warm(struct stream *stream, struct mark *mark);
bool stream_warmed(const struct stream *stream);

/* A mark that belongs to this stream came in at `endpoint`; `counting` is false during warm-up. */
void stream_received(struct stream *stream, const struct endpoint *endpoint, const struct mark *mark,
		     nsec now, bool counting);

/* Begin counting: the accounts are made here, with `limits` (flows, spacing and unsolicited are the
 * stream's). */
void stream_count(struct stream *stream, const struct account_limits *limits, nsec start);

/* Close the current interval of every listener; stream_settle() is true once all their tallies are ready. */
void stream_mark(struct stream *stream);
bool stream_settle(struct stream *stream, nsec now);

#endif
