/* SPDX-License-Identifier: ISC */
/*
 * Frames of a byte stream: a 4-byte big-endian length, then that many bytes of payload.
 *
 * What it is: one pure function that looks at the bytes at the front of a stream and says whether a frame is
 * there, and one that writes the length in front of a payload. It keeps nothing, allocates nothing, does no
 * I/O: the caller's buffer is the only memory there is, and a length over the caller's limit is refused as
 * soon as its four bytes are there, so that nobody makes room for it.
 *
 * What it is not: it does not know what a payload means.
 */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_HEAD 4 /* bytes of length in front of each payload */

enum frame_status {
	FRAME_READY,    /* a whole frame stands at the front */
	FRAME_MORE,     /* its rest has not come yet */
	FRAME_EMPTY,    /* violation: length zero */
	FRAME_OVERSIZE, /* violation: length over the limit */
};

/* The frame at the front of a buffer. `payload` points into that buffer and lives as long as it does. */
struct frame {
	const uint8_t *payload; /* FRAME_READY only, NULL otherwise */
	size_t len;             /* bytes of payload, as announced; 0 while the length itself is incomplete */
	size_t
	    whole; /* head and payload: what to drop after FRAME_READY, what to wait for after FRAME_MORE */
};

/*
 * Look at the `size` bytes at `bytes` for a frame of at most `limit` bytes of payload. `limit` may differ
 * from call to call. Fills `*frame` for every status; after a violation the stream cannot be read any
 * further.
 */
enum frame_status frame_cut(const uint8_t *bytes, size_t size, size_t limit, struct frame *frame);

/* Write the head of a payload of `len` bytes, 1..UINT32_MAX. */
void frame_head(uint8_t head[static FRAME_HEAD], size_t len);

/* The reason in words: "frame of zero length", "frame over the limit", ... */
const char *frame_status_text(enum frame_status status);

#endif
