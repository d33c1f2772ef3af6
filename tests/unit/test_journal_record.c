/* SPDX-License-Identifier: ISC */
/* The records of a journal, and the border they come back through. */
#include "journal_samples.h"
#include "mclagd/replay.h"
#include "proto/frame.h"
#include "proto/journal.pb-c.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATHS 3

/* The payload of the first record behind `from`. */
static struct frame cut(const struct journal_bytes *b, size_t from)
{
	struct frame f;
	assert_int_equal(frame_cut(b->data + from, b->size - from, JOURNAL_RECORD_MAX, &f), FRAME_READY);
	return f;
}

static void get(const struct journal_bytes *b, size_t from, struct journal_record *r)
{
	char why[JOURNAL_WHY_SIZE] = "";
	struct frame f = cut(b, from);
	if (journal_get(f.payload, f.len, PATHS, r, why))
		fail_msg("%s", why);
}

/* --- round trips ------------------------------------------------------------------------------------- */

static bool same_place(struct place a, struct place b)
{
	return a.kind == b.kind && a.mclag == b.mclag && a.port == b.port;
}

static bool same_info(const struct lacp_info *a, const struct lacp_info *b)
{
	return a->system_priority == b->system_priority && mac_equal(a->system, b->system) &&
	       a->key == b->key && a->port_priority == b->port_priority && a->port == b->port &&
	       a->state == b->state;
}

static bool same_heard(const struct heard_event *a, const struct heard_event *b)
{
	return a->path == b->path && a->boot_id == b->boot_id && a->hears_us == b->hears_us &&
	       a->echo_ms == b->echo_ms && a->beacon.domain == b->beacon.domain &&
	       a->beacon.epoch == b->beacon.epoch && a->beacon.role == b->beacon.role &&
	       a->beacon.carrying == b->beacon.carrying;
}

static bool same_event(const struct event *a, const struct event *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case EVENT_START:
	case EVENT_TIMER:
	case EVENT_CONFLICT:
	case EVENT_VIOLATION:
	case EVENT_DUMP_BEGIN:
	case EVENT_DUMP_END:
		return true;
	case EVENT_LINK:
		return same_place(a->link.port, b->link.port) && a->link.carrier == b->link.carrier &&
		       a->link.speed == b->link.speed;
	case EVENT_HEARD:
		return same_heard(&a->heard, &b->heard);
	case EVENT_SESSION_OPENED:
		return a->path == b->path;
	case EVENT_SESSION_CLOSED:
	case EVENT_STOP:
		return a->reason == b->reason;
	case EVENT_MESSAGE:
		return message_equal(a->message, b->message);
	case EVENT_ROOM:
		return a->room == b->room;
	case EVENT_LACPDU:
		return a->lacpdu.mclag == b->lacpdu.mclag &&
		       same_info(&a->lacpdu.pdu.actor, &b->lacpdu.pdu.actor) &&
		       same_info(&a->lacpdu.pdu.partner, &b->lacpdu.pdu.partner) &&
		       a->lacpdu.pdu.collector_max_delay == b->lacpdu.pdu.collector_max_delay;
	case EVENT_ENTRY:
	case EVENT_PROGRAM_FAILED:
		return mac_equal(a->entry.mac, b->entry.mac) && a->entry.vlan == b->entry.vlan &&
		       same_place(a->entry.place, b->entry.place) && a->entry.sighting == b->entry.sighting;
	case EVENT_DONE:
		return same_place(a->done.port, b->done.port) && a->done.isolate == b->done.isolate &&
		       a->done.on == b->done.on && a->done.ok == b->done.ok;
	case EVENT_KIND_COUNT:
		break;
	}
	return false;
}

static void every_event(void **state)
{
	(void)state;
	struct event events[SAMPLE_EVENTS];
	bool had[EVENT_KIND_COUNT] = {false}, had_message[MESSAGE_KIND_COUNT] = {false};
	size_t count = sample_events(events);
	for (size_t i = 0; i < count; i++) {
		struct journal_bytes b = {0};
		struct journal_record r;
		journal_put_event(&b, 1000 + i, &events[i]);
		get(&b, 0, &r);
		assert_int_equal(r.kind, JOURNAL_EVENT);
		assert_int_equal(r.event.after_ms, 1000 + i);
		struct event e = journal_record_event(&r);
		if (!same_event(&e, &events[i]))
			fail_msg("event %zu, %s, is another one", i, event_kind_name(events[i].kind));
		had[e.kind] = true;
		if (e.kind == EVENT_MESSAGE)
			had_message[e.message->kind] = true;
		journal_record_clear(&r);
		journal_bytes_free(&b);
	}
	for (size_t i = 0; i < EVENT_KIND_COUNT; i++)
		assert_true(had[i]);
	for (size_t i = 0; i < MESSAGE_KIND_COUNT; i++)
		assert_true(had_message[i]);
}

