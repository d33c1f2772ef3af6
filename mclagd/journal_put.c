/* SPDX-License-Identifier: ISC */
/*
 * Records to bytes. Events go straight from the core's struct into protobuf-c's on the stack and from there
 * into the buffer: this runs before every step of a daemon that journals.
 */
#include "mclagd/journal_record.h"

#include "proto/frame.h"
#include "proto/journal.pb-c.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Every member of what is recorded, by position: one that is new does not compile here, until it is in
 * journal.proto, in the functions below and in journal_get.c, too. */
#define MEMBERS(type, ...) static const struct type type##_members __attribute__((unused)) = {__VA_ARGS__}
MEMBERS(place, PLACE_NONE, 0, 0);
MEMBERS(lacp_info, 0, {{0}}, 0, 0, 0, 0);
MEMBERS(lacpdu, {.port = 0}, {.port = 0}, 0);
MEMBERS(mclag_config, 0, SPEAKER_ENGINE, false, false, 0);
MEMBERS(domain_config, 0, 0, 0, 0, {{0}}, 0, {{0}}, {{0}}, 0, 0, 0, 0, 0, 0, 0, 0, 0, SPLIT_STAY, 0, 0, NULL);
MEMBERS(leg_resume, 0, false, false, 0, {.port = 0});
MEMBERS(resume, VERDICT_UNKNOWN, ROLE_NONE, 0, false, 0, NULL);
MEMBERS(link_event, {.port = 0}, false, 0);
MEMBERS(heard_event, 0, 0, false, 0, {.epoch = 0});
MEMBERS(entry_event, {{0}}, 0, {.port = 0}, SIGHTING_LEARNED);
MEMBERS(done_event, {.port = 0}, false, false, false);

TYPES_DEFINE(journal_end, JOURNAL_ENDS, JOURNAL_END_COUNT)

#define FNV_START UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

/* --- bytes ------------------------------------------------------------------------------------------- */

static void *allocate(size_t count, size_t size)
{
	void *p = calloc(count + 1, size);
	if (!p)
		abort();
	return p;
}

static uint8_t *reserve(struct journal_bytes *b, size_t more)
{
	if (b->size + more > b->room) {
		b->room = 2 * (b->size + more);
		b->data = realloc(b->data, b->room);
		if (!b->data)
			abort();
	}
	return b->data + b->size;
}

void journal_bytes_free(struct journal_bytes *b)
{
	free(b->data);
	*b = (struct journal_bytes){0};
}

static void put(struct journal_bytes *b, const Mclag__Journal__Record *r)
{
	size_t size = mclag__journal__record__get_packed_size(r);
	assert(size > 0 && size <= JOURNAL_RECORD_MAX);
	uint8_t *to = reserve(b, FRAME_HEAD + size);
	frame_head(to, size);
	mclag__journal__record__pack(r, to + FRAME_HEAD);
	b->size += FRAME_HEAD + size;
}

/* protobuf-c does not write to strings it packs. */
static char *text(const char *name)
{
	return (char *)name;
}

static uint64_t fnv(uint64_t sum, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sum = (sum ^ bytes[i]) * FNV_PRIME;
	return sum;
}

/* --- head -------------------------------------------------------------------------------------------- */

static void fill_config(Mclag__Journal__Config *w, const struct domain_config *c)
{
	mclag__journal__config__init(w);
	w->domain = c->domain;
	w->node = c->node;
	w->boot_id = c->boot_id;
	w->priority = c->priority;
	w->system = mac_to_u64(c->system);
	w->system_priority = c->system_priority;
	w->own_system = mac_to_u64(c->own_system);
	w->via = mac_to_u64(c->via);
	w->path_count = (uint32_t)c->path_count;
	w->keepalive_ms = (uint64_t)c->keepalive_ms;
	w->multiplier = (uint64_t)c->multiplier;
	w->session_timeout_ms = (uint64_t)c->session_timeout_ms;
	w->alone_ms = (uint64_t)c->alone_ms;
	w->ceiling_ms = (uint64_t)c->ceiling_ms;
	w->grace_ms = (uint64_t)c->grace_ms;
	w->ageing_ms = (uint64_t)c->ageing_ms;
	w->leave_ms = (uint64_t)c->leave_ms;
	w->on_split = text(split_policy_name(c->on_split));
	w->entry_limit = c->entry_limit;
}

