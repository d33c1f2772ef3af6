/* SPDX-License-Identifier: ISC */
/*
 * proto/wire.c - the rules of peer.proto, kind by kind.
 *
 * Per kind there are four functions, side by side, and one row in wire_kinds: check (on the decoded
 * protobuf), get (protobuf to plain C), put (the way back) and equal. A new field touches these four.
 */
#include "proto/wire.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The numbers of the wire are those of our enums, plus one where zero means "unspecified". */
static_assert((int)MCLAG__PEER__PEER_MESSAGE__KIND_HELLO == MESSAGE_HELLO + 1, "kind");
static_assert((int)MCLAG__PEER__PEER_MESSAGE__KIND_LEG_STATE == MESSAGE_LEG_STATE + 1, "kind");
static_assert((int)MCLAG__PEER__PEER_MESSAGE__KIND_LEG_REQUEST == MESSAGE_LEG_REQUEST + 1, "kind");
static_assert((int)MCLAG__PEER__PEER_MESSAGE__KIND_LEG_GRANT == MESSAGE_LEG_GRANT + 1, "kind");
static_assert((int)MCLAG__PEER__PEER_MESSAGE__KIND_TABLE_BEGIN == MESSAGE_TABLE_BEGIN + 1, "kind");
static_assert((int)MCLAG__PEER__PEER_MESSAGE__KIND_ENTRIES == MESSAGE_ENTRIES + 1, "kind");
static_assert((int)MCLAG__PEER__PEER_MESSAGE__KIND_TABLE_END == MESSAGE_TABLE_END + 1, "kind");
static_assert((int)MCLAG__PEER__PEER_MESSAGE__KIND_TABLE_ACK == MESSAGE_TABLE_ACK + 1, "kind");
static_assert((int)MCLAG__PEER__PEER_MESSAGE__KIND_UPDATE == MESSAGE_UPDATE + 1, "kind");
static_assert((int)MCLAG__PEER__PEER_MESSAGE__KIND_DIGEST == MESSAGE_DIGEST + 1, "kind");
static_assert((int)MCLAG__PEER__PEER_MESSAGE__KIND_GOODBYE == MESSAGE_GOODBYE + 1, "kind");
static_assert(MESSAGE_KIND_COUNT == 11, "kind");
static_assert((int)MCLAG__PEER__ROLE__ROLE_NONE == ROLE_NONE, "role");
static_assert((int)MCLAG__PEER__ROLE__ROLE_PRIMARY == ROLE_PRIMARY, "role");
static_assert((int)MCLAG__PEER__ROLE__ROLE_SECONDARY == ROLE_SECONDARY && ROLE_COUNT == 3, "role");
static_assert((int)MCLAG__PEER__LEG_PHASE__LEG_PHASE_HELD == LEG_HELD + 1, "phase");
static_assert((int)MCLAG__PEER__LEG_PHASE__LEG_PHASE_REQUESTING == LEG_REQUESTING + 1, "phase");
static_assert((int)MCLAG__PEER__LEG_PHASE__LEG_PHASE_OPENING == LEG_OPENING + 1, "phase");
static_assert((int)MCLAG__PEER__LEG_PHASE__LEG_PHASE_FORWARDING == LEG_FORWARDING + 1, "phase");
static_assert((int)MCLAG__PEER__LEG_PHASE__LEG_PHASE_LEAVING == LEG_LEAVING + 1, "phase");
static_assert(LEG_PHASE_COUNT == 5, "phase");
static_assert((int)MCLAG__PEER__HOLD__HOLD_CARRIER == HOLD_CARRIER, "hold");
static_assert((int)MCLAG__PEER__HOLD__HOLD_PARTNER == HOLD_PARTNER, "hold");
static_assert((int)MCLAG__PEER__HOLD__HOLD_BOOT == HOLD_BOOT, "hold");
static_assert((int)MCLAG__PEER__HOLD__HOLD_SYNC == HOLD_SYNC, "hold");
static_assert((int)MCLAG__PEER__HOLD__HOLD_GRANT == HOLD_GRANT, "hold");
static_assert((int)MCLAG__PEER__HOLD__HOLD_PEER_LINK == HOLD_PEER_LINK, "hold");
static_assert((int)MCLAG__PEER__HOLD__HOLD_DATAPLANE == HOLD_DATAPLANE, "hold");
static_assert((int)MCLAG__PEER__HOLD__HOLD_STOPPING == HOLD_STOPPING && HOLD_COUNT == 8, "hold");
static_assert((int)MCLAG__PEER__TABLE__TABLE_MAC == TABLE_MAC + 1 && TABLE_COUNT == 1, "table");

