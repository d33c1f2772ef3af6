/* SPDX-License-Identifier: ISC */
/*
 * ctl/show_whatif.c - a forecast as text: the verdict over it first, then only what changes, then what it
 * rests on.
 */
#include "ctl/show.h"

#include <inttypes.h>
#include <string.h>

#define OUTAGE_TEXT_SIZE 64
#define CELL_TEXT_SIZE   96

static const char *known(const char *text)
{
	return text == NULL || text[0] == '\0' ? "-" : text;
}

static const char *outage_format(const Mclag__Control__OutageForecast *o, char text[static OUTAGE_TEXT_SIZE])
{
	if (o == NULL)
		snprintf(text, OUTAGE_TEXT_SIZE, "-");
	else if (o->max_ms < 0)
		snprintf(text, OUTAGE_TEXT_SIZE, "for good");
	else if (o->max_ms == 0)
		snprintf(text, OUTAGE_TEXT_SIZE, "none");
	else if (o->min_ms == o->max_ms)
		snprintf(text, OUTAGE_TEXT_SIZE, "%" PRId64 " ms", o->max_ms);
	else
		snprintf(text, OUTAGE_TEXT_SIZE, "%" PRId64 "..%" PRId64 " ms", o->min_ms, o->max_ms);
	return text;
}

static void show_impact(const struct sheet *sheet, const Mclag__Control__WhatIf *w)
{
	char outage[OUTAGE_TEXT_SIZE], subject[CELL_TEXT_SIZE];

	if (w->id != 0)
		snprintf(subject, sizeof(subject), "%s %u", w->question, w->id);
	else
		snprintf(subject, sizeof(subject), "%s", w->question);
	sheet_line(sheet, TONE_HEAD, 0, "%s: %s", subject, w->help);
	switch (w->impact) {
	case MCLAG__CONTROL__IMPACT__HARMLESS:
		sheet_line(sheet, TONE_GOOD, 0, "harmless: nothing that carries data changes");
		break;
	case MCLAG__CONTROL__IMPACT__FELT:
		sheet_line(sheet, TONE_WARN, 0, "felt: everybody stays reachable");
		break;
	case MCLAG__CONTROL__IMPACT__CUT:
		sheet_line(sheet, TONE_BAD, 0, "cut: %u host%s and %u orphan%s lose the network",
			   w->hosts_cut, w->hosts_cut == 1 ? "" : "s", w->orphans_cut,
			   w->orphans_cut == 1 ? "" : "s");
		break;
	case _MCLAG__CONTROL__IMPACT_IS_INT_SIZE:
		break;
	}
	if (w->outage != NULL && w->outage->max_ms != 0)
		sheet_line(sheet, TONE_PLAIN, 0, "worst outage of a host: %s; %s",
			   outage_format(w->outage, outage), w->outage->help);
}

static void pair_row(struct table *t, const char *name, const char *before, const char *after)
{
	table_cell(t, TONE_HEAD, "%s", name);
	table_cell(t, TONE_PLAIN, "%s", known(before));
	table_cell(t, strcmp(before, after) == 0 ? TONE_PLAIN : TONE_WARN, "%s", known(after));
}

static const char *session_format(const Mclag__Control__PairForecast *p, char text[static CELL_TEXT_SIZE])
{
	snprintf(text, CELL_TEXT_SIZE, "%s%s%s", p->session, p->path[0] != '\0' ? " over " : "", p->path);
	return text;
}

static void show_pair(const struct sheet *sheet, const Mclag__Control__WhatIf *w)
{
	const struct column columns[] = {
	    {"", false, 9}, {"NOW", false, 22}, {w->after_at_peer ? "THEN, AT THE PEER" : "THEN", false, 0}};
	struct table *t = table_create(columns, 3, 0);
	char before[CELL_TEXT_SIZE], after[CELL_TEXT_SIZE];

	if (w->before != NULL && w->after != NULL) {
		const Mclag__Control__PairForecast *b = w->before, *a = w->after;

		pair_row(t, "verdict", b->verdict, a->verdict);
		pair_row(t, "role", b->role, a->role);
		pair_row(t, "session", session_format(b, before), session_format(a, after));
		pair_row(t, "peer link", b->peer_link ? "carries data" : "carries no data",
			 a->peer_link ? "carries data" : "carries no data");
		if (b->arbitrating || a->arbitrating)
			pair_row(t, "system id", b->arbitrating ? "its own" : "the pair's",
				 a->arbitrating ? "its own" : "the pair's");
	}
	table_finish(t, sheet);
}