/* mclags: room for all; pointers: to each. */
static void fill_mclags(Mclag__Journal__Config *w, const struct domain_config *c,
			Mclag__Journal__Mclag *mclags, Mclag__Journal__Mclag **pointers)
{
	for (size_t i = 0; i < c->mclag_count; i++) {
		mclag__journal__mclag__init(&mclags[i]);
		mclags[i].id = c->mclags[i].id;
		mclags[i].speaker = text(speaker_name(c->mclags[i].speaker));
		mclags[i].active = c->mclags[i].active;
		mclags[i].fast = c->mclags[i].fast;
		mclags[i].port_priority = c->mclags[i].port_priority;
		pointers[i] = &mclags[i];
	}
	w->n_mclags = c->mclag_count;
	w->mclags = pointers;
}

static void fill_resume(Mclag__Journal__Resume *w, const struct resume *r, Mclag__Journal__LegResume *legs,
			Mclag__Journal__LegResume **pointers)
{
	mclag__journal__resume__init(w);
	w->verdict = text(verdict_name(r->verdict));
	w->role = text(role_name(r->role));
	w->epoch = r->epoch;
	w->peer_link_open = r->peer_link_open;
	for (size_t i = 0; i < r->leg_count; i++) {
		const struct leg_resume *from = &r->legs[i];
		mclag__journal__leg_resume__init(&legs[i]);
		legs[i].mclag = from->mclag;
		legs[i].forwarding = from->forwarding;
		legs[i].isolated = from->isolated;
		legs[i].actor_state = from->actor_state;
		legs[i].partner_system_priority = from->partner.system_priority;
		legs[i].partner_system = mac_to_u64(from->partner.system);
		legs[i].partner_key = from->partner.key;
		legs[i].partner_port_priority = from->partner.port_priority;
		legs[i].partner_port = from->partner.port;
		legs[i].partner_state = from->partner.state;
		pointers[i] = &legs[i];
	}
	w->n_legs = r->leg_count;
	w->legs = pointers;
}

/* The configuration in protobuf-c's form, with what it points to. */
struct config_form {
	Mclag__Journal__Config config;
	Mclag__Journal__Mclag *mclags;
	Mclag__Journal__Mclag **pointers;
};

static void form_config(struct config_form *f, const struct domain_config *c)
{
	f->mclags = allocate(c->mclag_count, sizeof(*f->mclags));
	f->pointers = allocate(c->mclag_count, sizeof(void *));
	fill_config(&f->config, c);
	fill_mclags(&f->config, c, f->mclags, f->pointers);
}

static void free_config(struct config_form *f)
{
	free(f->pointers);
	free(f->mclags);
}

static uint64_t config_digest(const Mclag__Journal__Config *w)
{
	size_t size = mclag__journal__config__get_packed_size(w);
	uint8_t *bytes = allocate(size, 1);
	mclag__journal__config__pack(w, bytes);
	uint64_t sum = fnv(FNV_START, bytes, size);
	free(bytes);
	return sum;
}

uint64_t journal_config_digest(const struct domain_config *c)
{
	struct config_form f;
	form_config(&f, c);
	uint64_t sum = config_digest(&f.config);
	free_config(&f);
	return sum;
}

