/* SPDX-License-Identifier: ISC */
/*
 * The keepalive's codec. Decoding believes nothing before the signature but what it needs to find it: the
 * length, the magic and the version. Values out of range behind a good signature are a peer's bug, and are
 * dropped as such.
 */
#include "peerlink/datagram.h"
#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC 0x4d4c4b41u /* "MLKA" */

/* Where each field stands; see the header. */
enum {
	AT_MAGIC = 0,
	AT_VERSION = 4,
	AT_NODE = 5,
	AT_PATH = 6,
	AT_FLAGS = 7,
	AT_BOOT = 8,
	AT_SEQUENCE = 16,
	AT_ECHO_BOOT = 24,
	AT_ECHO_SEQUENCE = 32,
	AT_ECHO_AGE = 40,
	AT_SENT = 44,
	AT_LENGTH = 48,
	AT_ZERO = 50,
};
static_assert(AT_ZERO + 2 == KEEPALIVE_HEAD, "the fields fill the head");

static void put(uint8_t *at, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size; i++)
		at[i] = (uint8_t)(value >> 8 * (size - 1 - i));
}

static uint64_t get(const uint8_t *at, unsigned size)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < size; i++)
		value = value << 8 | at[i];
	return value;
}

static void sign(const uint8_t *bytes, size_t len, const struct secret *secret,
		 uint8_t mac[static KEEPALIVE_MAC])
{
	if (!HMAC(EVP_sha256(), secret->bytes, SECRET_SIZE, bytes, len, mac, NULL))
		abort();
}

size_t keepalive_encode(const struct keepalive_datagram *d, const struct secret *secret,
			uint8_t bytes[static KEEPALIVE_MAX])
{
	assert(d->payload_len <= KEEPALIVE_PAYLOAD_MAX);
	size_t signed_len = KEEPALIVE_HEAD + (size_t)d->payload_len;
	put(bytes + AT_MAGIC, 4, MAGIC);
	put(bytes + AT_VERSION, 1, KEEPALIVE_VERSION);
	put(bytes + AT_NODE, 1, d->node);
	put(bytes + AT_PATH, 1, d->path);
	put(bytes + AT_FLAGS, 1, d->flags);
	put(bytes + AT_BOOT, 8, d->boot);
	put(bytes + AT_SEQUENCE, 8, d->sequence);
	put(bytes + AT_ECHO_BOOT, 8, d->echo_boot);
	put(bytes + AT_ECHO_SEQUENCE, 8, d->echo_sequence);
	put(bytes + AT_ECHO_AGE, 4, d->echo_age_us);
	put(bytes + AT_SENT, 4, d->sent_us);
	put(bytes + AT_LENGTH, 2, d->payload_len);
	put(bytes + AT_ZERO, 2, 0);
	memcpy(bytes + KEEPALIVE_HEAD, d->payload, d->payload_len);
	sign(bytes, signed_len, secret, bytes + signed_len);
	return signed_len + KEEPALIVE_MAC;
}

enum keepalive_drop keepalive_decode(const uint8_t *bytes, size_t len, const struct secret *secret,
				     struct keepalive_datagram *datagram)
{
	if (len > KEEPALIVE_MAX)
		return KEEPALIVE_OVERSIZE;
	if (len < KEEPALIVE_HEAD + KEEPALIVE_MAC)
		return KEEPALIVE_BAD_LENGTH;
	if (get(bytes + AT_MAGIC, 4) != MAGIC)
		return KEEPALIVE_BAD_MAGIC;
	if (bytes[AT_VERSION] != KEEPALIVE_VERSION)
		return KEEPALIVE_BAD_VERSION;
	size_t signed_len = len - KEEPALIVE_MAC;
	if (get(bytes + AT_LENGTH, 2) != signed_len - KEEPALIVE_HEAD)
		return KEEPALIVE_BAD_LENGTH;
	uint8_t mac[KEEPALIVE_MAC];
	sign(bytes, signed_len, secret, mac);
	if (CRYPTO_memcmp(mac, bytes + signed_len, KEEPALIVE_MAC) != 0)
		return KEEPALIVE_BAD_MAC;

	struct keepalive_datagram read = {
	    .node = bytes[AT_NODE],
	    .path = bytes[AT_PATH],
	    .flags = bytes[AT_FLAGS],
	    .boot = get(bytes + AT_BOOT, 8),
	    .sequence = get(bytes + AT_SEQUENCE, 8),
	    .echo_boot = get(bytes + AT_ECHO_BOOT, 8),
	    .echo_sequence = get(bytes + AT_ECHO_SEQUENCE, 8),
	    .echo_age_us = (uint32_t)get(bytes + AT_ECHO_AGE, 4),
	    .sent_us = (uint32_t)get(bytes + AT_SENT, 4),
	    .payload_len = (uint16_t)(signed_len - KEEPALIVE_HEAD),
	};
	if ((read.node != 1 && read.node != 2) || read.boot == 0 || read.sequence == 0)
		return KEEPALIVE_BAD_NODE;
	memcpy(read.payload, bytes + KEEPALIVE_HEAD, read.payload_len);
	*datagram = read;
	return KEEPALIVE_FINE;
}

const char *keepalive_drop_text(enum keepalive_drop drop)
{
	static const char *const texts[KEEPALIVE_DROP_COUNT] = {
#define X(name, words) [name] = (words),
	    KEEPALIVE_DROPS(X)
#undef X
	};
	return drop < KEEPALIVE_DROP_COUNT ? texts[drop] : "unknown";
}
