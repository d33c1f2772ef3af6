/* SPDX-License-Identifier: ISC */
/*
 * One record after the other. An event is stepped when it is read, and compared when its outcome is, or when
 * the next record shows that it had none. The first difference ends the replay: from there on the two states
 * are not the same, and all that follows is an echo.
 *
 * The last event of a journal without an end is not compared when it has no outcome: that was lost.
 */
#include "mclagd/replay.h"

#include "proto/frame.h"
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIME_MAX (INT64_C(1) << 50)

struct replay {
	FILE *file, *out;
	char *why;
	uint8_t *payload; /* of the last record */
	size_t payload_room;
	uint64_t offset; /* of the record to come */
	size_t paths;
	bool cut; /* the file ends within a record */
	bool same_version;

	struct domain *domain;
	struct step step;
	struct msec start;
	uint64_t events;
	enum event_kind last;
	bool open; /* the last event has not been compared */
};

/* What a file says goes to a terminal. */
static void make_plain(char *text)
{
	for (; *text; text++)
		if (!isprint((unsigned char)*text))
			*text = '?';
}

static enum replay_result unusable(struct replay *r, const char *what)
{
	char text[JOURNAL_WHY_SIZE];
	snprintf(text, sizeof(text), "byte %" PRIu64 ": %.200s", r->offset, what);
	make_plain(text);
	memcpy(r->why, text, sizeof(text));
	return REPLAY_UNUSABLE;
}

/* --- reading ----------------------------------------------------------------------------------------- */

enum next { NEXT_RECORD, NEXT_NONE, NEXT_BAD };

/* The next record; at the end of the file, NEXT_NONE, with r->cut when it ends within one. */
static enum next next(struct replay *r, struct journal_record *record)
{
	uint8_t head[FRAME_HEAD];
	struct frame f;
	char why[JOURNAL_WHY_SIZE];
	size_t got = fread(head, 1, sizeof(head), r->file);
	if (got < sizeof(head)) {
		r->cut = got > 0;
		return NEXT_NONE;
	}
	enum frame_status status = frame_cut(head, sizeof(head), JOURNAL_RECORD_MAX, &f);
	if (status != FRAME_MORE) {
		unusable(r, frame_status_text(status));
		return NEXT_BAD;
	}
	if (f.len > r->payload_room) {
		free(r->payload);
		r->payload = malloc(f.len);
		if (!r->payload)
			abort();
		r->payload_room = f.len;
	}
	if (fread(r->payload, 1, f.len, r->file) < f.len) {
		r->cut = true;
		return NEXT_NONE;
	}
	if (journal_get(r->payload, f.len, r->paths, record, why)) {
		unusable(r, why);
		return NEXT_BAD;
	}
	r->offset += FRAME_HEAD + f.len;
	return NEXT_RECORD;
}

/* --- telling ----------------------------------------------------------------------------------------- */

static void tell_line(const struct replay *r, const char *what, const struct trace *t)
{
	int64_t ms = msec_since(r->step.now, r->start);
	char text[TRACE_TEXT_SIZE];
	memcpy(text, t->text, sizeof(text));
	make_plain(text);
	fprintf(r->out, "%s%7" PRId64 ".%03" PRId64 " %-5s %s: %s\n", what, ms / 1000, ms % 1000,
		trace_level_name(t->level), trace_room_name(t->room), text);
}

static enum replay_result differs(struct replay *r)
{
	int64_t ms = msec_since(r->step.now, r->start);
	fprintf(r->out, "event %" PRIu64 " (%s) at %" PRId64 ".%03" PRId64 " s: differs\n", r->events,
		event_kind_name(r->last), ms / 1000, ms % 1000);
	return REPLAY_DIFFERS;
}

static void tell_head(struct replay *r, const struct journal_head *h, const char *version)
{
	char when[32];
	time_t t = (time_t)(h->wall_us / 1000000);
	struct tm tm;
	bool known = gmtime_r(&t, &tm) && strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm) > 0;
	fprintf(r->out, "domain %u, node %u, %zu mclags, %s at %s\n", h->config.domain, h->config.node,
		h->config.mclag_count, h->resumes ? "resumed" : "started", known ? when : "no time");
	if (!r->same_version)
		fprintf(r->out,
			"note: recorded by mclagd %s, replayed by %s: lines are compared, actions are not\n",
			h->version, version);
	if (h->foreign)
		fprintf(r->out, "note: its configuration is not all known to this version\n");
}

/* --- comparing --------------------------------------------------------------------------------------- */

static bool same_line(const struct trace *a, const struct trace *b)
{
	return a->room == b->room && a->level == b->level && a->mclag == b->mclag &&
	       strcmp(a->text, b->text) == 0;
}

/* What the last event made now, and what it made then. */
static enum replay_result compare(struct replay *r, const struct journal_outcome *then)
{
	const struct step *now = &r->step;
	for (size_t i = 0; i < then->kept || (i < now->trace_count && i < JOURNAL_TRACES_MAX); i++) {
		const struct trace *was = i < then->kept ? &then->traces[i] : NULL;
		const struct trace *is = i < now->trace_count ? &now->traces[i] : NULL;
		if (was && is && same_line(was, is))
			continue;
		enum replay_result result = differs(r);
		if (was)
			tell_line(r, "recorded: ", was);
		if (is)
			tell_line(r, "replayed: ", is);
		return result;
	}
	if (then->trace_count != now->trace_count) {
		enum replay_result result = differs(r);
		fprintf(r->out, "recorded: %zu lines\nreplayed: %zu lines\n", then->trace_count,
			now->trace_count);
		return result;
	}
	if (!r->same_version ||
	    (then->action_count == now->action_count && then->action_digest == journal_action_digest(now)))
		return REPLAY_IDENTICAL;
	enum replay_result result = differs(r);
	fprintf(r->out, "recorded: %zu actions\nreplayed: %zu actions%s\n", then->action_count,
		now->action_count, then->action_count == now->action_count ? ", not the same" : "");
	return result;
}

