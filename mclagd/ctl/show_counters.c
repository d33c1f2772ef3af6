/* SPDX-License-Identifier: ISC */
/*
 * ctl/show_counters.c - the counters as tables, one per room of the daemon.
 */
#include "ctl/show.h"

#include <inttypes.h>

static void number_cell(struct table *t, uint64_t number)
{
	table_cell(t, TONE_PLAIN, "%" PRIu64, number);
}

static void name_number(struct table *t, const char *name, uint64_t number)
{
	table_cell(t, TONE_PLAIN, "%s", name);
	number_cell(t, number);
}

static void show_messages(const struct sheet *sheet, const Mclag__Control__Counters *c)
{
	static const struct column columns[] = {{"MESSAGE", false, 0}, {"IN", true, 8}, {"OUT", true, 8}};
	struct table *t = table_create(columns, 3, 0);

	for (size_t i = 0; i < c->n_messages; i++) {
		name_number(t, c->messages[i]->message, c->messages[i]->in);
		number_cell(t, c->messages[i]->out);
	}
	table_finish(t, sheet);
	sheet_line(sheet, c->violations > 0 ? TONE_BAD : TONE_PLAIN, 0, "violations: %" PRIu64,
		   c->violations);
}

static void show_reasons(const struct sheet *sheet, const char *title,
			 Mclag__Control__ReasonCounter *const *reasons, size_t count)
{
	const struct column columns[] = {{title, false, 32}, {"COUNT", true, 8}};
	struct table *t = table_create(columns, 2, 0);

	for (size_t i = 0; i < count; i++)
		name_number(t, reasons[i]->reason, reasons[i]->count);
	table_finish(t, sheet);
}

static void show_transport(const struct sheet *sheet, const Mclag__Control__TransportCounters *c)
{
	static const struct column columns[] = {{"TRANSPORT", false, 24}, {"COUNT", true, 16}};
	struct table *t = table_create(columns, 2, 0);

	name_number(t, "attempts to connect", c->dialled);
	name_number(t, "connections taken", c->arrived);
	name_number(t, "sessions opened", c->opened);
	name_number(t, "sessions accepted", c->accepted);
	name_number(t, "frames in", c->frames_in);
	name_number(t, "frames out", c->frames_out);
	name_number(t, "bytes in", c->bytes_in);
	name_number(t, "bytes out", c->bytes_out);
	table_finish(t, sheet);
	show_reasons(sheet, "ENDED, OR REFUSED", c->ended, c->n_ended);
}

static void show_lateness(const struct sheet *sheet, const Mclag__Control__Counters *c)
{
	static const struct column columns[] = {
	    {"SENT LATE BY", false, 0}, {"<1", true, 0},  {"<2", true, 0},  {"<5", true, 0},
	    {"<10", true, 0},           {"<20", true, 0}, {"<50", true, 0}, {"<100", true, 0},
	    {"MORE ms", true, 0},
	};
	struct table *t = table_create(columns, 9, 0);

	for (size_t i = 0; i < c->n_keepalives; i++) {
		const Mclag__Control__KeepaliveCounters *k = c->keepalives[i];

		table_cell(t, TONE_PLAIN, "%s", k->path);
		for (size_t bucket = 0; bucket < 8; bucket++)
			number_cell(t, bucket < k->n_late ? k->late[bucket] : 0);
	}
	table_finish(t, sheet);
}

static void show_keepalives(const struct sheet *sheet, const Mclag__Control__Counters *c)
{
	static const struct column columns[] = {
	    {"KEEPALIVES", false, 0}, {"SENT", true, 0},   {"HEARD", true, 0},     {"LOST", true, 0},
	    {"ERRORS", true, 0},      {"MISSED", true, 0}, {"THROTTLED", true, 0},
	};
	struct table *t = table_create(columns, 7, 0);

	for (size_t i = 0; i < c->n_keepalives; i++) {
		const Mclag__Control__KeepaliveCounters *k = c->keepalives[i];

		table_cell(t, TONE_PLAIN, "%s", k->path);
		number_cell(t, k->sent);
		number_cell(t, k->heard);
		number_cell(t, k->lost);
		number_cell(t, k->send_errors);
		number_cell(t, k->missed);
		number_cell(t, k->throttled);
	}
	table_finish(t, sheet);
	show_lateness(sheet, c);
	for (size_t i = 0; i < c->n_keepalives; i++) {
		char title[64];

		snprintf(title, sizeof(title), "DROPPED ON %s", c->keepalives[i]->path);
		show_reasons(sheet, title, c->keepalives[i]->dropped, c->keepalives[i]->n_dropped);
	}
}

