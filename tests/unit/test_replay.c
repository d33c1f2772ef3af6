/* SPDX-License-Identifier: ISC */
/* Replays of what was recorded: whole, cut, changed, and by another version. */
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

/* What it says, in static memory. */
static enum replay_result play(const uint8_t *bytes, size_t size, const char *version, const char **said,
			       char why[static JOURNAL_WHY_SIZE])
{
	static char text[65536];
	FILE *in = fmemopen((void *)bytes, size, "rb"), *out = fmemopen(text, sizeof(text), "w");
	assert_true(in && out);
	why[0] = 0;
	enum replay_result result = replay(in, version, out, why);
	fclose(in);
	fclose(out);
	*said = text;
	return result;
}

static void identical(void **state)
{
	(void)state;
	for (int resumes = 0; resumes < 2; resumes++) {
		const char *said;
		char why[JOURNAL_WHY_SIZE], last[64];
		struct event events[SAMPLE_EVENTS];
		struct journal_bytes b = {0};
		sample_run(&b, resumes);
		snprintf(last, sizeof(last), "%zu events, identical\n", sample_events(events));
		assert_int_equal(play(b.data, b.size, SAMPLE_VERSION, &said, why), REPLAY_IDENTICAL);
		assert_non_null(strstr(said, last));
		assert_non_null(strstr(said, "the daemon was killed or crashed here"));
		journal_put_end(&b, JOURNAL_STOPPED);
		assert_int_equal(play(b.data, b.size, SAMPLE_VERSION, &said, why), REPLAY_IDENTICAL);
		assert_non_null(strstr(said, last));
		assert_non_null(strstr(said, resumes ? "2 mclags, resumed at 2026" : "2 mclags, started at"));
		assert_non_null(strstr(said, "0.000 info  domain: started"));
		assert_null(strstr(said, "crashed"));
		journal_put_end(&b, JOURNAL_STOPPED);
		assert_int_equal(play(b.data, b.size, SAMPLE_VERSION, &said, why), REPLAY_UNUSABLE);
		assert_non_null(strstr(why, "more behind the end"));
		journal_bytes_free(&b);
	}
}

static void other_version(void **state)
{
	(void)state;
	const char *said;
	char why[JOURNAL_WHY_SIZE];
	struct journal_bytes b = {0};
	sample_run(&b, false);
	assert_int_equal(play(b.data, b.size, "9.9", &said, why), REPLAY_IDENTICAL);
	assert_non_null(strstr(said, "note: recorded by mclagd " SAMPLE_VERSION ", replayed by 9.9"));
	journal_bytes_free(&b);
}

/* One that was recorded by 0.1.0 can be read for ever; what is decided today may differ. JOURNAL_CORPUS=1
 * writes today's. */
static void an_old_one(void **state)
{
	(void)state;
	static uint8_t bytes[65536];
	const char *said;
	char why[JOURNAL_WHY_SIZE];
	for (int resumes = 0; resumes < 2; resumes++) {
		const char *file = resumes ? CORPUS "/resumed" : CORPUS "/fresh";
		if (getenv("JOURNAL_CORPUS")) {
			struct journal_bytes b = {0};
			sample_run(&b, resumes);
			journal_put_end(&b, JOURNAL_STOPPED);
			FILE *f = fopen(file, "we");
			assert_true(f && fwrite(b.data, 1, b.size, f) == b.size);
			fclose(f);
			journal_bytes_free(&b);
		}
		FILE *f = fopen(file, "re");
		assert_non_null(f);
		size_t size = fread(bytes, 1, sizeof(bytes), f);
		fclose(f);
		enum replay_result result = play(bytes, size, "9.9", &said, why);
		if (result == REPLAY_UNUSABLE)
			fail_msg("%s: %s", file, why);
		assert_non_null(strstr(said, "note: recorded by mclagd " SAMPLE_VERSION));
	}
}