void journal_put_head(struct journal_bytes *b, const struct journal_head *h)
{
	Mclag__Journal__Record r = MCLAG__JOURNAL__RECORD__INIT;
	Mclag__Journal__Head head = MCLAG__JOURNAL__HEAD__INIT;
	Mclag__Journal__Resume resume;
	struct config_form f;
	size_t count = h->resumes ? h->resume.leg_count : 0;
	Mclag__Journal__LegResume *legs = allocate(count, sizeof(*legs));
	Mclag__Journal__LegResume **pointers = allocate(count, sizeof(void *));

	form_config(&f, &h->config);
	head.format = JOURNAL_FORMAT;
	head.version = text(h->version);
	head.wall_us = (uint64_t)h->wall_us;
	head.config = &f.config;
	head.config_digest = config_digest(&f.config);
	if (h->resumes) {
		fill_resume(&resume, &h->resume, legs, pointers);
		head.resume = &resume;
	}
	r.kind_case = MCLAG__JOURNAL__RECORD__KIND_HEAD;
	r.head = &head;
	memcpy(reserve(b, JOURNAL_MAGIC_SIZE), JOURNAL_MAGIC, JOURNAL_MAGIC_SIZE);
	b->size += JOURNAL_MAGIC_SIZE;
	put(b, &r);
	free_config(&f);
	free(pointers);
	free(legs);
}

/* --- event ------------------------------------------------------------------------------------------- */

/* The bodies of an event, one of which it points to. */
struct body {
	Mclag__Journal__Place place;
	union {
		Mclag__Journal__Link link;
		Mclag__Journal__Heard heard;
		Mclag__Journal__Lacpdu lacpdu;
		Mclag__Journal__Entry entry;
		Mclag__Journal__Done done;
	};
	union {
		uint8_t beacon[BEACON_LIMIT];
		uint8_t pdu[LACPDU_SIZE];
		uint8_t *message; /* owned */
	};
};

static Mclag__Journal__Place *fill_place(struct body *body, struct place p)
{
	mclag__journal__place__init(&body->place);
	body->place.kind = text(place_kind_name(p.kind));
	body->place.mclag = p.kind == PLACE_LEG ? p.mclag : 0;
	body->place.port = p.kind == PLACE_ORPHAN ? p.port : 0;
	return &body->place;
}

static void fill_link(Mclag__Journal__Event *w, struct body *body, const struct link_event *e)
{
	mclag__journal__link__init(&body->link);
	body->link.port = fill_place(body, e->port);
	body->link.carrier = e->carrier;
	body->link.speed = e->speed;
	w->link = &body->link;
}

static void fill_heard(Mclag__Journal__Event *w, struct body *body, const struct heard_event *e)
{
	mclag__journal__heard__init(&body->heard);
	body->heard.path = (uint32_t)e->path;
	body->heard.boot_id = e->boot_id;
	body->heard.hears_us = e->hears_us;
	body->heard.echo_ms = e->echo_ms > 0 ? (uint64_t)e->echo_ms : 0;
	body->heard.beacon.data = body->beacon;
	body->heard.beacon.len = beacon_encode(&e->beacon, body->beacon);
	w->heard = &body->heard;
}

static void fill_lacpdu(Mclag__Journal__Event *w, struct body *body, const struct event *e)
{
	mclag__journal__lacpdu__init(&body->lacpdu);
	body->lacpdu.mclag = e->lacpdu.mclag;
	lacpdu_encode(&e->lacpdu.pdu, body->pdu);
	body->lacpdu.pdu = (ProtobufCBinaryData){.data = body->pdu, .len = LACPDU_SIZE};
	while (body->lacpdu.pdu.len > 0 && body->pdu[body->lacpdu.pdu.len - 1] == 0)
		body->lacpdu.pdu.len--; /* half of it is reserved */
	w->lacpdu = &body->lacpdu;
}

static Mclag__Journal__Entry *fill_entry(struct body *body, const struct entry_event *e)
{
	mclag__journal__entry__init(&body->entry);
	body->entry.mac = mac_to_u64(e->mac);
	body->entry.vlan = e->vlan;
	body->entry.place = fill_place(body, e->place);
	body->entry.sighting = text(sighting_name(e->sighting));
	return &body->entry;
}

static void fill_done(Mclag__Journal__Event *w, struct body *body, const struct done_event *e)
{
	mclag__journal__done__init(&body->done);
	body->done.port = fill_place(body, e->port);
	body->done.isolate = e->isolate;
	body->done.on = e->on;
	body->done.ok = e->ok;
	w->done = &body->done;
}

