/* SPDX-License-Identifier: ISC */
/*
 * Frames: a stream of several frames is cut the same wherever it is split, a length is judged as soon as it
 * is there, and the bytes behind the given size are never looked at (the buffers are exact, for the sanitizer
 * to see).
 */
#include "proto/frame.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT 64

/* What a reader with a growing buffer makes of a stream that arrives in pieces: payloads, concatenated with a
 * mark. */
struct reader {
	uint8_t kept[512];
	size_t have;
	char seen[512];
};

static enum frame_status feed(struct reader *r, const uint8_t *bytes, size_t size)
{
	memcpy(r->kept + r->have, bytes, size);
	r->have += size;
	for (;;) {
		struct frame frame;
		uint8_t *exact = malloc(r->have ? r->have : 1);
		memcpy(exact, r->kept, r->have);
		enum frame_status status = frame_cut(exact, r->have, LIMIT, &frame);
		if (status == FRAME_READY) {
			size_t used = strlen(r->seen);
			snprintf(r->seen + used, sizeof(r->seen) - used, "%.*s|", (int)frame.len,
				 (const char *)frame.payload);
			memmove(r->kept, r->kept + frame.whole, r->have - frame.whole);
			r->have -= frame.whole;
		} else {
			assert_null(frame.payload);
		}
		free(exact);
		if (status != FRAME_READY)
			return status;
	}
}

static size_t put_frame(uint8_t *at, const char *payload)
{
	size_t len = strlen(payload);
	frame_head(at, len);
	for (size_t i = 0; i < len; i++)
		at[FRAME_HEAD + i] = (uint8_t)payload[i];
	return FRAME_HEAD + len;
}

static void every_split_gives_the_same_frames(void **state)
{
	uint8_t stream[256];
	size_t size = 0;
	(void)state;
	size += put_frame(stream + size, "a");
	size += put_frame(stream + size, "hello, peer");
	size += put_frame(stream + size,
			  "0123456789012345678901234567890123456789012345678901234567890123"); /* = LIMIT */
	size += put_frame(stream + size, "z");
	for (size_t first = 0; first <= size; first++) {
		for (size_t second = first; second <= size; second++) {
			struct reader r = {0};
			assert_int_equal(feed(&r, stream, first), FRAME_MORE);
			assert_int_equal(feed(&r, stream + first, second - first), FRAME_MORE);
			assert_int_equal(feed(&r, stream + second, size - second), FRAME_MORE);
			assert_string_equal(
			    r.seen, "a|hello, peer|"
				    "0123456789012345678901234567890123456789012345678901234567890123|z|");
			assert_int_equal(r.have, 0);
		}
	}
}

static void one_byte_at_a_time(void **state)
{
	uint8_t stream[32];
	struct reader r = {0};
	(void)state;
	size_t size = put_frame(stream, "slow");
	size += put_frame(stream + size, "ly");
	for (size_t i = 0; i < size; i++)
		assert_int_equal(feed(&r, stream + i, 1), FRAME_MORE);
	assert_string_equal(r.seen, "slow|ly|");
}

static void more_tells_what_to_wait_for(void **state)
{
	const uint8_t head[] = {0, 0, 1, 2};
	struct frame frame;
	(void)state;
	for (size_t size = 0; size < FRAME_HEAD; size++) {
		assert_int_equal(frame_cut(head, size, 1000, &frame), FRAME_MORE);
		assert_int_equal(frame.whole, FRAME_HEAD);
		assert_int_equal(frame.len, 0);
	}
	assert_int_equal(frame_cut(head, FRAME_HEAD, 1000, &frame), FRAME_MORE);
	assert_int_equal(frame.whole, FRAME_HEAD + 0x102);
	assert_int_equal(frame.len, 0x102);
}

static void violations_need_no_more_than_the_length(void **state)
{
	static const struct {
		uint8_t head[FRAME_HEAD];
		size_t limit;
		enum frame_status status;
	} rows[] = {
	    {{0, 0, 0, 0}, LIMIT, FRAME_EMPTY},
	    {{0, 0, 0, 0}, 0, FRAME_EMPTY},
	    {{0, 0, 0, 1}, 0, FRAME_OVERSIZE},
	    {{0, 0, 0, LIMIT}, LIMIT, FRAME_MORE},
	    {{0, 0, 0, LIMIT + 1}, LIMIT, FRAME_OVERSIZE},
	    {{0xff, 0xff, 0xff, 0xff}, LIMIT, FRAME_OVERSIZE},
	    {{0x80, 0, 0, 0}, 1024 * 1024, FRAME_OVERSIZE},
	    {{0, 0x10, 0, 0}, 1024 * 1024, FRAME_MORE},
	    {{'G', 'E', 'T', ' '}, 1024 * 1024, FRAME_OVERSIZE},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct frame frame;
		assert_int_equal(frame_cut(rows[i].head, FRAME_HEAD, rows[i].limit, &frame), rows[i].status);
	}
}

static void the_limit_may_change_between_calls(void **state)
{
	uint8_t stream[FRAME_HEAD + 10];
	struct frame frame;
	(void)state;
	size_t size = put_frame(stream, "0123456789");
	assert_int_equal(frame_cut(stream, size, 9, &frame), FRAME_OVERSIZE);
	assert_int_equal(frame_cut(stream, size, 10, &frame), FRAME_READY);
	assert_int_equal(frame.len, 10);
	assert_ptr_equal(frame.payload, stream + FRAME_HEAD);
}

static void head_is_big_endian(void **state)
{
	uint8_t head[FRAME_HEAD];
	(void)state;
	frame_head(head, 0x01020304);
	assert_memory_equal(head, "\x01\x02\x03\x04", FRAME_HEAD);
	frame_head(head, UINT32_MAX);
	assert_memory_equal(head, "\xff\xff\xff\xff", FRAME_HEAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_split_gives_the_same_frames),
	    cmocka_unit_test(one_byte_at_a_time),
	    cmocka_unit_test(more_tells_what_to_wait_for),
	    cmocka_unit_test(violations_need_no_more_than_the_length),
	    cmocka_unit_test(the_limit_may_change_between_calls),
	    cmocka_unit_test(head_is_big_endian),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
