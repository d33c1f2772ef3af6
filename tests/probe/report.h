/* SPDX-License-Identifier: ISC */
/* Tallies as lines of text, or as one JSON object per line. */
#ifndef PROBE_REPORT_H
#define PROBE_REPORT_H

#include "stream.h"

struct report {
	bool json;
	uint32_t interval; /* number of the interval reported last */
	nsec begin;        /* of the interval */
};

/* {"event":"running"}: the warm-up is over and counting begins. */
void report_running(struct report *report, nsec now);

/* The interval that was just closed, sent up to `end`. */
void report_interval(struct report *report, const struct stream *streams, uint32_t count, nsec end);

/* Everything, `seconds` long. Returns whether something was lost, duplicated or came back to its sender. */
bool report_total(const struct report *report, const struct stream *streams, uint32_t count, double seconds);

#endif