#define SAME(member) assert_true(a->member == b->member)

static void same_config(const struct domain_config *a, const struct domain_config *b)
{
	SAME(domain);
	SAME(node);
	SAME(boot_id);
	SAME(priority);
	SAME(system_priority);
	SAME(path_count);
	SAME(keepalive_ms);
	SAME(multiplier);
	SAME(session_timeout_ms);
	SAME(alone_ms);
	SAME(ceiling_ms);
	SAME(grace_ms);
	SAME(ageing_ms);
	SAME(leave_ms);
	SAME(on_split);
	SAME(entry_limit);
	SAME(mclag_count);
	assert_true(mac_equal(a->system, b->system) && mac_equal(a->own_system, b->own_system) &&
		    mac_equal(a->via, b->via));
	for (size_t i = 0; i < a->mclag_count; i++) {
		SAME(mclags[i].id);
		SAME(mclags[i].speaker);
		SAME(mclags[i].active);
		SAME(mclags[i].fast);
		SAME(mclags[i].port_priority);
	}
}

static void same_resume(const struct resume *a, const struct resume *b)
{
	SAME(verdict);
	SAME(role);
	SAME(epoch);
	SAME(peer_link_open);
	SAME(leg_count);
	for (size_t i = 0; i < a->leg_count; i++) {
		SAME(legs[i].mclag);
		SAME(legs[i].forwarding);
		SAME(legs[i].isolated);
		SAME(legs[i].actor_state);
		assert_true(same_info(&a->legs[i].partner, &b->legs[i].partner));
	}
}

static void head(void **state)
{
	(void)state;
	for (int resumes = 0; resumes < 2; resumes++) {
		struct journal_head h = sample_head(resumes);
		struct journal_bytes b = {0};
		struct journal_record r;
		journal_put_head(&b, &h);
		assert_memory_equal(b.data, JOURNAL_MAGIC, JOURNAL_MAGIC_SIZE);
		get(&b, JOURNAL_MAGIC_SIZE, &r);
		assert_int_equal(r.kind, JOURNAL_HEAD);
		assert_string_equal(r.head.version, h.version);
		assert_true(r.head.wall_us == h.wall_us && r.head.resumes == h.resumes && !r.head.foreign);
		same_config(&r.head.config, &h.config);
		if (resumes)
			same_resume(&r.head.resume, &h.resume);
		journal_record_clear(&r);
		journal_bytes_free(&b);
	}
}

static void outcome(void **state)
{
	(void)state;
	struct step s = {.now = {1}};
	struct journal_bytes b = {0};
	struct journal_record r;
	journal_put_outcome(&b, &s);
	assert_int_equal(b.size, 0);
	step_trace(&s, TRACE_LACP, TRACE_WARN, 65535, "%0*d", TRACE_TEXT_SIZE - 1, 7);
	step_trace(&s, TRACE_DOMAIN, TRACE_DEBUG, 0, "short");
	step_action(&s, ACTION_SAVE);
	journal_put_outcome(&b, &s);
	get(&b, 0, &r);
	assert_int_equal(r.kind, JOURNAL_OUTCOME);
	assert_int_equal(r.outcome.trace_count, 2);
	assert_int_equal(r.outcome.kept, 2);
	assert_int_equal(r.outcome.traces[0].room, TRACE_LACP);
	assert_int_equal(r.outcome.traces[0].level, TRACE_WARN);
	assert_int_equal(r.outcome.traces[0].mclag, 65535);
	assert_string_equal(r.outcome.traces[0].text, s.traces[0].text);
	assert_string_equal(r.outcome.traces[1].text, "short");
	assert_int_equal(r.outcome.action_count, 1);
	assert_true(r.outcome.action_digest == journal_action_digest(&s) && r.outcome.action_digest != 0);
	journal_record_clear(&r);
	journal_bytes_free(&b);
	step_release(&s);
}

