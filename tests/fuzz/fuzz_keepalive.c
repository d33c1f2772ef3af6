/* SPDX-License-Identifier: ISC */
/*
 * Keepalives: the bytes as they are (which no signature covers, so they end early), and then as a row of
 * datagrams that are rightly signed with whatever the bytes say, given to a stream: only a peer's bug could
 * send these, and even so nothing but a growing sequence or a proven boot id may count.
 */
#include "fuzz.h"
#include "peerlink/datagram.h"
#include "peerlink/stream.h"
#include <stdlib.h>
#include <string.h>

#define BOOT   7
#define RECORD 28 /* bytes of input per datagram */

static uint64_t number(const uint8_t *at, size_t size)
{
	uint64_t value = 0;
	while (size--)
		value = value << 8 | *at++;
	return value;
}

static struct keepalive_datagram from_bytes(const uint8_t *at)
{
	struct keepalive_datagram d = {
	    .node = at[0],
	    .path = at[1],
	    .flags = at[2],
	    .boot = at[3] % 16, /* few, so that they meet again */
	    .sequence = number(at + 4, at[3] & 0x80 ? 8 : 1),
	    .echo_boot = at[12] % 16,
	    .echo_sequence = number(at + 13, at[12] & 0x80 ? 8 : 1),
	    .echo_age_us = (uint32_t)number(at + 21, 4),
	    .sent_us = (uint32_t)number(at + 24, 4),
	    .payload_len = (uint16_t)(at[27] | (at[26] & 1) << 8),
	};
	if (d.payload_len > KEEPALIVE_PAYLOAD_MAX)
		d.payload_len = KEEPALIVE_PAYLOAD_MAX;
	memset(d.payload, at[27], d.payload_len);
	return d;
}

static void judge(struct stream *s, const struct keepalive_datagram *d, int64_t now)
{
	struct stream before = *s;
	struct keepalive_heard heard;
	if (stream_judge(s, d, now, &heard) != KEEPALIVE_FINE) {
		REQUIRE(s->peer_boot == before.peer_boot && s->peer_sequence == before.peer_sequence);
		REQUIRE(s->floor == before.floor && s->heard == before.heard && s->lost == before.lost);
		REQUIRE(s->rtt_us == before.rtt_us && s->jitter_us == before.jitter_us);
		return;
	}
	REQUIRE(d->boot != BOOT);
	REQUIRE(d->boot == before.peer_boot ? d->sequence > before.peer_sequence
					    : d->echo_boot == BOOT && d->echo_sequence >= before.floor);
	REQUIRE(heard.restarted == (d->boot != before.peer_boot));
	REQUIRE(heard.hears_us ? heard.age_us >= 0 && heard.rtt_us >= 0
			       : heard.age_us == -1 && heard.rtt_us == -1);
	REQUIRE(d->echo_sequence <= s->sequence || !heard.hears_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct secret secret = {{42}};
	uint8_t bytes[KEEPALIVE_MAX], again[KEEPALIVE_MAX];
	struct keepalive_datagram in, out;
	struct stream stream;
	int64_t now = 1000000;
	REQUIRE(keepalive_decode(data, size, &secret, &in) !=
		KEEPALIVE_FINE); /* or the signature is broken */

	stream_init(&stream, BOOT);
	memset(&in, 0, sizeof(in));
	for (; size >= RECORD; data += RECORD, size -= RECORD) {
		struct keepalive_datagram d = from_bytes(data);
		size_t len = keepalive_encode(&d, &secret, bytes);
		bool sane = (d.node == 1 || d.node == 2) && d.boot && d.sequence;
		REQUIRE(keepalive_decode(bytes, len, &secret, &in) ==
			(sane ? KEEPALIVE_FINE : KEEPALIVE_BAD_NODE));
		if (sane) {
			REQUIRE(keepalive_encode(&in, &secret, again) == len &&
				memcmp(again, bytes, len) == 0);
			judge(&stream, &in, now);
		}
		now += data[25] * 1000;
		if (data[24] & 1)
			stream_next(&stream, now, data[24] & 2 ? &d : NULL, &out);
	}
	return 0;
}