/* --- rules -------------------------------------------------------------------------------------------- */

int wire_refuse(const struct spot *at, const char *format, ...)
{
	char what[96];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (at->entry)
		snprintf(at->why, MESSAGE_WHY_SIZE, "%s: entry %zu: %s", at->message, *at->entry, what);
	else
		snprintf(at->why, MESSAGE_WHY_SIZE, "%s: %s", at->message, what);
	return -EBADMSG;
}

struct rule {
	const char *field; /* NULL ends a list */
	uint64_t value, min, max;
};

#define CHECK_RANGES(at, ...) check_ranges(at, (const struct rule[]){__VA_ARGS__, {.field = NULL}})

static int check_ranges(const struct spot *at, const struct rule *r)
{
	for (; r->field; r++)
		if (r->value < r->min || r->value > r->max)
			return wire_refuse(at, "%s %" PRIu64 " is not %" PRIu64 "..%" PRIu64, r->field,
					   r->value, r->min, r->max);
	return 0;
}

#define MAC_BITS ((UINT64_C(1) << 48) - 1)

static int check_mac48(const struct spot *at, const char *field, uint64_t value)
{
	if (value > MAC_BITS)
		return wire_refuse(at, "%s 0x%" PRIx64 " has more than 48 bits", field, value);
	return 0;
}

static int check_unicast(const struct spot *at, const char *field, uint64_t value, bool or_zero)
{
	char text[MAC_TEXT_SIZE];

	if (check_mac48(at, field, value))
		return -EBADMSG;
	if (mac_is_multicast(mac_from_u64(value)) || (!value && !or_zero))
		return wire_refuse(at, "%s %s is not a unicast address%s", field,
				   mac_format(mac_from_u64(value), text), or_zero ? " or zero" : "");
	return 0;
}

/* Wire enums are open: any int may come, a negative one as a huge number. */
#define WIRE(e) ((uint32_t)(e))

#define ROLE_RULE(w)                                                                                         \
	{                                                                                                    \
		"role", WIRE((w)->role), 0, ROLE_COUNT - 1                                                   \
	}
#define TABLE_RULE(number)                                                                                   \
	{                                                                                                    \
		"table", WIRE(number), 1, TABLE_COUNT                                                        \
	}
#define MCLAG_RULE(w)                                                                                        \
	{                                                                                                    \
		"mclag", (w)->mclag, 1, MCLAG_MAX                                                            \
	}
#define U16_RULE(w, field)                                                                                   \
	{                                                                                                    \
#field, (w)->field, 0, UINT16_MAX                                                            \
	}
#define DOMAIN_RULE(w)                                                                                       \
	{                                                                                                    \
		"domain", (w)->domain, 1, DOMAIN_MAX                                                         \
	}

static enum table table_get(Mclag__Peer__Table number)
{
	return (enum table)(WIRE(number) - 1);
}

static Mclag__Peer__Table table_put(enum table table)
{
	return (Mclag__Peer__Table)(table + 1);
}

void *wire_malloc(size_t size)
{
	void *p = malloc(size);

	if (!p)
		abort();
	return p;
}

/* Hello */

static int hello_check(const peer_message *p, const struct spot *at)
{
	const Mclag__Peer__Hello *w = p->hello;

	if (CHECK_RANGES(at, {"version_min", w->version_min, 1, UINT32_MAX},
			 {"version_max", w->version_max, w->version_min, UINT32_MAX}, DOMAIN_RULE(w),
			 {"node", w->node, 1, 2}, {"boot_id", w->boot_id, 1, UINT64_MAX},
			 U16_RULE(w, priority), ROLE_RULE(w), U16_RULE(w, system_priority)))
		return -EBADMSG;
	if (check_unicast(at, "system", w->system, false))
		return -EBADMSG;
	return check_unicast(at, "via", w->via, true);
}