/* The last event had no outcome. */
static enum replay_result settle(struct replay *r)
{
	static const struct journal_outcome nothing;
	if (!r->open)
		return REPLAY_IDENTICAL;
	r->open = false;
	return compare(r, &nothing);
}

/* --- records ----------------------------------------------------------------------------------------- */

static enum replay_result on_event(struct replay *r, const struct journal_record *record)
{
	struct event e = journal_record_event(record);
	enum replay_result result = settle(r);
	if (result != REPLAY_IDENTICAL)
		return result;
	if ((e.kind == EVENT_START) != (r->events == 0))
		return unusable(r, "start is the first event, and no other");
	r->step.now.ms += (int64_t)record->event.after_ms;
	if (r->step.now.ms > TIME_MAX)
		return unusable(r, "its time is beyond all measure");
	if (r->events == 0)
		r->start = r->step.now;
	r->events++;
	r->last = e.kind;
	r->open = true;
	step_clear(&r->step);
	domain_step(r->domain, &r->step, &e);
	for (size_t i = 0; i < r->step.trace_count; i++)
		tell_line(r, "", &r->step.traces[i]);
	return REPLAY_IDENTICAL;
}

static enum replay_result on_outcome(struct replay *r, const struct journal_outcome *o)
{
	if (!r->open)
		return unusable(r, "an outcome of no event");
	r->open = false;
	return compare(r, o);
}

static enum replay_result on_record(struct replay *r, const struct journal_record *record)
{
	switch (record->kind) {
	case JOURNAL_EVENT:
		return on_event(r, record);
	case JOURNAL_OUTCOME:
		return on_outcome(r, &record->outcome);
	case JOURNAL_END: /* a full one may have lost the last outcome */
		return record->end == JOURNAL_STOPPED ? settle(r) : REPLAY_IDENTICAL;
	case JOURNAL_HEAD:
		break;
	}
	return unusable(r, "a second head");
}

/* After the last record; end NULL = the file has none. */
static enum replay_result finish(struct replay *r, const char *end)
{
	if (!end && r->events == 0)
		return unusable(r, "no event in it");
	if (!end)
		fprintf(r->out, "note: the journal has no end%s: the daemon was killed or crashed here\n",
			r->cut ? ", its last record is cut short" : "");
	else if (fgetc(r->file) != EOF)
		return unusable(r, "more behind the end");
	else
		fprintf(r->out, "note: %s\n", end);
	fprintf(r->out, "%" PRIu64 " events, identical\n", r->events);
	return REPLAY_IDENTICAL;
}

static enum replay_result read_events(struct replay *r)
{
	for (;;) {
		struct journal_record record;
		switch (next(r, &record)) {
		case NEXT_BAD:
			return REPLAY_UNUSABLE;
		case NEXT_NONE:
			return finish(r, NULL);
		case NEXT_RECORD:
			break;
		}
		enum replay_result result = on_record(r, &record);
		const char *end = record.kind == JOURNAL_END ? journal_end_help(record.end) : NULL;
		journal_record_clear(&record);
		if (result != REPLAY_IDENTICAL)
			return result;
		if (end)
			return finish(r, end);
	}
}

static enum replay_result read_head(struct replay *r, const char *version)
{
	char magic[JOURNAL_MAGIC_SIZE];
	struct journal_record record;
	if (fread(magic, 1, sizeof(magic), r->file) < sizeof(magic) ||
	    memcmp(magic, JOURNAL_MAGIC, sizeof(magic)) != 0)
		return unusable(r, "no journal of mclagd");
	r->offset = sizeof(magic);
	switch (next(r, &record)) {
	case NEXT_BAD:
		return REPLAY_UNUSABLE;
	case NEXT_NONE:
		return unusable(r, "it has no head");
	case NEXT_RECORD:
		break;
	}
	enum replay_result result = REPLAY_IDENTICAL;
	if (record.kind == JOURNAL_HEAD) {
		r->same_version = strcmp(record.head.version, version) == 0;
		r->paths = record.head.config.path_count;
		tell_head(r, &record.head, version);
		r->domain =
		    domain_create(&record.head.config, record.head.resumes ? &record.head.resume : NULL);
	} else {
		result = unusable(r, "the first record is no head");
	}
	journal_record_clear(&record);
	return result;
}

enum replay_result replay(FILE *journal, const char *version, FILE *out, char why[static JOURNAL_WHY_SIZE])
{
	struct replay r = {.file = journal, .out = out, .paths = 1};
	r.why = why;
	enum replay_result result = read_head(&r, version);
	if (result == REPLAY_IDENTICAL)
		result = read_events(&r);
	if (result != REPLAY_UNUSABLE && ferror(journal))
		result = unusable(&r, "it cannot be read to its end");
	domain_destroy(r.domain);
	step_release(&r.step);
	free(r.payload);
	return result;
}
