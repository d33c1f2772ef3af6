/* SPDX-License-Identifier: ISC */
/*
 * Frame cutting: byte 0 chooses the limit, the rest is a stream. Cut from the whole of it, and from a buffer
 * that grows by one byte at a time, it must give the same frames and the same end, and no frame over the
 * limit.
 */
#include "fuzz.h"
#include "proto/frame.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	size_t limit = data[0];
	const uint8_t *stream = data + 1;
	size_t at = 0;
	for (size--;;) {
		struct frame whole, part;
		enum frame_status end = frame_cut(stream + at, size - at, limit, &whole);
		size_t seen = 0;
		enum frame_status status;
		do {
			uint8_t *exact =
			    malloc(seen ? seen : 1); /* for the sanitizer to see a read behind it */
			REQUIRE(exact);
			memcpy(exact, stream + at, seen);
			status = frame_cut(exact, seen, limit, &part);
			REQUIRE(status != FRAME_MORE || part.whole > seen);
			free(exact);
		} while (status == FRAME_MORE && seen++ < size - at);
		REQUIRE(status == end);
		REQUIRE(part.len == whole.len && part.whole == whole.whole);
		if (end != FRAME_READY)
			return 0;
		REQUIRE(whole.len >= 1 && whole.len <= limit && whole.payload == stream + at + FRAME_HEAD);
		REQUIRE(at + whole.whole <= size);
		at += whole.whole;
	}
}
