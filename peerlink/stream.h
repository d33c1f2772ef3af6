/* SPDX-License-Identifier: ISC */
/*
 * One path's two keepalive streams, ours and the peer's: numbers what we send, and judges what arrives. Pure:
 * the time (us of a monotonic clock) comes in with each call. A plain struct, zeroed by stream_init; nothing
 * is owned.
 *
 * The rule of freshness (stream_judge):
 *   - a datagram of the boot id we know must have a greater sequence than the last;
 *   - any other boot id must prove that it lives now and came after: it must echo our boot id and a sequence
 * that we sent within the last STREAM_PROOF_US, and later than the last word we took from the boot id we
 * know. A recording cannot do the second: it was made before we sent that. Nothing is remembered about
 * unproven boot ids, so recordings of several cannot push a live peer's proof aside.
 */
#ifndef PEERLINK_STREAM_H
#define PEERLINK_STREAM_H

#include "peerlink/datagram.h"
#include "peerlink/keepalive.h"
#include <stdint.h>

#define STREAM_SENT     256     /* our newest datagrams whose sending time is kept */
#define STREAM_PROOF_US 5000000 /* age of an echo that still proves a new boot id */

struct stream {
	/* Ours */
	uint64_t boot;
	uint64_t sequence;            /* of the last one sent, 0 = none */
	int64_t sent_us[STREAM_SENT]; /* when, by sequence modulo */
	/* The peer's */
	uint64_t peer_boot; /* 0 = nothing proven yet */
	uint64_t peer_sequence;
	int64_t peer_us;       /* when it arrived */
	uint32_t peer_sent_us; /* what it said of its clock */
	uint64_t floor;        /* ours not sent yet when it arrived: a new boot id must echo this or later */
	/* What came of it */
	uint64_t heard, lost;
	int64_t rtt_us, jitter_us; /* -1 before the first */
};

void stream_init(struct stream *s, uint64_t boot);

/*
 * Number the next datagram and fill in boot, sequence, sent_us and the echo: of `answered` when given (the
 * challenge to a boot id not proven yet, just arrived), else of the peer as known.
 */
void stream_next(struct stream *s, int64_t now_us, const struct keepalive_datagram *answered,
		 struct keepalive_datagram *datagram);

/*
 * Judge a datagram that is decoded and belongs to this path. KEEPALIVE_FINE with `*heard` filled (its payload
 * points into `datagram`), or REFLECTED, REPLAYED, STALE_BOOT with nothing changed.
 */
enum keepalive_drop stream_judge(struct stream *s, const struct keepalive_datagram *datagram, int64_t now_us,
				 struct keepalive_heard *heard);

#endif