static void hello_get(const peer_message *p, struct message *m)
{
	const Mclag__Peer__Hello *w = p->hello;

	m->hello = (struct hello){
	    .version_min = w->version_min,
	    .version_max = w->version_max,
	    .features = w->features,
	    .domain = (uint16_t)w->domain,
	    .node = (uint8_t)w->node,
	    .boot_id = w->boot_id,
	    .epoch = w->epoch,
	    .priority = (uint16_t)w->priority,
	    .role = (enum role)w->role,
	    .carrying = w->carrying,
	    .system = mac_from_u64(w->system),
	    .system_priority = (uint16_t)w->system_priority,
	    .via = mac_from_u64(w->via),
	};
}

static void hello_put(const struct message *m, struct wire *w)
{
	const struct hello *h = &m->hello;
	Mclag__Peer__Hello *to = w->top.hello = &w->hello;

	mclag__peer__hello__init(to);
	to->version_min = h->version_min;
	to->version_max = h->version_max;
	to->features = h->features;
	to->domain = h->domain;
	to->node = h->node;
	to->boot_id = h->boot_id;
	to->epoch = h->epoch;
	to->priority = h->priority;
	to->role = (Mclag__Peer__Role)h->role;
	to->carrying = h->carrying;
	to->system = mac_to_u64(h->system);
	to->system_priority = h->system_priority;
	to->via = mac_to_u64(h->via);
}

static bool hello_equal(const struct message *ma, const struct message *mb)
{
	const struct hello *a = &ma->hello, *b = &mb->hello;

	return a->version_min == b->version_min && a->version_max == b->version_max &&
	       a->features == b->features && a->domain == b->domain && a->node == b->node &&
	       a->boot_id == b->boot_id && a->epoch == b->epoch && a->priority == b->priority &&
	       a->role == b->role && a->carrying == b->carrying && mac_equal(a->system, b->system) &&
	       a->system_priority == b->system_priority && mac_equal(a->via, b->via);
}

/* LegState */

static int lacp_check(const Mclag__Peer__LacpInfo *w, const struct spot *at)
{
	if (!w)
		return 0;
	if (CHECK_RANGES(at, U16_RULE(w, system_priority), U16_RULE(w, key), U16_RULE(w, port_priority),
			 U16_RULE(w, port), {"state", w->state, 0, UINT8_MAX}))
		return -EBADMSG;
	return check_mac48(at, "system", w->system);
}

static struct lacp_info lacp_get(const Mclag__Peer__LacpInfo *w)
{
	if (!w)
		return (struct lacp_info){0};
	return (struct lacp_info){
	    .system_priority = (uint16_t)w->system_priority,
	    .system = mac_from_u64(w->system),
	    .key = (uint16_t)w->key,
	    .port_priority = (uint16_t)w->port_priority,
	    .port = (uint16_t)w->port,
	    .state = (uint8_t)w->state,
	};
}

static bool lacp_equal(const struct lacp_info *a, const struct lacp_info *b)
{
	return a->system_priority == b->system_priority && mac_equal(a->system, b->system) &&
	       a->key == b->key && a->port_priority == b->port_priority && a->port == b->port &&
	       a->state == b->state;
}

/* Returns `to`, or NULL to leave out what is all zero. */
static Mclag__Peer__LacpInfo *lacp_put(const struct lacp_info *from, Mclag__Peer__LacpInfo *to)
{
	if (lacp_equal(from, &(struct lacp_info){0}))
		return NULL;
	mclag__peer__lacp_info__init(to);
	to->system_priority = from->system_priority;
	to->system = mac_to_u64(from->system);
	to->key = from->key;
	to->port_priority = from->port_priority;
	to->port = from->port;
	to->state = from->state;
	return to;
}