static void leg_cell(struct table *t, const Mclag__Control__LegForecast *leg)
{
	if (leg == NULL)
		table_cell(t, TONE_PLAIN, "-");
	else if (strcmp(leg->before, leg->after) == 0 || leg->before[0] == '\0')
		table_cell(t, TONE_PLAIN, "%s", known(leg->before));
	else
		table_cell(t, strcmp(leg->after, "forwarding") == 0 ? TONE_GOOD : TONE_BAD, "%s > %s",
			   leg->before, known(leg->after));
}

static void show_mclags(const struct sheet *sheet, const Mclag__Control__WhatIf *w)
{
	static const struct column columns[] = {
	    {"MCLAG", true, 0}, {"PORT", false, 0},   {"LOCAL", false, 0},
	    {"PEER", false, 0}, {"ENTRIES", true, 0}, {"OUTAGE", false, 0},
	};
	struct table *t = table_create(columns, 6, 0);
	char outage[OUTAGE_TEXT_SIZE];
	size_t same = 0;

	for (size_t i = 0; i < w->n_mclags; i++) {
		const Mclag__Control__MclagForecast *m = w->mclags[i];

		same += !m->changes;
		if (!m->changes)
			continue;
		table_cell(t, TONE_PLAIN, "%u", m->id);
		table_cell(t, TONE_PLAIN, "%s", known(m->port));
		leg_cell(t, m->local);
		leg_cell(t, m->peer);
		table_cell(t, TONE_PLAIN, "%u", m->entries);
		table_cell(t, m->outage != NULL && m->outage->max_ms < 0 ? TONE_BAD : TONE_PLAIN, "%s%s",
			   outage_format(m->outage, outage), m->single ? ", single-homed" : "");
	}
	if (w->n_mclags > 0)
		fputc('\n', sheet->out);
	table_finish(t, sheet);
	if (same > 0)
		sheet_line(sheet, TONE_PLAIN, 0, "%zu mclag%s without a change", same, same == 1 ? "" : "s");
}

static void show_entries(const struct sheet *sheet, const Mclag__Control__WhatIf *w)
{
	static const struct column columns[] = {
	    {"ENTRIES", true, 0}, {"BY NOW", false, 9}, {"THEN", false, 0}};
	struct table *t = table_create(columns, 3, 0);

	if (w->n_entries > 0)
		fputc('\n', sheet->out);
	for (size_t i = 0; i < w->n_entries; i++) {
		const Mclag__Control__WayForecast *way = w->entries[i];
		bool same = strcmp(way->before, way->after) == 0;

		table_cell(t, TONE_PLAIN, "%u", way->count);
		table_cell(t, TONE_PLAIN, "%s", way->before);
		table_cell(t, strcmp(way->after, "none") == 0 && !same ? TONE_BAD : TONE_PLAIN, "%s",
			   same ? "the same" : way->after);
	}
	table_finish(t, sheet);
}

static void show_orphans(const struct sheet *sheet, const Mclag__Control__WhatIf *w)
{
	static const struct column columns[] = {{"CUT", false, 0}, {"VLAN", true, 0}, {"HANGS ON", false, 0}};
	struct table *t = table_create(columns, 3, 0);

	if (w->n_orphans > 0)
		fputc('\n', sheet->out);
	for (size_t i = 0; i < w->n_orphans; i++) {
		table_cell(t, TONE_BAD, "%s", w->orphans[i]->mac);
		table_cell(t, TONE_PLAIN, "%u", w->orphans[i]->vlan);
		table_cell(t, TONE_PLAIN, "%s", w->orphans[i]->local ? "this leaf" : "the peer");
	}
	table_finish(t, sheet);
	if (w->orphans_cut > w->n_orphans)
		sheet_line(sheet, TONE_PLAIN, 0, "and %zu more", w->orphans_cut - w->n_orphans);
}

void show_whatif(const struct sheet *sheet, const Mclag__Control__WhatIf *w)
{
	show_impact(sheet, w);
	fputc('\n', sheet->out);
	show_pair(sheet, w);
	show_mclags(sheet, w);
	show_entries(sheet, w);
	show_orphans(sheet, w);
	show_list(sheet, TONE_PLAIN, "What this rests on", w->assumptions, w->n_assumptions);
}
