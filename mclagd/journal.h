/* SPDX-License-Identifier: ISC */
/*
 * journal.h - records a run of the daemon in a file, for `mclagd --replay`.
 *
 * It never waits for the disk: a process of its own, the scribe, takes the records out of a pipe and writes
 * them. So what a daemon that crashes was just told is in the file, too. What cannot be written (disk full, a
 * scribe that does not keep up, the bound reached) ends the recording, and nothing else.
 *
 * A journal is whole from the start of the daemon on, or useless for a replay; so it ends at its bound, and
 * does not go round. The journal of the run before is kept beside it, as FILE.1.
 *
 * The process ignores SIGPIPE. The functions that record, and journal_close(), take NULL, which is no journal.
 */
#ifndef MCLAGD_JOURNAL_H
#define MCLAGD_JOURNAL_H

#include "mclagd/journal_record.h"

struct journal;

/* Embedded by the owner. */
struct journal_owner {
	/* Nothing more is recorded, and why; told once. */
	void (*ended)(struct journal_owner *self, const char *why);
};

struct journal_counters {
	bool recording;
	uint64_t events, bytes; /* recorded */
	uint64_t missed;        /* events that came after it had ended */
};

/* Renames a file that is there to FILE.1, makes a new one with mode 0600, and starts the scribe. limit: bytes
 * that the file may have. head is copied. 0, or -errno with the reason in why. */
int journal_open(struct journal **j, const char *file, uint64_t limit, const struct journal_head *head,
		 struct journal_owner *owner, char why[static JOURNAL_WHY_SIZE]);
/* Marks the end and lets the scribe finish, at most for a second. */
void journal_close(struct journal *j);

/* Before the step: the event is on its way to the file when this returns. */
void journal_before(struct journal *j, struct msec now, const struct event *e);
/* Behind the step: what came of it; leaves with the next event or journal_flush(). */
void journal_after(struct journal *j, const struct step *s);
void journal_flush(struct journal *j);

void journal_counters(const struct journal *j, struct journal_counters *c);

#endif