/* Lines without number: the record keeps its bound, and says how many there were. */
static void more_lines_than_are_kept(void **state)
{
	(void)state;
	struct step s = {.now = {1}};
	struct journal_bytes b = {0};
	struct journal_record r;
	for (int i = 0; i < JOURNAL_TRACES_MAX + 5; i++)
		step_trace(&s, TRACE_LIVENESS, TRACE_DEBUG, 65535, "%0*d", TRACE_TEXT_SIZE - 1, i);
	journal_put_outcome(&b, &s);
	get(&b, 0, &r);
	assert_int_equal(r.outcome.trace_count, JOURNAL_TRACES_MAX + 5);
	assert_int_equal(r.outcome.kept, JOURNAL_TRACES_MAX);
	journal_record_clear(&r);
	journal_bytes_free(&b);
	step_release(&s);
}

/* --- the border -------------------------------------------------------------------------------------- */

struct refusal {
	void (*change)(Mclag__Journal__Event *e); /* of a good event of this kind */
	enum event_kind kind;
	const char *why;
};

#define CHANGE(name, statement)                                                                              \
	static void name(Mclag__Journal__Event *e)                                                           \
	{                                                                                                    \
		statement;                                                                                   \
	}

static char unknown_word[] = "unheard-of", word_none[] = "none", word_timeout[] = "timeout",
	    word_orphan[] = "orphan", word_empty[] = "";

CHANGE(late, e->after_ms = UINT64_MAX)
CHANGE(path_3, e->heard->path = PATHS)
CHANGE(old_echo, e->heard->echo_ms = INT64_MAX)
CHANGE(short_beacon, e->heard->beacon.len = 1)
CHANGE(empty_beacon, e->heard->beacon.len = 0)
CHANGE(opened_3, e->session_opened = PATHS)
CHANGE(opened_huge, e->session_opened = UINT32_MAX)
CHANGE(closed_unknown, e->session_closed = unknown_word)
CHANGE(stop_timeout, e->stop = word_timeout)
CHANGE(stop_empty, e->stop = word_empty)
CHANGE(bad_message, e->message.data[0] = 0xff)
CHANGE(empty_message, e->message.len = 0)
CHANGE(huge_room, e->room = UINT64_MAX)
CHANGE(no_leg, e->lacpdu->mclag = 0)
CHANGE(high_leg, e->lacpdu->mclag = 65536)
CHANGE(short_pdu, e->lacpdu->pdu.len = 20)
CHANGE(empty_pdu, e->lacpdu->pdu.len = 0)
static uint8_t octets[LACPDU_SIZE + 1];
CHANGE(long_pdu, e->lacpdu->pdu = ((ProtobufCBinaryData){.data = octets, .len = sizeof(octets)}))
CHANGE(zero_mac, e->entry->mac = 0)
CHANGE(long_mac, e->entry->mac |= UINT64_C(1) << 48)
CHANGE(high_vlan, e->entry->vlan = 4095)
CHANGE(nowhere, e->entry->place->kind = word_none)
CHANGE(no_place, e->entry->place = NULL)
CHANGE(strange_sighting, e->entry->sighting = unknown_word)
CHANGE(leg_0, e->entry->place->mclag = 0)
CHANGE(orphan_link, e->link->port->kind = word_orphan)
CHANGE(strange_port, e->done->port->kind = unknown_word)

static const struct refusal refusals[] = {
    {late, EVENT_TIMER, "timer: after_ms 18446744073709551615 is not 0..2199023255552"},
    {path_3, EVENT_HEARD, "heard: path 3 is not 0..2"},
    {old_echo, EVENT_HEARD, "heard: echo_ms 9223372036854775807 is not 0..2199023255552"},
    {short_beacon, EVENT_HEARD, "heard: beacon: 1 bytes that are no Beacon"},
    {empty_beacon, EVENT_HEARD, "heard: beacon: domain 0 is not 1..4095"},
    {opened_3, EVENT_SESSION_OPENED, "session_opened: path 3 is not 0..2"},
    {opened_huge, EVENT_SESSION_OPENED, "session_opened: path 4294967295 is not 0..2"},
    {closed_unknown, EVENT_SESSION_CLOSED,
     "session_closed: reason \"unheard-of\" is not known to this version"},
    {stop_timeout, EVENT_STOP, "stop: reason \"timeout\" is none to stop for"},
    {stop_empty, EVENT_STOP, "stop: reason \"\" is not known to this version"},
    {bad_message, EVENT_MESSAGE, "that are no PeerMessage"},
    {empty_message, EVENT_MESSAGE, "message: message: is empty"},
    {huge_room, EVENT_ROOM, "room: room 18446744073709551615 is not 0.."},
    {no_leg, EVENT_LACPDU, "lacpdu: mclag 0 is not 1..65535"},
    {high_leg, EVENT_LACPDU, "lacpdu: mclag 65536 is not 1..65535"},
    {short_pdu, EVENT_LACPDU, "lacpdu: pdu: actor, partner or collector information malformed"},
    {empty_pdu, EVENT_LACPDU, "lacpdu: pdu: not LACP"},
    {long_pdu, EVENT_LACPDU, "lacpdu: pdu: 111 bytes are more than 110"},
    {zero_mac, EVENT_ENTRY, "entry: mac 0 is not 1..281474976710655"},
    {long_mac, EVENT_ENTRY, "entry: mac 283673999966273 is not 1..281474976710655"},
    {high_vlan, EVENT_ENTRY, "entry: vlan 4095 is not 0..4094"},
    {nowhere, EVENT_ENTRY, "entry: place \"none\" cannot be here"},
    {no_place, EVENT_ENTRY, "entry: place is missing"},
    {strange_sighting, EVENT_ENTRY, "entry: sighting \"unheard-of\" is not known to this version"},
    {leg_0, EVENT_ENTRY, "entry: mclag 0 is not 1..65535"},
    {orphan_link, EVENT_LINK, "link: place \"orphan\" cannot be here"},
    {strange_port, EVENT_DONE, "done: place \"unheard-of\" is not known to this version"},
};

