/* SPDX-License-Identifier: ISC */
/*
 * ctl/table.h - the one writer of text views: rows of cells, aligned, within a width.
 *
 * Cells are stored as they come and printed at the end, when the width of each column is known. Only the last
 * column may be longer than the line has room for: it is continued on further lines, under itself, broken
 * after a space or a comma. What would move a terminal's cursor or change its colours is printed as '?', for
 * text may come from a peer or a host.
 */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stdbool.h>
#include <stdio.h>

/* Where a view is printed. */
struct sheet {
	FILE *out;
	int width;   /* of a line; 0 = lines may be as long as they like */
	bool colour; /* ANSI escapes */
};

enum tone {
	TONE_PLAIN,
	TONE_HEAD,
	TONE_GOOD,
	TONE_WARN,
	TONE_BAD,
};

struct column {
	const char *title; /* NULL in every column = no title line */
	bool right;        /* aligned to the right */
	int least;         /* width at least, so that tables printed one after another line up */
};

struct table;

/* columns: kept by reference. indent: spaces before each line. Out of memory aborts. */
struct table *table_create(const struct column *columns, size_t count, int indent);
/* The next cell, from left to right, row by row. */
void table_cell(struct table *t, enum tone tone, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Prints and destroys. Nothing is printed for a table without rows. */
void table_finish(struct table *t, const struct sheet *sheet);

/* One line of text that is no table, cut and cleaned like a cell. */
void sheet_line(const struct sheet *sheet, enum tone tone, int indent, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