static int leg_state_check(const peer_message *p, const struct spot *at)
{
	const Mclag__Peer__LegState *w = p->leg_state;

	if (CHECK_RANGES(at, MCLAG_RULE(w), {"phase", WIRE(w->phase), 1, LEG_PHASE_COUNT},
			 {"holds", w->holds, 0, HOLD_BIT(HOLD_COUNT) - 1}))
		return -EBADMSG;
	if (lacp_check(w->actor, &(struct spot){.message = "leg_state: actor", .why = at->why}))
		return -EBADMSG;
	return lacp_check(w->partner, &(struct spot){.message = "leg_state: partner", .why = at->why});
}

static void leg_state_get(const peer_message *p, struct message *m)
{
	const Mclag__Peer__LegState *w = p->leg_state;

	m->leg_state = (struct leg_state){
	    .mclag = (uint16_t)w->mclag,
	    .carrier = w->carrier,
	    .phase = (enum leg_phase)(WIRE(w->phase) - 1),
	    .holds = w->holds,
	    .speed = w->speed,
	    .actor = lacp_get(w->actor),
	    .partner = lacp_get(w->partner),
	};
}

static void leg_state_put(const struct message *m, struct wire *w)
{
	const struct leg_state *l = &m->leg_state;
	Mclag__Peer__LegState *to = w->top.leg_state = &w->leg_state;

	mclag__peer__leg_state__init(to);
	to->mclag = l->mclag;
	to->carrier = l->carrier;
	to->phase = (Mclag__Peer__LegPhase)(l->phase + 1);
	to->holds = l->holds;
	to->speed = l->speed;
	to->actor = lacp_put(&l->actor, &w->actor);
	to->partner = lacp_put(&l->partner, &w->partner);
}

static bool leg_state_equal(const struct message *ma, const struct message *mb)
{
	const struct leg_state *a = &ma->leg_state, *b = &mb->leg_state;

	return a->mclag == b->mclag && a->carrier == b->carrier && a->phase == b->phase &&
	       a->holds == b->holds && a->speed == b->speed && lacp_equal(&a->actor, &b->actor) &&
	       lacp_equal(&a->partner, &b->partner);
}

/* LegRequest and LegGrant */

static int leg_request_check(const peer_message *p, const struct spot *at)
{
	return CHECK_RANGES(at, MCLAG_RULE(p->leg_request));
}

static void leg_request_get(const peer_message *p, struct message *m)
{
	const Mclag__Peer__LegRequest *w = p->leg_request;

	m->leg = (struct leg_handshake){.mclag = (uint16_t)w->mclag, .nonce = w->nonce};
}

static void leg_request_put(const struct message *m, struct wire *w)
{
	Mclag__Peer__LegRequest *to = w->top.leg_request = &w->leg_request;

	mclag__peer__leg_request__init(to);
	to->mclag = m->leg.mclag;
	to->nonce = m->leg.nonce;
}

static bool leg_request_equal(const struct message *a, const struct message *b)
{
	return a->leg.mclag == b->leg.mclag && a->leg.nonce == b->leg.nonce;
}

static int leg_grant_check(const peer_message *p, const struct spot *at)
{
	return CHECK_RANGES(at, MCLAG_RULE(p->leg_grant));
}

static void leg_grant_get(const peer_message *p, struct message *m)
{
	const Mclag__Peer__LegGrant *w = p->leg_grant;

	m->leg =
	    (struct leg_handshake){.mclag = (uint16_t)w->mclag, .nonce = w->nonce, .granted = w->granted};
}

static void leg_grant_put(const struct message *m, struct wire *w)
{
	Mclag__Peer__LegGrant *to = w->top.leg_grant = &w->leg_grant;

	mclag__peer__leg_grant__init(to);
	to->mclag = m->leg.mclag;
	to->nonce = m->leg.nonce;
	to->granted = m->leg.granted;
}

static bool leg_grant_equal(const struct message *a, const struct message *b)
{
	return leg_request_equal(a, b) && a->leg.granted == b->leg.granted;
}

/* Entries and Update: the same body in two kinds */

