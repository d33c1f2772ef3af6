/* SPDX-License-Identifier: ISC */
/*
 * proto/message.c - the trust border: PeerMessage bytes to struct message and back.
 *
 * The rules are in wire.c, one check per kind, run here in both directions: decoding refuses what breaks one,
 * and a message of our own that breaks one is our bug and asserts.
 *
 * protobuf-c decodes into an arena, one allocation with a hard end that is freed at once: fast for batches of
 * a thousand entries, and whatever the peer sends, decoding it costs at most ARENA_MAX bytes of memory.
 */
#include "proto/message.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "proto/wire.h"

TYPES_DEFINE(message_kind, MESSAGE_KINDS, MESSAGE_KIND_COUNT)
TYPES_DEFINE(table, TABLES, TABLE_COUNT)

#define ARENA_PER_BYTE                                                                                       \
	64 /* more than protobuf-c needs per byte of any message: an unknown field costs 40                  \
	    */
#define ARENA_MAX   (1 << 20)
#define ARENA_ALIGN 16

/* What one decode may use. Nothing in it is freed by itself. */
struct arena {
	ProtobufCAllocator allocator;
	uint8_t *bytes;
	size_t size, used;
	bool full; /* something did not fit */
};

static void *arena_alloc(void *data, size_t size)
{
	struct arena *a = data;

	if (size > a->size - a->used) {
		a->full = true;
		return NULL;
	}
	void *p = a->bytes + a->used;
	size_t rounded = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
	a->used = rounded > a->size - a->used ? a->size : a->used + rounded;
	return p;
}

static void arena_free(void *data, void *p)
{
	(void)data;
	(void)p;
}

static void arena_init(struct arena *a, size_t message_size)
{
	size_t size = ARENA_PER_BYTE * (message_size + ARENA_PER_BYTE);

	if (size > ARENA_MAX)
		size = ARENA_MAX;
	*a = (struct arena){.bytes = wire_malloc(size), .size = size};
	a->allocator = (ProtobufCAllocator){arena_alloc, arena_free, a};
}

static struct spot spot(const char *message, char *why)
{
	struct spot at = {.message = message};

	at.why = why;
	return at;
}

/* Unpacks into an arena, which the caller frees in any case. NULL with the reason when that is impossible. */
static void *unpack(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size, size_t limit,
		    struct arena *a, const struct spot *at)
{
	void *unpacked = NULL;

	*a = (struct arena){0};
	if (size > limit) {
		wire_refuse(at, "%zu bytes are more than %zu", size, limit);
		return NULL;
	}
	arena_init(a, size);
	unpacked = protobuf_c_message_unpack(type, &a->allocator, size, bytes);
	if (!unpacked && a->full)
		wire_refuse(at, "does not fit into %zu bytes of memory", a->size);
	else if (!unpacked)
		wire_refuse(at, "%zu bytes that are no %s", size, type->short_name);
	return unpacked;
}

/* --- messages ----------------------------------------------------------------------------------------- */

void message_encode(const struct message *m, uint8_t **bytes, size_t *size)
{
	struct wire w = {.macs = NULL, .mac_pointers = NULL};
	char why[MESSAGE_WHY_SIZE];

	assert(m->kind < MESSAGE_KIND_COUNT);
	const struct wire_kind *kind = &wire_kinds[m->kind];
	mclag__peer__peer_message__init(&w.top);
	w.top.kind_case = (Mclag__Peer__PeerMessage__KindCase)(m->kind + 1);
	kind->put(m, &w);

	int invalid = kind->check(&w.top, &(struct spot){.message = message_kind_name(m->kind), .why = why});
	assert(!invalid);

	*size = mclag__peer__peer_message__get_packed_size(&w.top);
	*bytes = wire_malloc(*size);
	mclag__peer__peer_message__pack(&w.top, *bytes);
	free(w.mac_pointers);
	free(w.macs);
}

/* The kind of an unpacked message, or -ENOMSG or -EBADMSG. */
static int kind_of(const peer_message *p, const struct spot *at)
{
	if (p->kind_case != MCLAG__PEER__PEER_MESSAGE__KIND__NOT_SET)
		return (int)p->kind_case - 1;
	if (!p->base.n_unknown_fields)
		return wire_refuse(at, "is empty");
	wire_refuse(at, "kind %u is not known to this version", p->base.unknown_fields[0].tag);
	return -ENOMSG;
}

int message_decode(const uint8_t *bytes, size_t size, struct message *m, char why[static MESSAGE_WHY_SIZE])
{
	struct spot at = spot("message", why);
	struct arena arena;
	int rc = -EBADMSG;
	const peer_message *p =
	    unpack(&mclag__peer__peer_message__descriptor, bytes, size, MESSAGE_LIMIT, &arena, &at);

	if (!p)
		goto out;
	rc = kind_of(p, &at);
	if (rc < 0)
		goto out;

	struct message decoded = {.kind = (enum message_kind)rc};
	at.message = message_kind_name(decoded.kind);
	rc = wire_kinds[decoded.kind].check(p, &at);
	if (rc < 0)
		goto out;
	wire_kinds[decoded.kind].get(p, &decoded);
	*m = decoded;
out:
	free(arena.bytes);
	return rc;
}

static bool has_batch(const struct message *m)
{
	return m->kind == MESSAGE_ENTRIES || m->kind == MESSAGE_UPDATE;
}

void message_copy(struct message *to, const struct message *from)
{
	*to = *from;
	if (!has_batch(from))
		return;
	to->batch.entries = wire_malloc((from->batch.count + 1) * sizeof(*from->batch.entries));
	for (uint32_t i = 0; i < from->batch.count; i++)
		to->batch.entries[i] = from->batch.entries[i];
}

void message_clear(struct message *m)
{
	if (has_batch(m))
		free(m->batch.entries);
	*m = (struct message){.kind = MESSAGE_HELLO};
}

bool message_equal(const struct message *a, const struct message *b)
{
	return a->kind == b->kind && wire_kinds[a->kind].equal(a, b);
}

/* --- digest: normative in peer.proto, at Digest -------------------------------------------------------- */

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t entry_hash(const struct mac_entry *e)
{
	uint64_t a = mac_to_u64(e->mac) << 16 | e->mclag;
	uint64_t b = (uint64_t)e->moves << 32 | (uint64_t)e->vlan << 1 | e->fixed;

	return mix(mix(a + UINT64_C(0x9e3779b97f4a7c15)) ^ b);
}

/* --- beacon ------------------------------------------------------------------------------------------- */

size_t beacon_encode(const struct beacon *b, uint8_t buf[static BEACON_LIMIT])
{
	Mclag__Peer__Beacon w = MCLAG__PEER__BEACON__INIT;
	char why[MESSAGE_WHY_SIZE];

	int invalid = wire_put_beacon(b, &w, &(struct spot){.message = "beacon", .why = why});
	assert(!invalid);
	assert(mclag__peer__beacon__get_packed_size(&w) <= BEACON_LIMIT);
	return mclag__peer__beacon__pack(&w, buf);
}

int beacon_decode(const uint8_t *bytes, size_t size, struct beacon *b, char why[static MESSAGE_WHY_SIZE])
{
	struct spot at = spot("beacon", why);
	struct arena arena;
	int rc = -EBADMSG;
	const Mclag__Peer__Beacon *w =
	    unpack(&mclag__peer__beacon__descriptor, bytes, size, BEACON_LIMIT, &arena, &at);

	if (!w)
		goto out;
	rc = wire_get_beacon(w, b, &at);
out:
	free(arena.bytes);
	return rc;
}