/* The first record of this kind behind the head. */
static size_t find(const struct journal_bytes *b, enum journal_kind kind, size_t nth)
{
	for (size_t at = JOURNAL_MAGIC_SIZE; at < b->size;) {
		struct journal_record r;
		get(b, at, &r);
		bool found = r.kind == kind && nth-- == 0;
		journal_record_clear(&r);
		if (found)
			return at;
		at += cut(b, at).whole;
	}
	fail_msg("no such record");
	return 0;
}

static void take_out(struct journal_bytes *b, size_t at)
{
	size_t whole = cut(b, at).whole;
	memmove(b->data + at, b->data + at + whole, b->size - at - whole);
	b->size -= whole;
}

static void a_line_differs(void **state)
{
	(void)state;
	const char *said;
	char why[JOURNAL_WHY_SIZE];
	struct journal_bytes b = {0};
	sample_run(&b, false);
	char *line = memmem(b.data, b.size, "every leg is held", 17);
	assert_non_null(line);
	line[6] = '\x1b';
	assert_int_equal(play(b.data, b.size, SAMPLE_VERSION, &said, why), REPLAY_DIFFERS);
	assert_non_null(strstr(said,
			       "event 1 (start) at 0.000 s: differs\n"
			       "recorded:       0.000 info  domain: started -> every ?eg is held until"));
	assert_non_null(strstr(said, "replayed:       0.000 info  domain: started -> every leg is held"));
	journal_bytes_free(&b);
}

/* An event that is not there changes what the later ones do; an outcome that is not there is a difference. */
static void something_is_missing(void **state)
{
	(void)state;
	const char *said;
	char why[JOURNAL_WHY_SIZE];
	struct journal_bytes b = {0};
	sample_run(&b, false);
	take_out(&b, find(&b, JOURNAL_OUTCOME, 1));
	assert_int_equal(play(b.data, b.size, SAMPLE_VERSION, &said, why), REPLAY_DIFFERS);
	b.size = 0;
	sample_run(&b, false);
	take_out(&b, find(&b, JOURNAL_EVENT, 0)); /* start */
	assert_int_equal(play(b.data, b.size, SAMPLE_VERSION, &said, why), REPLAY_UNUSABLE);
	assert_non_null(strstr(why, "an outcome of no event"));
	b.size = 0;
	sample_run(&b, false);
	take_out(&b, JOURNAL_MAGIC_SIZE);
	assert_int_equal(play(b.data, b.size, SAMPLE_VERSION, &said, why), REPLAY_UNUSABLE);
	assert_non_null(strstr(why, "the first record is no head"));
	journal_bytes_free(&b);
}

/* Actions that differ are a difference, in one version. */
static void the_actions_differ(void **state)
{
	(void)state;
	const char *said;
	char why[JOURNAL_WHY_SIZE];
	struct journal_head h = sample_head(false);
	struct journal_bytes b = {0};
	struct event e = {.kind = EVENT_START};
	struct step s = {.now = {5}};
	struct domain *d = domain_create(&h.config, NULL);
	journal_put_head(&b, &h);
	journal_put_event(&b, 5, &e);
	domain_step(d, &s, &e);
	step_action(&s, ACTION_ACCEPT);
	journal_put_outcome(&b, &s);
	assert_int_equal(play(b.data, b.size, SAMPLE_VERSION, &said, why), REPLAY_DIFFERS);
	assert_non_null(strstr(said, "event 1 (start) at 0.000 s: differs\nrecorded: "));
	assert_int_equal(play(b.data, b.size, "9.9", &said, why), REPLAY_IDENTICAL);
	domain_destroy(d);
	step_release(&s);
	journal_bytes_free(&b);
}