static int batch_check(const struct spot *at, Mclag__Peer__Table table, size_t count,
		       Mclag__Peer__MacEntry *const *macs, bool may_be_gone)
{
	size_t i = 0;
	const struct spot entry = {.message = at->message, .entry = &i, .why = at->why};

	if (CHECK_RANGES(at, TABLE_RULE(table), {"number of entries", count, 1, MESSAGE_ENTRIES_MAX}))
		return -EBADMSG;
	for (i = 0; i < count; i++) {
		const Mclag__Peer__MacEntry *w = macs[i];

		if (check_unicast(&entry, "mac", w->mac, false) ||
		    CHECK_RANGES(&entry, {"vlan", w->vlan, 0, VLAN_MAX}, {"mclag", w->mclag, 0, MCLAG_MAX}))
			return -EBADMSG;
		if (w->gone && !may_be_gone)
			return wire_refuse(&entry, "gone is set, which only an update may say");
	}
	return 0;
}

static struct entry_batch batch_get(Mclag__Peer__Table table, uint32_t generation, size_t count,
				    Mclag__Peer__MacEntry *const *macs)
{
	struct entry_batch b = {
	    .table = table_get(table),
	    .generation = generation,
	    .count = (uint32_t)count,
	    .entries = wire_malloc(count * sizeof(*b.entries)),
	};

	for (size_t i = 0; i < count; i++)
		b.entries[i] = (struct mac_entry){
		    .mac = mac_from_u64(macs[i]->mac),
		    .vlan = (uint16_t)macs[i]->vlan,
		    .mclag = (uint16_t)macs[i]->mclag,
		    .moves = macs[i]->moves,
		    .fixed = macs[i]->fixed,
		    .gone = macs[i]->gone,
		};
	return b;
}

static void batch_put(const struct entry_batch *b, struct wire *w)
{
	w->macs = wire_malloc((b->count + 1) * sizeof(*w->macs));
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers is what protobuf-c wants */
	w->mac_pointers = wire_malloc((b->count + 1) * sizeof(*w->mac_pointers));
	for (uint32_t i = 0; i < b->count; i++) {
		const struct mac_entry *e = &b->entries[i];
		Mclag__Peer__MacEntry *to = w->mac_pointers[i] = &w->macs[i];

		mclag__peer__mac_entry__init(to);
		to->mac = mac_to_u64(e->mac);
		to->vlan = e->vlan;
		to->mclag = e->mclag;
		to->moves = e->moves;
		to->fixed = e->fixed;
		to->gone = e->gone;
	}
}

static bool entry_equal(const struct mac_entry *a, const struct mac_entry *b)
{
	return mac_equal(a->mac, b->mac) && a->vlan == b->vlan && a->mclag == b->mclag &&
	       a->moves == b->moves && a->fixed == b->fixed && a->gone == b->gone;
}