static Mclag__Journal__Event__KindCase fill_event(Mclag__Journal__Event *w, struct body *body,
						  const struct event *e)
{
	switch (e->kind) {
	case EVENT_START:
		w->start = true;
		return MCLAG__JOURNAL__EVENT__KIND_START;
	case EVENT_TIMER:
		w->timer = true;
		return MCLAG__JOURNAL__EVENT__KIND_TIMER;
	case EVENT_LINK:
		fill_link(w, body, &e->link);
		return MCLAG__JOURNAL__EVENT__KIND_LINK;
	case EVENT_HEARD:
		fill_heard(w, body, &e->heard);
		return MCLAG__JOURNAL__EVENT__KIND_HEARD;
	case EVENT_CONFLICT:
		w->conflict = true;
		return MCLAG__JOURNAL__EVENT__KIND_CONFLICT;
	case EVENT_SESSION_OPENED:
		w->session_opened = (uint32_t)e->path;
		return MCLAG__JOURNAL__EVENT__KIND_SESSION_OPENED;
	case EVENT_SESSION_CLOSED:
		w->session_closed = text(reason_name(e->reason));
		return MCLAG__JOURNAL__EVENT__KIND_SESSION_CLOSED;
	case EVENT_MESSAGE:
		message_encode(e->message, &body->message, &w->message.len);
		w->message.data = body->message;
		return MCLAG__JOURNAL__EVENT__KIND_MESSAGE;
	case EVENT_VIOLATION:
		w->violation = true;
		return MCLAG__JOURNAL__EVENT__KIND_VIOLATION;
	case EVENT_ROOM:
		w->room = e->room;
		return MCLAG__JOURNAL__EVENT__KIND_ROOM;
	case EVENT_LACPDU:
		fill_lacpdu(w, body, e);
		return MCLAG__JOURNAL__EVENT__KIND_LACPDU;
	case EVENT_ENTRY:
		w->entry = fill_entry(body, &e->entry);
		return MCLAG__JOURNAL__EVENT__KIND_ENTRY;
	case EVENT_DUMP_BEGIN:
		w->dump_begin = true;
		return MCLAG__JOURNAL__EVENT__KIND_DUMP_BEGIN;
	case EVENT_DUMP_END:
		w->dump_end = true;
		return MCLAG__JOURNAL__EVENT__KIND_DUMP_END;
	case EVENT_DONE:
		fill_done(w, body, &e->done);
		return MCLAG__JOURNAL__EVENT__KIND_DONE;
	case EVENT_PROGRAM_FAILED:
		w->program_failed = fill_entry(body, &e->entry);
		return MCLAG__JOURNAL__EVENT__KIND_PROGRAM_FAILED;
	case EVENT_STOP:
		w->stop = text(reason_name(e->reason));
		return MCLAG__JOURNAL__EVENT__KIND_STOP;
	case EVENT_KIND_COUNT:
		break;
	}
	abort(); /* no such event */
}

void journal_put_event(struct journal_bytes *b, uint64_t after_ms, const struct event *e)
{
	Mclag__Journal__Record r = MCLAG__JOURNAL__RECORD__INIT;
	Mclag__Journal__Event w = MCLAG__JOURNAL__EVENT__INIT;
	struct body body;

	w.after_ms = after_ms;
	w.kind_case = fill_event(&w, &body, e);
	r.kind_case = MCLAG__JOURNAL__RECORD__KIND_EVENT;
	r.event = &w;
	put(b, &r);
	if (e->kind == EVENT_MESSAGE)
		free(body.message);
}

/* --- outcome ----------------------------------------------------------------------------------------- */

/* A number into the sum, byte by byte, so that it does not depend on the machine. */
static uint64_t add(uint64_t sum, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		sum = (sum ^ (value >> 8 * i & 0xff)) * FNV_PRIME;
	return sum;
}

