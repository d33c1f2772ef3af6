/* SPDX-License-Identifier: ISC */
/*
 * Bytes to records: the border. protobuf-c knows the shape; the rules of the values stand here, each once, in
 * the function of the record they belong to.
 *
 * Times are bounded so that no sum of a few of them can overflow: nothing of a real daemon comes near that.
 */
#include "mclagd/journal_record.h"

#include "proto/journal.pb-c.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS_MAX             (INT64_C(1) << 41) /* seventy years */
#define MULTIPLIER_MAX     1000
#define VERSION_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+~-"
#define MAC_BITS           ((UINT64_C(1) << 48) - 1)

static int refuse(char *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int refuse(char *why, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(why, JOURNAL_WHY_SIZE, format, ap);
	va_end(ap);
	return -EBADMSG;
}

static int missing(char *why, const char *what)
{
	return refuse(why, "%s is missing", what);
}

struct range {
	const char *name; /* NULL ends a list */
	uint64_t value, min, max;
};

#define CHECK_RANGES(why, ...) check_ranges(why, (const struct range[]){__VA_ARGS__, {.name = NULL}})

static int check_ranges(char *why, const struct range *r)
{
	for (; r->name; r++)
		if (r->value < r->min || r->value > r->max)
			return refuse(why, "%s %" PRIu64 " is not %" PRIu64 "..%" PRIu64, r->name, r->value,
				      r->min, r->max);
	return 0;
}

static int check_word(char *why, const char *what, const char *word, int error)
{
	return error ? refuse(why, "%s \"%.40s\" is not known to this version", what, word) : 0;
}

static bool is_unicast(uint64_t mac)
{
	return mac != 0 && mac <= MAC_BITS && !mac_is_multicast(mac_from_u64(mac));
}

static void *allocate(size_t count, size_t size)
{
	void *p = calloc(count + 1, size);
	if (!p)
		abort();
	return p;
}

/* --- head -------------------------------------------------------------------------------------------- */

static int get_mclags(const Mclag__Journal__Config *w, struct mclag_config *mclags, char *why)
{
	for (size_t i = 0; i < w->n_mclags; i++) {
		const Mclag__Journal__Mclag *m = w->mclags[i];
		enum speaker speaker;
		if (CHECK_RANGES(why,
				 {"mclag id", m->id, i ? w->mclags[i - 1]->id + UINT64_C(1) : 1, MCLAG_MAX},
				 {"port_priority", m->port_priority, 0, UINT16_MAX}) ||
		    check_word(why, "speaker", m->speaker, speaker_parse(m->speaker, &speaker)))
			return -EBADMSG;
		mclags[i] = (struct mclag_config){.id = (uint16_t)m->id,
						  .speaker = speaker,
						  .active = m->active,
						  .fast = m->fast,
						  .port_priority = (uint16_t)m->port_priority};
	}
	return 0;
}

static int check_config(const Mclag__Journal__Config *w, char *why)
{
	if (!is_unicast(w->system) || !is_unicast(w->own_system) || (w->via && !is_unicast(w->via)))
		return refuse(why, "system, own_system or via is no unicast address");
	return CHECK_RANGES(
	    why, {"domain", w->domain, 1, DOMAIN_MAX}, {"node", w->node, 1, 2},
	    {"boot_id", w->boot_id, 1, UINT64_MAX}, {"priority", w->priority, 0, UINT16_MAX},
	    {"system_priority", w->system_priority, 0, UINT16_MAX},
	    {"path_count", w->path_count, 1, PATH_MAX_COUNT}, {"keepalive_ms", w->keepalive_ms, 1, MS_MAX},
	    {"multiplier", w->multiplier, 1, MULTIPLIER_MAX},
	    {"session_timeout_ms", w->session_timeout_ms, 3, MS_MAX}, {"alone_ms", w->alone_ms, 0, MS_MAX},
	    {"ceiling_ms", w->ceiling_ms, 1, MS_MAX},
	    {"grace_ms", w->grace_ms, 1000, RESTART_SECONDS_MAX * 1000},
	    {"ageing_ms", w->ageing_ms, 1, MS_MAX}, {"leave_ms", w->leave_ms, 0, MS_MAX},
	    {"entry_limit", w->entry_limit, 1, UINT32_MAX}, {"mclags", w->n_mclags, 0, MCLAG_MAX_COUNT});
}

static int get_config(const Mclag__Journal__Config *w, struct journal_head *h, char *why)
{
	enum split_policy on_split;
	if (check_config(w, why) ||
	    check_word(why, "on_split", w->on_split, split_policy_parse(w->on_split, &on_split)))
		return -EBADMSG;
	struct mclag_config *mclags = allocate(w->n_mclags, sizeof(*mclags));
	if (get_mclags(w, mclags, why)) {
		free(mclags);
		return -EBADMSG;
	}
	h->mclags = mclags;
	h->config = (struct domain_config){.domain = (uint16_t)w->domain,
					   .node = (uint8_t)w->node,
					   .boot_id = w->boot_id,
					   .priority = (uint16_t)w->priority,
					   .system = mac_from_u64(w->system),
					   .system_priority = (uint16_t)w->system_priority,
					   .own_system = mac_from_u64(w->own_system),
					   .via = mac_from_u64(w->via),
					   .path_count = w->path_count,
					   .keepalive_ms = (int64_t)w->keepalive_ms,
					   .multiplier = (int64_t)w->multiplier,
					   .session_timeout_ms = (int64_t)w->session_timeout_ms,
					   .alone_ms = (int64_t)w->alone_ms,
					   .ceiling_ms = (int64_t)w->ceiling_ms,
					   .grace_ms = (int64_t)w->grace_ms,
					   .ageing_ms = (int64_t)w->ageing_ms,
					   .leave_ms = (int64_t)w->leave_ms,
					   .on_split = on_split,
					   .entry_limit = w->entry_limit,
					   .mclag_count = w->n_mclags,
					   .mclags = mclags};
	return 0;
}

static int get_leg(const Mclag__Journal__LegResume *w, uint64_t above, struct leg_resume *l, char *why)
{
	if (CHECK_RANGES(why, {"mclag", w->mclag, above + 1, MCLAG_MAX},
			 {"actor_state", w->actor_state, 0, UINT8_MAX},
			 {"partner_system_priority", w->partner_system_priority, 0, UINT16_MAX},
			 {"partner_system", w->partner_system, 0, MAC_BITS},
			 {"partner_key", w->partner_key, 0, UINT16_MAX},
			 {"partner_port_priority", w->partner_port_priority, 0, UINT16_MAX},
			 {"partner_port", w->partner_port, 0, UINT16_MAX},
			 {"partner_state", w->partner_state, 0, UINT8_MAX}))
		return -EBADMSG;
	*l = (struct leg_resume){.mclag = (uint16_t)w->mclag,
				 .forwarding = w->forwarding,
				 .isolated = w->isolated,
				 .actor_state = (uint8_t)w->actor_state,
				 .partner = {.system_priority = (uint16_t)w->partner_system_priority,
					     .system = mac_from_u64(w->partner_system),
					     .key = (uint16_t)w->partner_key,
					     .port_priority = (uint16_t)w->partner_port_priority,
					     .port = (uint16_t)w->partner_port,
					     .state = (uint8_t)w->partner_state}};
	return 0;
}

static int get_resume(const Mclag__Journal__Resume *w, struct resume *r, char *why)
{
	enum role role;
	enum verdict verdict;
	int error = check_word(why, "role", w->role, role_parse(w->role, &role));
	if (error || (error = check_word(why, "verdict", w->verdict, verdict_parse(w->verdict, &verdict))) ||
	    (error = CHECK_RANGES(why, {"legs", w->n_legs, 0, MCLAG_MAX_COUNT})))
		return error;
	struct leg_resume *legs = allocate(w->n_legs, sizeof(*legs));
	for (size_t i = 0; !error && i < w->n_legs; i++)
		error = get_leg(w->legs[i], i ? legs[i - 1].mclag : 0, &legs[i], why);
	if (error) {
		free(legs);
		return error;
	}
	*r = (struct resume){.verdict = verdict,
			     .role = role,
			     .epoch = w->epoch,
			     .peer_link_open = w->peer_link_open,
			     .leg_count = w->n_legs,
			     .legs = legs};
	return 0;
}

static int get_head(const Mclag__Journal__Head *w, struct journal_head *h, char *why)
{
	struct journal_head n = {.wall_us = (int64_t)(w->wall_us & INT64_MAX)};
	if (w->format != JOURNAL_FORMAT) {
		refuse(why, "it has format %" PRIu32 ", this version reads %d", w->format, JOURNAL_FORMAT);
		return -ENOTSUP;
	}
	size_t length = strlen(w->version);
	if (length >= sizeof(n.version) || strspn(w->version, VERSION_CHARACTERS) != length)
		return refuse(why, "version is no version");
	if (!w->config)
		return missing(why, "config");
	memcpy(n.version, w->version, length);
	int error = get_config(w->config, &n, why);
	if (error)
		return error;
	if (w->resume && (error = get_resume(w->resume, &n.resume, why))) {
		free(n.mclags);
		return error;
	}
	n.resumes = w->resume != NULL;
	n.foreign = journal_config_digest(&n.config) != w->config_digest;
	*h = n;
	return 0;
}

/* --- event ------------------------------------------------------------------------------------------- */

/* orphan: may it be one? */
static int get_place(const Mclag__Journal__Place *w, bool orphan, struct place *p, char *why)
{
	enum place_kind kind;
	if (!w)
		return missing(why, "place");
	if (check_word(why, "place", w->kind, place_kind_parse(w->kind, &kind)))
		return -EBADMSG;
	if (kind == PLACE_NONE || (kind == PLACE_ORPHAN && !orphan))
		return refuse(why, "place \"%s\" cannot be here", place_kind_name(kind));
	if (CHECK_RANGES(why, {"mclag", w->mclag, kind == PLACE_LEG, kind == PLACE_LEG ? MCLAG_MAX : 0}))
		return -EBADMSG;
	*p = (struct place){.kind = kind, .mclag = (uint16_t)w->mclag};
	p->port = kind == PLACE_ORPHAN ? w->port : 0;
	return 0;
}

static int get_link(const Mclag__Journal__Link *w, struct event *e, char *why)
{
	e->link = (struct link_event){.carrier = w->carrier, .speed = w->speed};
	return get_place(w->port, false, &e->link.port, why);
}

static int get_heard(const Mclag__Journal__Heard *w, size_t paths, struct event *e, char *why)
{
	char beacon_why[MESSAGE_WHY_SIZE];
	if (CHECK_RANGES(why, {"path", w->path, 0, paths - 1}, {"echo_ms", w->echo_ms, 0, MS_MAX}))
		return -EBADMSG;
	e->heard = (struct heard_event){.path = (int)w->path,
					.boot_id = w->boot_id,
					.hears_us = w->hears_us,
					.echo_ms = (int64_t)w->echo_ms};
	if (beacon_decode(w->beacon.data, w->beacon.len, &e->heard.beacon, beacon_why))
		return refuse(why, "%s", beacon_why);
	return 0;
}

static int get_lacpdu(const Mclag__Journal__Lacpdu *w, struct event *e, char *why)
{
	uint8_t pdu[LACPDU_SIZE] = {0};
	if (CHECK_RANGES(why, {"mclag", w->mclag, 1, MCLAG_MAX}))
		return -EBADMSG;
	if (w->pdu.len > sizeof(pdu))
		return refuse(why, "pdu: %zu bytes are more than %zu", w->pdu.len, sizeof(pdu));
	if (w->pdu.len)
		memcpy(pdu, w->pdu.data, w->pdu.len);
	e->lacpdu.mclag = (uint16_t)w->mclag;
	enum lacpdu_error wrong = lacpdu_decode(pdu, sizeof(pdu), &e->lacpdu.pdu);
	return wrong == LACPDU_OK ? 0 : refuse(why, "pdu: %s", lacpdu_error_help(wrong));
}

static int get_entry(const Mclag__Journal__Entry *w, struct event *e, char *why)
{
	/* A group's address is the core's to ignore. */
	if (CHECK_RANGES(why, {"mac", w->mac, 1, MAC_BITS}, {"vlan", w->vlan, 0, VLAN_MAX}) ||
	    check_word(why, "sighting", w->sighting, sighting_parse(w->sighting, &e->entry.sighting)))
		return -EBADMSG;
	e->entry.mac = mac_from_u64(w->mac);
	e->entry.vlan = (uint16_t)w->vlan;
	return get_place(w->place, true, &e->entry.place, why);
}

static int get_done(const Mclag__Journal__Done *w, struct event *e, char *why)
{
	e->done = (struct done_event){.isolate = w->isolate, .on = w->on, .ok = w->ok};
	return get_place(w->port, false, &e->done.port, why);
}

static int get_reason(const char *word, struct event *e, char *why)
{
	if (check_word(why, "reason", word, reason_parse(word, &e->reason)))
		return -EBADMSG;
	if (e->kind == EVENT_STOP && e->reason != REASON_RESTART && e->reason != REASON_SHUTDOWN)
		return refuse(why, "reason \"%s\" is none to stop for", reason_name(e->reason));
	return 0;
}

static int get_message(ProtobufCBinaryData bytes, struct journal_record *r, char *why)
{
	char message_why[MESSAGE_WHY_SIZE];
	if (message_decode(bytes.data, bytes.len, &r->event.message, message_why))
		return refuse(why, "%s", message_why);
	return 0;
}

static int get_kind(const Mclag__Journal__Event *w, size_t paths, struct journal_record *r, char *why)
{
	struct event *e = &r->event.event;
	switch (e->kind) {
	case EVENT_START:
	case EVENT_TIMER:
	case EVENT_CONFLICT:
	case EVENT_VIOLATION:
	case EVENT_DUMP_BEGIN:
	case EVENT_DUMP_END:
		return 0;
	case EVENT_LINK:
		return get_link(w->link, e, why);
	case EVENT_HEARD:
		return get_heard(w->heard, paths, e, why);
	case EVENT_SESSION_OPENED:
		e->path = (int)(w->session_opened & INT_MAX);
		return CHECK_RANGES(why, {"path", w->session_opened, 0, paths - 1});
	case EVENT_SESSION_CLOSED:
		return get_reason(w->session_closed, e, why);
	case EVENT_MESSAGE:
		return get_message(w->message, r, why);
	case EVENT_ROOM:
		e->room = (size_t)w->room;
		return CHECK_RANGES(why, {"room", w->room, 0, SIZE_MAX / 2});
	case EVENT_LACPDU:
		return get_lacpdu(w->lacpdu, e, why);
	case EVENT_ENTRY:
		return get_entry(w->entry, e, why);
	case EVENT_DONE:
		return get_done(w->done, e, why);
	case EVENT_PROGRAM_FAILED:
		return get_entry(w->program_failed, e, why);
	case EVENT_STOP:
		return get_reason(w->stop, e, why);
	case EVENT_KIND_COUNT:
		break;
	}
	return refuse(why, "no such event");
}

#define FIRST_EVENT MCLAG__JOURNAL__EVENT__KIND_START /* the others follow in the order of EVENTS */

_Static_assert(MCLAG__JOURNAL__EVENT__KIND_STOP - FIRST_EVENT == EVENT_STOP, "as in EVENTS");
_Static_assert(MCLAG__JOURNAL__EVENT__KIND_STOP - FIRST_EVENT + 1 == EVENT_KIND_COUNT, "as in EVENTS");
_Static_assert(MCLAG__JOURNAL__EVENT__KIND_ENTRY - FIRST_EVENT == EVENT_ENTRY, "as in EVENTS");
_Static_assert(MCLAG__JOURNAL__EVENT__KIND_ROOM - FIRST_EVENT == EVENT_ROOM, "as in EVENTS");

static int get_event(const Mclag__Journal__Event *w, size_t paths, struct journal_record *r, char *why)
{
	char inner[JOURNAL_WHY_SIZE];
	if (w->kind_case == MCLAG__JOURNAL__EVENT__KIND__NOT_SET) {
		refuse(why, "an event of a kind that this version does not know");
		return -ENOTSUP;
	}
	r->event.after_ms = w->after_ms;
	r->event.event.kind = (enum event_kind)(w->kind_case - FIRST_EVENT);
	int error = CHECK_RANGES(inner, {"after_ms", w->after_ms, 0, (uint64_t)MS_MAX});
	if (!error)
		error = get_kind(w, paths, r, inner);
	return error ? refuse(why, "%s: %.200s", event_kind_name(r->event.event.kind), inner) : 0;
}

/* --- outcome, end ------------------------------------------------------------------------------------ */

static int get_trace(const Mclag__Journal__Trace *w, struct trace *t, char *why)
{
	if (check_word(why, "room", w->room, trace_room_parse(w->room, &t->room)) ||
	    check_word(why, "level", w->level, trace_level_parse(w->level, &t->level)) ||
	    CHECK_RANGES(why, {"mclag", w->mclag, 0, MCLAG_MAX},
			 {"length of a line", strlen(w->text), 0, TRACE_TEXT_SIZE - 1}))
		return -EBADMSG;
	t->mclag = (uint16_t)w->mclag;
	memcpy(t->text, w->text, strlen(w->text) + 1);
	return 0;
}

static int get_outcome(const Mclag__Journal__Outcome *w, struct journal_outcome *o, char *why)
{
	size_t kept = w->trace_count < JOURNAL_TRACES_MAX ? w->trace_count : JOURNAL_TRACES_MAX;
	if (w->n_traces != kept)
		return refuse(why, "outcome: %zu lines of %" PRIu32, w->n_traces, w->trace_count);
	struct journal_outcome n = {.trace_count = w->trace_count,
				    .kept = kept,
				    .traces = allocate(kept, sizeof(*n.traces)),
				    .action_count = w->action_count,
				    .action_digest = w->action_digest};
	for (size_t i = 0; i < kept; i++)
		if (get_trace(w->traces[i], &n.traces[i], why)) {
			free(n.traces);
			return -EBADMSG;
		}
	*o = n;
	return 0;
}

/* --- record ------------------------------------------------------------------------------------------ */

static int get(const Mclag__Journal__Record *w, size_t paths, struct journal_record *r, char *why)
{
	switch ((int)w->kind_case) {
	case MCLAG__JOURNAL__RECORD__KIND_HEAD:
		r->kind = JOURNAL_HEAD;
		return get_head(w->head, &r->head, why);
	case MCLAG__JOURNAL__RECORD__KIND_EVENT:
		r->kind = JOURNAL_EVENT;
		return get_event(w->event, paths, r, why);
	case MCLAG__JOURNAL__RECORD__KIND_OUTCOME:
		r->kind = JOURNAL_OUTCOME;
		return get_outcome(w->outcome, &r->outcome, why);
	case MCLAG__JOURNAL__RECORD__KIND_END:
		r->kind = JOURNAL_END;
		return check_word(why, "end", w->end->reason, journal_end_parse(w->end->reason, &r->end));
	default:
		refuse(why, "a record of a kind that this version does not know");
		return -ENOTSUP;
	}
}

int journal_get(const uint8_t *bytes, size_t size, size_t paths, struct journal_record *r,
		char why[static JOURNAL_WHY_SIZE])
{
	Mclag__Journal__Record *w = NULL;
	struct journal_record n = {.kind = JOURNAL_END};
	if (size > 0 && size <= JOURNAL_RECORD_MAX)
		w = mclag__journal__record__unpack(NULL, size, bytes);
	if (!w)
		return refuse(why, "%zu bytes that are no record", size);
	int error = get(w, paths, &n, why);
	if (!error)
		*r = n;
	mclag__journal__record__free_unpacked(w, NULL);
	return error;
}

void journal_record_clear(struct journal_record *r)
{
	switch (r->kind) {
	case JOURNAL_HEAD:
		free(r->head.mclags);
		free(r->head.resume.legs);
		break;
	case JOURNAL_EVENT:
		if (r->event.event.kind == EVENT_MESSAGE)
			message_clear(&r->event.message);
		break;
	case JOURNAL_OUTCOME:
		free(r->outcome.traces);
		break;
	case JOURNAL_END:
		break;
	}
	*r = (struct journal_record){.kind = JOURNAL_END};
}

struct event journal_record_event(const struct journal_record *r)
{
	struct event e = r->event.event;
	if (e.kind == EVENT_MESSAGE)
		e.message = &r->event.message;
	return e;
}
