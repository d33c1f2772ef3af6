/* SPDX-License-Identifier: ISC */
/*
 * The keepalive on the wire, and nothing else: pure, no clock, no socket.
 *
 *	 0  4  magic "MLKA"		24  8  echo: the peer's boot id, 0 = nothing heard on this path
 *	 4  1  version, 1		32  8  echo: its newest sequence heard on this path
 *	 5  1  node number, 1 or 2	40  4  echo: how long ago that was, in us (saturating)
 *	 6  1  path index		44  4  sent at, in us of the sender's clock (wraps)
 *	 7  1  flags			48  2  length of the payload, 0..256
 *	 8  8  boot id, not 0		50  2  zero, ignored
 *	16  8  sequence, not 0		52  .  payload, then HMAC-SHA256 (32) over all before it
 *
 * All numbers are big-endian. Unknown flags are ignored.
 */
#ifndef PEERLINK_DATAGRAM_H
#define PEERLINK_DATAGRAM_H

#include "peerlink/pki.h"
#include <stddef.h>
#include <stdint.h>

#define KEEPALIVE_VERSION     1
#define KEEPALIVE_HEAD        52
#define KEEPALIVE_MAC         32
#define KEEPALIVE_PAYLOAD_MAX 256
#define KEEPALIVE_MAX         (KEEPALIVE_HEAD + KEEPALIVE_PAYLOAD_MAX + KEEPALIVE_MAC)

enum keepalive_flag {
	KEEPALIVE_PROBE = 1, /* answer at once */
};

/* Why a datagram was dropped, in the order of the checks: name, words. */
#define KEEPALIVE_DROPS(X)                                                                                   \
	X(KEEPALIVE_FINE, "fine")                                                                            \
	X(KEEPALIVE_OVERSIZE, "too long")                                                                    \
	X(KEEPALIVE_BAD_HOPS, "hop limit not 255")                                                           \
	X(KEEPALIVE_BAD_ADDRESS, "not from the peer's address")                                              \
	X(KEEPALIVE_BAD_LENGTH, "bad length")                                                                \
	X(KEEPALIVE_BAD_MAGIC, "not a keepalive")                                                            \
	X(KEEPALIVE_BAD_VERSION, "unknown version")                                                          \
	X(KEEPALIVE_BAD_MAC, "not signed with our secret")                                                   \
	X(KEEPALIVE_BAD_NODE, "bad node number, boot id or sequence")                                        \
	X(KEEPALIVE_BAD_PATH, "belongs to another path")                                                     \
	X(KEEPALIVE_REFLECTED, "our own")                                                                    \
	X(KEEPALIVE_REPLAYED, "sequence not newer")                                                          \
	X(KEEPALIVE_STALE_BOOT, "boot id not proven fresh")                                                  \
	X(KEEPALIVE_CONFLICT, "the peer has our node number")

enum keepalive_drop {
#define X(name, words) name,
	KEEPALIVE_DROPS(X)
#undef X
	    KEEPALIVE_DROP_COUNT
};

struct keepalive_datagram {
	uint8_t node;       /* 1 or 2 */
	uint8_t path;       /* index */
	uint8_t flags;      /* enum keepalive_flag */
	uint64_t boot;      /* the sender's */
	uint64_t sequence;  /* the sender's on this path, from 1 */
	uint64_t echo_boot; /* 0 = nothing heard on this path */
	uint64_t echo_sequence;
	uint32_t echo_age_us;
	uint32_t sent_us;
	uint16_t payload_len; /* 0..KEEPALIVE_PAYLOAD_MAX */
	uint8_t payload[KEEPALIVE_PAYLOAD_MAX];
};

/* Write and sign; the fields must be in range. Returns the bytes written. */
size_t keepalive_encode(const struct keepalive_datagram *datagram, const struct secret *secret,
			uint8_t bytes[static KEEPALIVE_MAX]);

/*
 * Check and read. KEEPALIVE_FINE, or which of OVERSIZE, BAD_LENGTH, BAD_MAGIC, BAD_VERSION, BAD_MAC, BAD_NODE
 * it failed on, with `*datagram` untouched. Only the lengths, the magic and the version are looked at before
 * the signature.
 */
enum keepalive_drop keepalive_decode(const uint8_t *bytes, size_t len, const struct secret *secret,
				     struct keepalive_datagram *datagram);

const char *keepalive_drop_text(enum keepalive_drop drop);

#endif