/* What a newer version may write. */
static void newer(void **state)
{
	(void)state;
	const char *said;
	char why[JOURNAL_WHY_SIZE];
	struct journal_bytes b = {0};
	sample_run(&b, false);
	struct frame f = cut(&b, JOURNAL_MAGIC_SIZE);
	Mclag__Journal__Record *w = mclag__journal__record__unpack(NULL, f.len, f.payload);
	uint8_t file[4096];
	memcpy(file, b.data, JOURNAL_MAGIC_SIZE);
	for (int other_format = 0; other_format < 2; other_format++) {
		w->head->format = other_format ? JOURNAL_FORMAT + 1 : JOURNAL_FORMAT;
		w->head->config_digest++; /* as if there were a setting that we do not know */
		size_t size = mclag__journal__record__pack(w, file + JOURNAL_MAGIC_SIZE + FRAME_HEAD);
		frame_head(file + JOURNAL_MAGIC_SIZE, size);
		size += JOURNAL_MAGIC_SIZE + FRAME_HEAD;
		memcpy(file + size, b.data + JOURNAL_MAGIC_SIZE + f.whole, 200);
		enum replay_result result = play(file, size + 200, SAMPLE_VERSION, &said, why);
		if (other_format) {
			assert_int_equal(result, REPLAY_UNUSABLE);
			assert_non_null(strstr(why, "it has format 2, this version reads 1"));
		} else {
			assert_int_equal(result, REPLAY_IDENTICAL);
			assert_non_null(strstr(said, "its configuration is not all known to this version"));
		}
	}
	mclag__journal__record__free_unpacked(w, NULL);
	/* A kind of event, and of record, to come. */
	static const uint8_t kinds[2][8] = {{0x12, 0x03, 0xc8, 0x06, 1}, {0xa2, 0x06, 0}};
	for (size_t i = 0; i < 2; i++) {
		struct journal_record r;
		assert_int_equal(journal_get(kinds[i], i ? 3 : 5, PATHS, &r, why), -ENOTSUP);
		assert_non_null(strstr(why, "of a kind that this version does not know"));
	}
	journal_bytes_free(&b);
}

/* Cut anywhere: nothing to replay, or what is left is identical. */
static void every_truncation(void **state)
{
	(void)state;
	const char *said;
	char why[JOURNAL_WHY_SIZE];
	struct journal_bytes b = {0};
	sample_run(&b, true);
	size_t first = find(&b, JOURNAL_OUTCOME, 0); /* from here on there is an event */
	for (size_t size = 1; size < b.size; size++) {
		enum replay_result result = play(b.data, size, SAMPLE_VERSION, &said, why);
		assert_int_equal(result, size < first ? REPLAY_UNUSABLE : REPLAY_IDENTICAL);
		assert_true(result == REPLAY_IDENTICAL || why[0]);
	}
	journal_bytes_free(&b);
}

/* Any byte may be any other: the replay ends with one of its three results. */
static void every_mutation(void **state)
{
	(void)state;
	static const uint8_t flips[] = {0x01, 0x08, 0x80, 0xff};
	const char *said;
	char why[JOURNAL_WHY_SIZE];
	size_t seen[3] = {0};
	struct journal_bytes b = {0};
	sample_run(&b, true);
	for (size_t i = 0; i < b.size; i++)
		for (size_t j = 0; j < sizeof(flips); j++) {
			b.data[i] ^= flips[j];
			enum replay_result result = play(b.data, b.size, SAMPLE_VERSION, &said, why);
			assert_in_range(result, REPLAY_IDENTICAL, REPLAY_UNUSABLE);
			assert_true((result == REPLAY_UNUSABLE) == (why[0] != 0));
			seen[result]++;
			b.data[i] ^= flips[j];
		}
	assert_true(seen[REPLAY_DIFFERS] > b.size && seen[REPLAY_UNUSABLE] > b.size);
	journal_bytes_free(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(identical),
	    cmocka_unit_test(other_version),
	    cmocka_unit_test(an_old_one),
	    cmocka_unit_test(a_line_differs),
	    cmocka_unit_test(something_is_missing),
	    cmocka_unit_test(the_actions_differ),
	    cmocka_unit_test(newer),
	    cmocka_unit_test(every_truncation),
	    cmocka_unit_test(every_mutation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