/* The event, its change undone before it is freed: what the change points to is not protobuf-c's. */
static void refuse_one(const struct event *good, const struct refusal *wrong)
{
	char why[JOURNAL_WHY_SIZE] = "";
	struct journal_bytes b = {0};
	struct journal_record r = {.kind = JOURNAL_END};
	journal_put_event(&b, 1, good);
	struct frame f = cut(&b, 0);
	Mclag__Journal__Record *w = mclag__journal__record__unpack(NULL, f.len, f.payload);
	assert_non_null(w);
	/* A shallow copy of all that a change touches. */
	Mclag__Journal__Event event = *w->event;
	Mclag__Journal__Record record = *w;
	struct {
		Mclag__Journal__Heard heard;
		Mclag__Journal__Lacpdu lacpdu;
		Mclag__Journal__Entry entry;
		Mclag__Journal__Link link;
		Mclag__Journal__Done done;
		Mclag__Journal__Place place;
	} copy;
	record.event = &event;
	if (event.kind_case == MCLAG__JOURNAL__EVENT__KIND_HEARD) {
		copy.heard = *event.heard;
		event.heard = &copy.heard;
	} else if (event.kind_case == MCLAG__JOURNAL__EVENT__KIND_LACPDU) {
		copy.lacpdu = *event.lacpdu;
		event.lacpdu = &copy.lacpdu;
	} else if (event.kind_case == MCLAG__JOURNAL__EVENT__KIND_ENTRY) {
		copy.entry = *event.entry;
		copy.place = *copy.entry.place;
		copy.entry.place = &copy.place;
		event.entry = &copy.entry;
	} else if (event.kind_case == MCLAG__JOURNAL__EVENT__KIND_LINK) {
		copy.link = *event.link;
		copy.place = *copy.link.port;
		copy.link.port = &copy.place;
		event.link = &copy.link;
	} else if (event.kind_case == MCLAG__JOURNAL__EVENT__KIND_DONE) {
		copy.done = *event.done;
		copy.place = *copy.done.port;
		copy.done.port = &copy.place;
		event.done = &copy.done;
	}
	wrong->change(&event);
	size_t size = mclag__journal__record__get_packed_size(&record);
	uint8_t *bytes = malloc(size);
	assert_non_null(bytes);
	mclag__journal__record__pack(&record, bytes);
	int error = journal_get(bytes, size, PATHS, &r, why);
	if (error != -EBADMSG || !strstr(why, wrong->why))
		fail_msg("\"%s\" was expected, it is %d \"%s\"", wrong->why, error, why);
	assert_int_equal(r.kind, JOURNAL_END);
	free(bytes);
	mclag__journal__record__free_unpacked(w, NULL);
	journal_bytes_free(&b);
}

static void refused(void **state)
{
	(void)state;
	struct event events[SAMPLE_EVENTS];
	size_t count = sample_events(events);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		size_t at = 0;
		while (at < count && events[at].kind != refusals[i].kind)
			at++;
		assert_true(at < count);
		refuse_one(&events[at], &refusals[i]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_event), cmocka_unit_test(head),
	    cmocka_unit_test(outcome),     cmocka_unit_test(more_lines_than_are_kept),
	    cmocka_unit_test(refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