static uint64_t add_place(uint64_t sum, struct place p)
{
	return add(sum, (uint64_t)p.kind << 56 | (uint64_t)(p.kind == PLACE_LEG ? p.mclag : 0) << 32 |
			    (p.kind == PLACE_ORPHAN ? (uint32_t)p.port : 0));
}

static uint64_t add_message(uint64_t sum, const struct message *m)
{
	uint8_t *bytes;
	size_t size;
	message_encode(m, &bytes, &size);
	sum = fnv(sum, bytes, size);
	free(bytes);
	return sum;
}

static uint64_t add_action(uint64_t sum, const struct action *a)
{
	uint8_t bytes[LACPDU_SIZE > BEACON_LIMIT ? LACPDU_SIZE : BEACON_LIMIT];
	sum = add(sum, a->kind);
	switch (a->kind) {
	case ACTION_SEND:
		return add_message(sum, &a->message);
	case ACTION_USE_PATH:
	case ACTION_PROBE:
		return add(sum, (uint64_t)a->path);
	case ACTION_CLOSE:
		return add(sum, a->reason);
	case ACTION_BEACON:
		return fnv(sum, bytes, beacon_encode(&a->beacon, bytes));
	case ACTION_LACPDU:
		lacpdu_encode(&a->lacpdu.pdu, bytes);
		return fnv(add(sum, a->lacpdu.mclag), bytes, LACPDU_SIZE);
	case ACTION_FORWARD:
	case ACTION_ISOLATE:
		return add(add_place(sum, a->gate.port), a->gate.on);
	case ACTION_PROGRAM:
	case ACTION_UNPROGRAM:
		sum = add(sum, mac_to_u64(a->program.mac) << 16 | a->program.vlan);
		return add(add_place(sum, a->program.place), a->program.active);
	case ACTION_ACCEPT:
	case ACTION_STOPPED:
	case ACTION_SAVE:
	case ACTION_KIND_COUNT:
		break;
	}
	return sum;
}

uint64_t journal_action_digest(const struct step *s)
{
	uint64_t sum = FNV_START;
	for (size_t i = 0; i < s->action_count; i++)
		sum = add_action(sum, &s->actions[i]);
	return s->action_count ? sum : 0;
}

void journal_put_outcome(struct journal_bytes *b, const struct step *s)
{
	Mclag__Journal__Record r = MCLAG__JOURNAL__RECORD__INIT;
	Mclag__Journal__Outcome w = MCLAG__JOURNAL__OUTCOME__INIT;
	size_t kept = s->trace_count < JOURNAL_TRACES_MAX ? s->trace_count : JOURNAL_TRACES_MAX;
	Mclag__Journal__Trace *traces = NULL;

	if (s->trace_count == 0 && s->action_count == 0)
		return;
	w.trace_count = (uint32_t)s->trace_count;
	w.action_count = (uint32_t)s->action_count;
	w.action_digest = journal_action_digest(s);
	if (kept) {
		traces = allocate(kept, sizeof(*traces));
		w.traces = allocate(kept, sizeof(void *));
	}
	for (size_t i = 0; i < kept; i++) {
		mclag__journal__trace__init(&traces[i]);
		traces[i].room = text(trace_room_name(s->traces[i].room));
		traces[i].level = text(trace_level_name(s->traces[i].level));
		traces[i].mclag = s->traces[i].mclag;
		traces[i].text = text(s->traces[i].text);
		w.traces[i] = &traces[i];
	}
	w.n_traces = kept;
	r.kind_case = MCLAG__JOURNAL__RECORD__KIND_OUTCOME;
	r.outcome = &w;
	put(b, &r);
	free(w.traces);
	free(traces);
}

void journal_put_end(struct journal_bytes *b, enum journal_end end)
{
	Mclag__Journal__Record r = MCLAG__JOURNAL__RECORD__INIT;
	Mclag__Journal__End w = MCLAG__JOURNAL__END__INIT;

	w.reason = text(journal_end_name(end));
	r.kind_case = MCLAG__JOURNAL__RECORD__KIND_END;
	r.end = &w;
	put(b, &r);
}
