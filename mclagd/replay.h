/* SPDX-License-Identifier: ISC */
/*
 * replay.h - feeds a journal to a core of its own and says whether it decides the same again. Touches nothing
 * of the machine; the file may be hostile.
 */
#ifndef MCLAGD_REPLAY_H
#define MCLAGD_REPLAY_H

#include "mclagd/journal_record.h"
#include <stdio.h>

/* The numbers are the exit status of `mclagd --replay`. */
enum replay_result {
	REPLAY_IDENTICAL = 0,
	REPLAY_DIFFERS = 1,
	REPLAY_UNUSABLE = 2, /* the file, from some byte on; why says which and what */
};

/* Prints to out: whose journal it is, each trace line with its time, and at the end what the result is made
 * of. version: of this program; a difference to the journal's is said, and its actions are not compared. */
enum replay_result replay(FILE *journal, const char *version, FILE *out, char why[static JOURNAL_WHY_SIZE]);

#endif
