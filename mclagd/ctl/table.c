/* SPDX-License-Identifier: ISC */
/*
 * ctl/table.c - cells lie end to end in one text pool, so that half a million rows of a MAC table cost what
 * their text costs.
 */
#include "ctl/table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define COLUMN_GAP     2
#define WIDTH_LEAST    16 /* of a last column: a narrower terminal wraps by itself */
#define CELL_TEXT_SIZE 512

struct cell {
	size_t at; /* in the pool */
	enum tone tone;
};

struct table {
	const struct column *columns;
	size_t count;
	int indent;
	char *pool;
	size_t pool_used, pool_room;
	struct cell *cells;
	size_t cell_count, cell_room;
};

static void *grown(void *old, size_t *room, size_t need, size_t size)
{
	if (need <= *room)
		return old;
	*room = need < 64 ? 128 : need * 2;
	void *bigger = reallocarray(old, *room, size);

	if (bigger == NULL)
		abort();
	return bigger;
}

static const char *tone_start(enum tone tone)
{
	switch (tone) {
	case TONE_PLAIN:
		return "";
	case TONE_HEAD:
		return "\033[1m";
	case TONE_GOOD:
		return "\033[32m";
	case TONE_WARN:
		return "\033[33m";
	case TONE_BAD:
		return "\033[31m";
	}
	abort();
}

static void clean(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || (unsigned char)*text > '~')
			*text = '?';
}

static void put(const struct sheet *sheet, enum tone tone, const char *text, size_t size)
{
	bool colour = sheet->colour && tone != TONE_PLAIN && size > 0;

	fprintf(sheet->out, "%s%.*s%s", colour ? tone_start(tone) : "", (int)size, text,
		colour ? "\033[0m" : "");
}

/* Bytes of text that fit into width, broken after a space or comma if need be; a longer word is cut. */
static size_t fitting(const char *text, size_t width)
{
	size_t fit = strlen(text);

	if (fit <= width)
		return fit;
	fit = width;
	while (fit > 0 && text[fit] != ' ' && text[fit - 1] != ',' && text[fit - 1] != ' ')
		fit--;
	return fit == 0 ? width : fit;
}

/* The end of a line: text from column `left` on, continued under itself. */
static void put_wrapped(const struct sheet *sheet, enum tone tone, int left, const char *text)
{
	size_t width = SIZE_MAX;

	if (sheet->width > 0)
		width = (size_t)(sheet->width - left < WIDTH_LEAST ? WIDTH_LEAST : sheet->width - left);
	for (;;) {
		size_t size = fitting(text, width), shown = size;

		while (shown > 0 && text[shown - 1] == ' ')
			shown--;
		put(sheet, tone, text, shown);
		fputc('\n', sheet->out);
		text += size;
		text += strspn(text, " ");
		if (*text == '\0')
			return;
		fprintf(sheet->out, "%*s", left, "");
	}
}

struct table *table_create(const struct column *columns, size_t count, int indent)
{
	struct table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		abort();
	t->columns = columns;
	t->count = count;
	t->indent = indent;
	if (columns[0].title != NULL)
		for (size_t i = 0; i < count; i++)
			table_cell(t, TONE_HEAD, "%s", columns[i].title);
	return t;
}

void table_cell(struct table *t, enum tone tone, const char *format, ...)
{
	char text[CELL_TEXT_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	clean(text);

	size_t size = strlen(text) + 1;

	t->pool = grown(t->pool, &t->pool_room, t->pool_used + size, 1);
	t->cells = grown(t->cells, &t->cell_room, t->cell_count + 1, sizeof(*t->cells));
	memcpy(t->pool + t->pool_used, text, size);
	t->cells[t->cell_count++] = (struct cell){.at = t->pool_used, .tone = tone};
	t->pool_used += size;
}

static void print_row(const struct table *t, const struct sheet *sheet, const struct cell *row,
		      const int *widths)
{
	int left = t->indent;

	fprintf(sheet->out, "%*s", t->indent, "");
	for (size_t i = 0; i + 1 < t->count; i++) {
		const char *text = t->pool + row[i].at;
		int blank = widths[i] - (int)strlen(text);

		fprintf(sheet->out, "%*s", t->columns[i].right ? blank : 0, "");
		put(sheet, row[i].tone, text, strlen(text));
		fprintf(sheet->out, "%*s", (t->columns[i].right ? 0 : blank) + COLUMN_GAP, "");
		left += widths[i] + COLUMN_GAP;
	}
	const struct cell *last = &row[t->count - 1];
	const char *text = t->pool + last->at;
	int blank = t->columns[t->count - 1].right ? widths[t->count - 1] - (int)strlen(text) : 0;

	fprintf(sheet->out, "%*s", blank, "");
	put_wrapped(sheet, last->tone, left + blank, text);
}

void table_finish(struct table *t, const struct sheet *sheet)
{
	size_t head = t->columns[0].title != NULL ? t->count : 0;
	int *widths = calloc(t->count, sizeof(*widths));

	if (widths == NULL)
		abort();
	for (size_t i = 0; i < t->count; i++)
		widths[i] = t->columns[i].least;
	for (size_t i = 0; i < t->cell_count; i++) {
		int width = (int)strlen(t->pool + t->cells[i].at);

		if (width > widths[i % t->count])
			widths[i % t->count] = width;
	}
	if (t->cell_count > head)
		for (size_t i = 0; i + t->count <= t->cell_count; i += t->count)
			print_row(t, sheet, &t->cells[i], widths);
	free(widths);
	free(t->cells);
	free(t->pool);
	free(t);
}

void sheet_line(const struct sheet *sheet, enum tone tone, int indent, const char *format, ...)
{
	char text[CELL_TEXT_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	clean(text);
	fprintf(sheet->out, "%*s", indent, "");
	put_wrapped(sheet, tone, indent, text);
}
