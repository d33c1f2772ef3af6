/* SPDX-License-Identifier: ISC */
/*
 * test_show.c - what mclagctl prints, compared with the files in control/, as text of at most 80 columns and
 * as JSON. `BLESS=1 test_show` writes what comes out now, and the diff is read like code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "control_samples.h"
#include "ctl/json.h"
#include "ctl/show.h"
#include "proto/types.h"

#define WIDTH 80

/* --- goldens ----------------------------------------------------------------------------------------- */

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (file == NULL)
		fail_msg("%s is missing; BLESS=1 makes it", path);
	if (getdelim(&text, &size, '\0', file) < 0)
		fail_msg("%s is empty", path);
	fclose(file);
	return text;
}

static void assert_golden(const char *name, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", CONTROL_GOLDENS, name);
	if (getenv("BLESS") != NULL) {
		FILE *file = fopen(path, "w");

		assert_non_null(file);
		fputs(text, file);
		fclose(file);
		return;
	}
	char *expected = read_file(path);

	assert_string_equal(text, expected);
	free(expected);
}

static void assert_narrow(const char *text, size_t width)
{
	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
		size_t size = strcspn(line, "\n");

		if (size > width || (size > 0 && line[size - 1] == ' '))
			fail_msg("too long, or a blank at the end: '%.*s'", (int)size, line);
	}
}

static void assert_json_golden(const char *name, const ProtobufCMessage *message)
{
	char file[64];
	json_t *json = json_of_message(message);
	char *text = json_dumps(json, JSON_INDENT(2));

	snprintf(file, sizeof(file), "%s.json", name);
	assert_golden(file, text);
	free(text);
	json_decref(json);
}

/* A sheet into memory; the text is there when sheet.out is closed. */
static struct sheet sheet_of(char **text, size_t *size, int width, bool colour)
{
	return (struct sheet){.out = open_memstream(text, size), .width = width, .colour = colour};
}

/* --- views ------------------------------------------------------------------------------------------- */

static void check_text(const char *name, char *text)
{
	char file[64];

	assert_narrow(text, WIDTH);
	snprintf(file, sizeof(file), "%s.txt", name);
	assert_golden(file, text);
	free(text);
}

static void status(void **state)
{
	static const char *const names[] = {"status-healthy", "status-degraded", "status-down"};

	(void)state;
	for (int health = 0; health < 3; health++) {
		Mclag__Control__Status *s = sample_status((Mclag__Control__Health)health);
		char *text;
		size_t size;
		struct sheet sheet = sheet_of(&text, &size, WIDTH, false);

		show_status(&sheet, s);
		fclose(sheet.out);
		check_text(names[health], text);
		assert_json_golden(names[health], &s->base);
		mclag__control__status__free_unpacked(s, NULL);
	}
}

static void ports(void **state)
{
	Mclag__Control__Ports *p = sample_ports();
	char *text;
	size_t size;
	struct sheet sheet = sheet_of(&text, &size, WIDTH, false);

	(void)state;
	show_ports(&sheet, p);
	fclose(sheet.out);
	check_text("ports", text);
	assert_json_golden("ports", &p->base);
	mclag__control__ports__free_unpacked(p, NULL);
}

static void mac(void **state)
{
	Mclag__Control__Mac *m = sample_mac();
	char *text;
	size_t size;
	struct sheet sheet = sheet_of(&text, &size, WIDTH, false);

	(void)state;
	show_mac(&sheet, m);
	fclose(sheet.out);
	check_text("mac", text);
	assert_json_golden("mac", &m->base);
	mclag__control__mac__free_unpacked(m, NULL);
}

static void events(void **state)
{
	Mclag__Control__Events *e = sample_events();
	char *text;
	size_t size;
	struct sheet sheet = sheet_of(&text, &size, WIDTH, false);

	(void)state;
	show_events_title(&sheet);
	show_events(&sheet, e);
	fclose(sheet.out);
	check_text("events", text);
	assert_json_golden("events", &e->base);
	mclag__control__events__free_unpacked(e, NULL);
}

static void counters(void **state)
{
	Mclag__Control__Counters *c = sample_counters();
	char *text;
	size_t size;
	struct sheet sheet = sheet_of(&text, &size, WIDTH, false);

	(void)state;
	show_counters(&sheet, c);
	fclose(sheet.out);
	check_text("counters", text);
	assert_json_golden("counters", &c->base);
	mclag__control__counters__free_unpacked(c, NULL);
}

static void what_if(void **state)
{
	static const char *const names[] = {"whatif-felt", "whatif-cut"};

	(void)state;
	for (int cut = 0; cut < 2; cut++) {
		Mclag__Control__WhatIf *w = sample_what_if(cut);
		char *text;
		size_t size;
		struct sheet sheet = sheet_of(&text, &size, WIDTH, false);

		show_whatif(&sheet, w);
		fclose(sheet.out);
		check_text(names[cut], text);
		assert_json_golden(names[cut], &w->base);
		mclag__control__what_if__free_unpacked(w, NULL);
	}
}

