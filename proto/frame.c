/* SPDX-License-Identifier: ISC */
/*
 * Frames of a byte stream. The order of the checks is the point: the length is judged as soon as it is
 * complete and before anyone is told to wait for (and so to make room for) what it announces.
 */
#include "proto/frame.h"
#include <assert.h>

enum frame_status frame_cut(const uint8_t *bytes, size_t size, size_t limit, struct frame *frame)
{
	*frame = (struct frame){.whole = FRAME_HEAD};
	if (size < FRAME_HEAD)
		return FRAME_MORE;
	frame->len = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
	if (frame->len == 0)
		return FRAME_EMPTY;
	if (frame->len > limit)
		return FRAME_OVERSIZE;
	frame->whole = FRAME_HEAD + frame->len;
	if (size < frame->whole)
		return FRAME_MORE;
	frame->payload = bytes + FRAME_HEAD;
	return FRAME_READY;
}

void frame_head(uint8_t head[static FRAME_HEAD], size_t len)
{
	assert(len > 0 && len <= UINT32_MAX);
	head[0] = (uint8_t)(len >> 24);
	head[1] = (uint8_t)(len >> 16);
	head[2] = (uint8_t)(len >> 8);
	head[3] = (uint8_t)len;
}

const char *frame_status_text(enum frame_status status)
{
	switch (status) {
	case FRAME_READY:
		return "whole frame";
	case FRAME_MORE:
		return "part of a frame";
	case FRAME_EMPTY:
		return "frame of zero length";
	case FRAME_OVERSIZE:
		return "frame over the limit";
	}
	return "unknown";
}
