/* SPDX-License-Identifier: ISC */
/* One schedule, one sender; every listener keeps its own account of the same frames. */
#include "stream.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define BURST 64

void stream_listen(struct stream *stream, struct endpoint *endpoint, bool unsolicited, const char *name)
{
	struct listener *listener = &stream->listeners[stream->listener_count++];

	assert(stream->listener_count <= 2 * STREAM_LISTENERS);
	*listener = (struct listener){.endpoint = endpoint, .unsolicited = unsolicited};
	snprintf(listener->name, sizeof(listener->name), "%s", name);
	listener->heard = calloc((stream->flows + 63) / 64, sizeof(uint64_t));
	if (!listener->heard)
		abort();
}

void stream_clear(struct stream *stream)
{
	for (uint32_t i = 0; i < stream->listener_count; i++) {
		account_free(stream->listeners[i].account);
		free(stream->listeners[i].heard);
	}
	stream->listener_count = 0;
}

void stream_warm(struct stream *stream, struct mark *mark)
{
	mark->stream = stream->id;
	for (uint32_t flow = 0; flow < stream->flows; flow++) {
		mark->index = flow;
		/* Refused is as good as lost here: the next round tries again. */
		(void)endpoint_send(stream->sender, flow, mark, stream->size);
	}
}

bool stream_warmed(const struct stream *stream)
{
	for (uint32_t i = 0; i < stream->listener_count; i++) {
		const struct listener *listener = &stream->listeners[i];

		for (uint32_t flow = 0; flow < stream->flows && !listener->unsolicited; flow++)
			if (!(listener->heard[flow / 64] >> (flow % 64) & 1))
				return false;
	}
	return true;
}

void stream_count(struct stream *stream, const struct account_limits *limits, nsec start)
{
	stream->due = start;
	for (uint32_t i = 0; i < stream->listener_count; i++) {
		struct listener *listener = &stream->listeners[i];
		struct account_limits own = *limits;

		own.flows = stream->flows;
		own.spacing = stream->spacing;
		own.unsolicited = listener->unsolicited;
		listener->account = account_new(&own);
		listener->dropped_before = endpoint_dropped(listener->endpoint);
	}
}

void stream_send(struct stream *stream, struct mark *mark, nsec now)
{
	if (now > stream->due + STREAM_CATCH_UP) {
		for (uint32_t i = 0; i < stream->listener_count; i++)
			account_late(stream->listeners[i].account, now - stream->due);
		stream->due = now;
	}
	mark->stream = stream->id;
	for (uint32_t burst = 0; stream->due <= now && burst < BURST;
	     burst++, stream->due += stream->spacing) {
		uint64_t index = account_next(stream->listeners[0].account);
		bool refused;

		mark->index = index;
		refused =
		    endpoint_send(stream->sender, (uint32_t)(index % stream->flows), mark, stream->size) < 0;
		for (uint32_t i = 0; i < stream->listener_count; i++)
			account_sent(stream->listeners[i].account, now, stream->due, refused);
	}
}

void stream_received(struct stream *stream, const struct endpoint *endpoint, const struct mark *mark,
		     nsec now, bool counting)
{
	for (uint32_t i = 0; i < stream->listener_count; i++) {
		struct listener *listener = &stream->listeners[i];

		if (listener->endpoint != endpoint)
			continue;
		if (counting)
			account_received(listener->account, mark->index, now);
		else if (mark->index < stream->flows)
			listener->heard[mark->index / 64] |= (uint64_t)1 << (mark->index % 64);
	}
}

void stream_mark(struct stream *stream)
{
	for (uint32_t i = 0; i < stream->listener_count; i++) {
		struct listener *listener = &stream->listeners[i];

		account_mark(listener->account);
		listener->closed_ready = false;
	}
}

bool stream_settle(struct stream *stream, nsec now)
{
	bool all = true;

	for (uint32_t i = 0; i < stream->listener_count; i++) {
		struct listener *listener = &stream->listeners[i];

		if (account_settle(listener->account, now, &listener->closed)) {
			uint64_t dropped = endpoint_dropped(listener->endpoint);

			listener->closed_ready = true;
			listener->dropped = dropped - listener->dropped_before;
			listener->dropped_before = dropped;
			listener->dropped_total += listener->dropped;
		}
		all = all && listener->closed_ready;
	}
	return all;
}
