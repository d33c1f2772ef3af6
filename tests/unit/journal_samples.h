/* SPDX-License-Identifier: ISC */
/*
 * journal_samples.h - a run to record: every kind of event and of message, none of its values zero where
 * another is possible. Shared by the tests of the journal.
 */
#ifndef JOURNAL_SAMPLES_H
#define JOURNAL_SAMPLES_H

#include "core/domain.h"
#include "mclagd/journal_record.h"

#define SAMPLE_EVENTS  40
#define SAMPLE_VERSION "1.2.3"

/* Refers to static memory. */
struct journal_head sample_head(bool resumes);
size_t sample_events(struct event events[static SAMPLE_EVENTS]);
/* When the event with this index happens. */
struct msec sample_time(size_t index);

/* Steps a core through it, and puts everything into b, without an end. */
void sample_run(struct journal_bytes *b, bool resumes);

#endif