static bool batch_equal(const struct message *ma, const struct message *mb)
{
	const struct entry_batch *a = &ma->batch, *b = &mb->batch;

	if (a->table != b->table || a->generation != b->generation || a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (!entry_equal(&a->entries[i], &b->entries[i]))
			return false;
	return true;
}

static int entries_check(const peer_message *p, const struct spot *at)
{
	const Mclag__Peer__Entries *w = p->entries;

	return batch_check(at, w->table, w->n_macs, w->macs, false);
}

static void entries_get(const peer_message *p, struct message *m)
{
	const Mclag__Peer__Entries *w = p->entries;

	m->batch = batch_get(w->table, w->generation, w->n_macs, w->macs);
}

static void entries_put(const struct message *m, struct wire *w)
{
	Mclag__Peer__Entries *to = w->top.entries = &w->entries;

	mclag__peer__entries__init(to);
	to->table = table_put(m->batch.table);
	to->generation = m->batch.generation;
	batch_put(&m->batch, w);
	to->n_macs = m->batch.count;
	to->macs = w->mac_pointers;
}

static int update_check(const peer_message *p, const struct spot *at)
{
	const Mclag__Peer__Update *w = p->update;

	return batch_check(at, w->table, w->n_macs, w->macs, true);
}

static void update_get(const peer_message *p, struct message *m)
{
	const Mclag__Peer__Update *w = p->update;

	m->batch = batch_get(w->table, w->generation, w->n_macs, w->macs);
}

static void update_put(const struct message *m, struct wire *w)
{
	Mclag__Peer__Update *to = w->top.update = &w->update;

	mclag__peer__update__init(to);
	to->table = table_put(m->batch.table);
	to->generation = m->batch.generation;
	batch_put(&m->batch, w);
	to->n_macs = m->batch.count;
	to->macs = w->mac_pointers;
}

/* TableBegin, TableEnd and Digest */

static int table_begin_check(const peer_message *p, const struct spot *at)
{
	return CHECK_RANGES(at, TABLE_RULE(p->table_begin->table));
}

static void table_begin_get(const peer_message *p, struct message *m)
{
	const Mclag__Peer__TableBegin *w = p->table_begin;

	m->mark =
	    (struct table_mark){.table = table_get(w->table), .generation = w->generation, .count = w->count};
}

static void table_begin_put(const struct message *m, struct wire *w)
{
	Mclag__Peer__TableBegin *to = w->top.table_begin = &w->table_begin;

	mclag__peer__table_begin__init(to);
	to->table = table_put(m->mark.table);
	to->generation = m->mark.generation;
	to->count = m->mark.count;
}

static bool table_begin_equal(const struct message *a, const struct message *b)
{
	return a->mark.table == b->mark.table && a->mark.generation == b->mark.generation &&
	       a->mark.count == b->mark.count;
}

static bool mark_equal(const struct message *a, const struct message *b)
{
	return table_begin_equal(a, b) && a->mark.digest == b->mark.digest;
}

static int table_end_check(const peer_message *p, const struct spot *at)
{
	return CHECK_RANGES(at, TABLE_RULE(p->table_end->table));
}

static void table_end_get(const peer_message *p, struct message *m)
{
	const Mclag__Peer__TableEnd *w = p->table_end;

	m->mark = (struct table_mark){table_get(w->table), w->generation, w->count, w->digest};
}

static void table_end_put(const struct message *m, struct wire *w)
{
	Mclag__Peer__TableEnd *to = w->top.table_end = &w->table_end;

	mclag__peer__table_end__init(to);
	to->table = table_put(m->mark.table);
	to->generation = m->mark.generation;
	to->count = m->mark.count;
	to->digest = m->mark.digest;
}

static int digest_check(const peer_message *p, const struct spot *at)
{
	return CHECK_RANGES(at, TABLE_RULE(p->digest->table));
}

static void digest_get(const peer_message *p, struct message *m)
{
	const Mclag__Peer__Digest *w = p->digest;

	m->mark = (struct table_mark){table_get(w->table), w->generation, w->count, w->digest};
}

static void digest_put(const struct message *m, struct wire *w)
{
	Mclag__Peer__Digest *to = w->top.digest = &w->digest;

	mclag__peer__digest__init(to);
	to->table = table_put(m->mark.table);
	to->generation = m->mark.generation;
	to->count = m->mark.count;
	to->digest = m->mark.digest;
}

/* TableAck */

static int table_ack_check(const peer_message *p, const struct spot *at)
{
	return CHECK_RANGES(at, TABLE_RULE(p->table_ack->table));
}

static void table_ack_get(const peer_message *p, struct message *m)
{
	const Mclag__Peer__TableAck *w = p->table_ack;

	m->ack = (struct table_ack){table_get(w->table), w->generation, w->repair};
}

static void table_ack_put(const struct message *m, struct wire *w)
{
	Mclag__Peer__TableAck *to = w->top.table_ack = &w->table_ack;

	mclag__peer__table_ack__init(to);
	to->table = table_put(m->ack.table);
	to->generation = m->ack.generation;
	to->repair = m->ack.repair;
}

static bool table_ack_equal(const struct message *a, const struct message *b)
{
	return a->ack.table == b->ack.table && a->ack.generation == b->ack.generation &&
	       a->ack.repair == b->ack.repair;
}

/* Goodbye: the reasons that may be said, a part of our list */

static int farewell_check(const char *name, Mclag__Peer__Reason reason, uint32_t seconds, unsigned least,
			  const struct spot *at)
{
	bool restart = reason == MCLAG__PEER__REASON__REASON_RESTART;

	return CHECK_RANGES(at, {name, WIRE(reason), least, MCLAG__PEER__REASON__REASON_RESTART},
			    {"seconds", seconds, restart ? 1 : 0, restart ? RESTART_SECONDS_MAX : 0});
}

static const enum reason farewells[] = {
    [MCLAG__PEER__REASON__REASON_UNSPECIFIED] = REASON_NONE,
    [MCLAG__PEER__REASON__REASON_SHUTDOWN] = REASON_SHUTDOWN,
    [MCLAG__PEER__REASON__REASON_RESTART] = REASON_RESTART,
};

static Mclag__Peer__Reason farewell_put(enum reason reason)
{
	if (reason == REASON_RESTART)
		return MCLAG__PEER__REASON__REASON_RESTART;
	return reason == REASON_SHUTDOWN ? MCLAG__PEER__REASON__REASON_SHUTDOWN
					 : MCLAG__PEER__REASON__REASON_UNSPECIFIED;
}

static int goodbye_check(const peer_message *p, const struct spot *at)
{
	return farewell_check("reason", p->goodbye->reason, p->goodbye->seconds, 1, at);
}

static void goodbye_get(const peer_message *p, struct message *m)
{
	m->goodbye = (struct goodbye){farewells[p->goodbye->reason], p->goodbye->seconds};
}

static void goodbye_put(const struct message *m, struct wire *w)
{
	Mclag__Peer__Goodbye *to = w->top.goodbye = &w->goodbye;

	mclag__peer__goodbye__init(to);
	to->reason = farewell_put(m->goodbye.reason);
	to->seconds = m->goodbye.seconds;
}

static bool goodbye_equal(const struct message *a, const struct message *b)
{
	return a->goodbye.reason == b->goodbye.reason && a->goodbye.seconds == b->goodbye.seconds;
}

#define WIRE_KIND(kind)                                                                                      \
	{                                                                                                    \
		kind##_check, kind##_get, kind##_put, kind##_equal                                           \
	}

const struct wire_kind wire_kinds[MESSAGE_KIND_COUNT] = {
    [MESSAGE_HELLO] = WIRE_KIND(hello),
    [MESSAGE_LEG_STATE] = WIRE_KIND(leg_state),
    [MESSAGE_LEG_REQUEST] = WIRE_KIND(leg_request),
    [MESSAGE_LEG_GRANT] = WIRE_KIND(leg_grant),
    [MESSAGE_TABLE_BEGIN] = WIRE_KIND(table_begin),
    [MESSAGE_ENTRIES] = {entries_check, entries_get, entries_put, batch_equal},
    [MESSAGE_TABLE_END] = {table_end_check, table_end_get, table_end_put, mark_equal},
    [MESSAGE_TABLE_ACK] = WIRE_KIND(table_ack),
    [MESSAGE_UPDATE] = {update_check, update_get, update_put, batch_equal},
    [MESSAGE_DIGEST] = {digest_check, digest_get, digest_put, mark_equal},
    [MESSAGE_GOODBYE] = WIRE_KIND(goodbye),
};

/* Beacon */

static int beacon_check(const Mclag__Peer__Beacon *w, const struct spot *at)
{
	int rc = CHECK_RANGES(at, DOMAIN_RULE(w), ROLE_RULE(w));

	return rc < 0 ? rc : farewell_check("goodbye", w->goodbye, w->seconds, 0, at);
}

int wire_get_beacon(const Mclag__Peer__Beacon *w, struct beacon *b, const struct spot *at)
{
	int rc = beacon_check(w, at);

	if (rc < 0)
		return rc;
	*b = (struct beacon){
	    .domain = (uint16_t)w->domain,
	    .epoch = w->epoch,
	    .role = (enum role)w->role,
	    .carrying = w->carrying,
	    .goodbye = farewells[w->goodbye],
	    .seconds = w->seconds,
	};
	return 0;
}

int wire_put_beacon(const struct beacon *b, Mclag__Peer__Beacon *w, const struct spot *at)
{
	w->domain = b->domain;
	w->epoch = b->epoch;
	w->role = (Mclag__Peer__Role)b->role;
	w->carrying = b->carrying;
	w->goodbye = farewell_put(b->goodbye);
	w->seconds = b->seconds;
	return beacon_check(w, at);
}
