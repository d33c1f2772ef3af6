/* SPDX-License-Identifier: ISC */
/*
 * Freshness and measures of one path. Everything about our own datagrams is looked up by the sequence the
 * peer echoes, so an echo is worth no more than the clock we noted when we sent that one: the peer's word
 * counts only for how long the datagram lay there, which goes into the round trip and nowhere else.
 */
#include "peerlink/stream.h"
#include <stdlib.h>
#include <string.h>

void stream_init(struct stream *s, uint64_t boot)
{
	*s = (struct stream){.boot = boot, .floor = 1, .rtt_us = -1, .jitter_us = -1};
}

static uint32_t saturated(int64_t us)
{
	return us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

void stream_next(struct stream *s, int64_t now_us, const struct keepalive_datagram *answered,
		 struct keepalive_datagram *datagram)
{
	s->sequence++;
	s->sent_us[s->sequence % STREAM_SENT] = now_us;
	datagram->boot = s->boot;
	datagram->sequence = s->sequence;
	datagram->sent_us = (uint32_t)now_us;
	datagram->echo_boot = answered ? answered->boot : s->peer_boot;
	datagram->echo_sequence = answered ? answered->sequence : s->peer_sequence;
	datagram->echo_age_us = answered || !s->peer_boot ? 0 : saturated(now_us - s->peer_us);
}

/* How long ago we sent what is echoed; -1 when it is not one of our newest. */
static int64_t echo_age(const struct stream *s, const struct keepalive_datagram *d, int64_t now_us)
{
	if (d->echo_boot != s->boot || d->echo_sequence == 0 || d->echo_sequence > s->sequence ||
	    s->sequence - d->echo_sequence >= STREAM_SENT)
		return -1;
	return now_us - s->sent_us[d->echo_sequence % STREAM_SENT];
}

/* RFC 3550 6.4.1: the smoothed difference between the spacing at the sender and the spacing here. */
static void measure_jitter(struct stream *s, const struct keepalive_datagram *d, int64_t now_us)
{
	int64_t spacing = now_us - s->peer_us;
	int64_t difference = llabs(spacing - (int64_t)(uint32_t)(d->sent_us - s->peer_sent_us));
	if (s->jitter_us < 0)
		s->jitter_us = 0;
	s->jitter_us += (difference - s->jitter_us) / 16;
}

enum keepalive_drop stream_judge(struct stream *s, const struct keepalive_datagram *d, int64_t now_us,
				 struct keepalive_heard *heard)
{
	int64_t age = echo_age(s, d, now_us);
	bool known = d->boot == s->peer_boot;
	if (d->boot == s->boot)
		return KEEPALIVE_REFLECTED;
	if (known && d->sequence <= s->peer_sequence)
		return KEEPALIVE_REPLAYED;
	if (!known && (age < 0 || age > STREAM_PROOF_US || d->echo_sequence < s->floor))
		return KEEPALIVE_STALE_BOOT;

	if (known) {
		s->lost += d->sequence - s->peer_sequence - 1;
		measure_jitter(s, d, now_us);
	}
	int64_t rtt = age < 0 ? -1 : age > d->echo_age_us ? age - d->echo_age_us : 0;
	if (rtt >= 0)
		s->rtt_us = s->rtt_us < 0 ? rtt : s->rtt_us + (rtt - s->rtt_us) / 8;
	s->heard++;
	s->peer_boot = d->boot;
	s->peer_sequence = d->sequence;
	s->peer_us = now_us;
	s->peer_sent_us = d->sent_us;
	s->floor = s->sequence + 1;
	*heard = (struct keepalive_heard){
	    .node = d->node,
	    .boot = d->boot,
	    .restarted = !known,
	    .hears_us = age >= 0,
	    .age_us = age,
	    .rtt_us = rtt,
	    .payload = d->payload,
	    .payload_len = d->payload_len,
	};
	return KEEPALIVE_FINE;
}