/* A message without anything in it, from a daemon that says less than this program knows. */
static void nothing_known(void **state)
{
	Mclag__Control__Status s = MCLAG__CONTROL__STATUS__INIT;
	Mclag__Control__Mclag mclag = MCLAG__CONTROL__MCLAG__INIT, *mclags[] = {&mclag};
	Mclag__Control__Path path = MCLAG__CONTROL__PATH__INIT, *paths[] = {&path};
	Mclag__Control__Port port = MCLAG__CONTROL__PORT__INIT, *list[] = {&port};
	Mclag__Control__Ports p = MCLAG__CONTROL__PORTS__INIT;
	Mclag__Control__Counters c = MCLAG__CONTROL__COUNTERS__INIT;
	Mclag__Control__Mac m = MCLAG__CONTROL__MAC__INIT;
	char *text;
	size_t size;
	struct sheet sheet = sheet_of(&text, &size, WIDTH, false);

	(void)state;
	s.health = (Mclag__Control__Health)9;
	s.mclags = mclags;
	s.paths = paths;
	p.ports = list;
	s.n_mclags = s.n_paths = p.n_ports = 1;
	show_status(&sheet, &s);
	show_ports(&sheet, &p);
	show_counters(&sheet, &c);
	show_mac(&sheet, &m);
	fclose(sheet.out);
	check_text("nothing", text);
}

/* What mclagctl(8) says of the holds is what the program says. */
static void manual(void **state)
{
	char *page = read_file(MANUAL);

	(void)state;
	for (int h = 0; h < HOLD_COUNT; h++) {
		char entry[160];

		snprintf(entry, sizeof(entry), ".It Cm %s\n%s\n", hold_name((enum hold)h),
			 hold_help((enum hold)h));
		if (strstr(page, entry) == NULL)
			fail_msg("%s does not say: %s", MANUAL, entry);
	}
	free(page);
}

/* --- the writer -------------------------------------------------------------------------------------- */

static void ages(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
	    {-1, "never"},
	    {0, "0 ms"},
	    {999, "999 ms"},
	    {1000, "1 s"},
	    {59999, "59 s"},
	    {60000, "1m 0s"},
	    {3599999, "59m 59s"},
	    {3600000, "1h 0m"},
	    {86399999, "23h 59m"},
	    {86400000, "1d 0h"},
	    {INT64_MAX, "106751991167d 7h"},
	};
	char text[AGE_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(age_format(cases[i].ms, text), cases[i].text);
}

static char *written(int width, bool colour)
{
	static const struct column columns[] = {{"N", true, 0}, {"NAME", false, 6}, {"WORDS", false, 0}};
	char *text;
	size_t size;
	struct sheet sheet = sheet_of(&text, &size, width, colour);
	struct table *t = table_create(columns, 3, 1);

	table_cell(t, TONE_PLAIN, "%d", 7);
	table_cell(t, TONE_BAD, "%s", "red");
	table_cell(t, TONE_PLAIN, "%s", "one two,three four");
	table_cell(t, TONE_PLAIN, "%d", 12345);
	table_cell(t, TONE_PLAIN, "%s", "a\033[2Jb");
	table_cell(t, TONE_PLAIN, "%s", "abcdefghijklmnopqrstuvwxyz");
	table_finish(t, &sheet);
	fclose(sheet.out);
	return text;
}

/* The last column is broken after a space or comma; a word that is too long is cut; no width, no break. */
static void wrapping(void **state)
{
	(void)state;
	char *text = written(32, false);

	assert_string_equal(text, "     N  NAME    WORDS\n"
				  "     7  red     one two,three\n"
				  "                four\n"
				  " 12345  a?[2Jb  abcdefghijklmnop\n"
				  "                qrstuvwxyz\n");
	free(text);
	text = written(0, false);
	assert_string_equal(text, "     N  NAME    WORDS\n"
				  "     7  red     one two,three four\n"
				  " 12345  a?[2Jb  abcdefghijklmnopqrstuvwxyz\n");
	free(text);
}

/* Colours leave the columns where they are, and no escape of a cell's own text gets through. */
static void colours(void **state)
{
	char *plain = written(0, false), *coloured = written(0, true), *out = coloured;

	(void)state;
	assert_null(strchr(plain, '\033'));
	assert_non_null(strstr(coloured, "\033[31mred\033[0m"));
	for (const char *in = coloured; *in != '\0';)
		if (*in == '\033')
			in = strchr(in, 'm') + 1;
		else
			*out++ = *in++;
	*out = '\0';
	assert_string_equal(coloured, plain);
	free(plain);
	free(coloured);
}

static int utc(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(status),   cmocka_unit_test(ports),    cmocka_unit_test(mac),
	    cmocka_unit_test(events),   cmocka_unit_test(counters), cmocka_unit_test(nothing_known),
	    cmocka_unit_test(what_if),  cmocka_unit_test(manual),   cmocka_unit_test(ages),
	    cmocka_unit_test(wrapping), cmocka_unit_test(colours),
	};

	return cmocka_run_group_tests(tests, utc, NULL);
}