static void show_lacp(const struct sheet *sheet, const Mclag__Control__Counters *c)
{
	static const struct column columns[] = {
	    {"MCLAG", true, 0}, {"PDUS IN", true, 8}, {"PDUS OUT", true, 8}};
	struct table *t = table_create(columns, 3, 0);

	for (size_t i = 0; i < c->n_lacp; i++) {
		table_cell(t, TONE_PLAIN, "%u", c->lacp[i]->id);
		number_cell(t, c->lacp[i]->pdus_in);
		number_cell(t, c->lacp[i]->pdus_out);
	}
	table_finish(t, sheet);
}

static void show_tables(const struct sheet *sheet, const Mclag__Control__Counters *c)
{
	static const struct column columns[] = {{"TABLE", false, 0},
						{"REPAIRS", true, 0},
						{"REFUSED", true, 0},
						{"MOVES", true, 0},
						{"FAILED", true, 0}};
	struct table *t = table_create(columns, 5, 0);

	for (size_t i = 0; i < c->n_tables; i++) {
		name_number(t, c->tables[i]->table, c->tables[i]->repairs);
		number_cell(t, c->tables[i]->refused);
		number_cell(t, c->tables[i]->moves);
		number_cell(t, c->tables[i]->failed);
	}
	table_finish(t, sheet);
}

static void show_control(const struct sheet *sheet, const Mclag__Control__ControlCounters *c)
{
	static const struct column columns[] = {{"CONTROL SOCKET", false, 24}, {"COUNT", true, 16}};
	struct table *t = table_create(columns, 2, 0);

	name_number(t, "clients taken", c->clients);
	name_number(t, "clients turned away", c->refused);
	name_number(t, "requests", c->requests);
	name_number(t, "invalid requests", c->invalid);
	name_number(t, "clients dropped", c->dropped);
	table_finish(t, sheet);
}

static void show_kernel(const struct sheet *sheet, const Mclag__Control__Counters *c)
{
	static const struct column columns[] = {{"KERNEL", false, 40}, {"COUNT", true, 12}};
	struct table *t = table_create(columns, 2, 0);

	for (size_t i = 0; i < c->n_kernel; i++)
		name_number(t, c->kernel[i]->help, c->kernel[i]->count);
	table_finish(t, sheet);
}

static void show_journal(const struct sheet *sheet, const Mclag__Control__JournalCounters *c)
{
	static const struct column columns[] = {{"JOURNAL", false, 24}, {"COUNT", true, 16}};
	struct table *t = table_create(columns, 2, 0);

	name_number(t, c->recording ? "events recorded" : "events recorded, ended", c->events);
	name_number(t, "bytes recorded", c->bytes);
	name_number(t, "events not recorded", c->missed);
	table_finish(t, sheet);
}

void show_counters(const struct sheet *sheet, const Mclag__Control__Counters *counters)
{
	show_messages(sheet, counters);
	fputc('\n', sheet->out);
	if (counters->transport != NULL)
		show_transport(sheet, counters->transport);
	fputc('\n', sheet->out);
	show_keepalives(sheet, counters);
	fputc('\n', sheet->out);
	show_lacp(sheet, counters);
	show_tables(sheet, counters);
	show_kernel(sheet, counters);
	if (counters->control != NULL)
		show_control(sheet, counters->control);
	if (counters->journal != NULL)
		show_journal(sheet, counters->journal);
}
