/* SPDX-License-Identifier: ISC */
/* The names of the JSON keys are the fields of struct tally; spans are in milliseconds. */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>

static double ms(nsec span)
{
	return (double)span / 1e6;
}

static void line(bool json, bool first, const struct listener *listener, const struct tally *tally,
		 uint64_t dropped)
{
	if (json)
		printf("%s{\"name\":\"%s\",\"unsolicited\":%s,\"sent\":%" PRIu64 ",\"received\":%" PRIu64
		       ",\"lost\":%" PRIu64 ",\"duplicated\":%" PRIu64 ",\"reordered\":%" PRIu64
		       ",\"stale\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"episodes\":%" PRIu64
		       ",\"gap_ms\":%.3f,\"silence_ms\":%.3f,\"delay_ms\":%.3f,\"late_ms\":%.3f"
		       ",\"dropped_by_probe\":%" PRIu64 "}",
		       first ? "" : ",", listener->name, listener->unsolicited ? "true" : "false",
		       tally->sent, tally->received, tally->lost, tally->duplicated, tally->reordered,
		       tally->stale, tally->refused, tally->episodes, ms(tally->gap), ms(tally->silence),
		       ms(tally->delay), ms(tally->late), dropped);
	else if (listener->unsolicited)
		printf("  %s: returned %" PRIu64 "\n", listener->name,
		       tally->received + tally->duplicated + tally->stale);
	else
		printf("  %s: sent %" PRIu64 " received %" PRIu64 " lost %" PRIu64 " duplicated %" PRIu64
		       " reordered %" PRIu64 " stale %" PRIu64 " refused %" PRIu64 "; gap %.1f ms in %" PRIu64
		       " episode(s), silence %.1f ms, delay %.1f ms"
		       "; probe itself: late %.1f ms, dropped %" PRIu64 "\n",
		       listener->name, tally->sent, tally->received, tally->lost, tally->duplicated,
		       tally->reordered, tally->stale, tally->refused, ms(tally->gap), tally->episodes,
		       ms(tally->silence), ms(tally->delay), ms(tally->late), dropped);
}

void report_running(struct report *report, nsec now)
{
	report->begin = now;
	printf("%s\n", report->json ? "{\"event\":\"running\"}" : "running");
	fflush(stdout);
}

void report_interval(struct report *report, const struct stream *streams, uint32_t count, nsec end)
{
	double seconds = (double)(end - report->begin) / 1e9;
	bool first = true;

	report->interval++;
	report->begin = end;
	printf(report->json ? "{\"event\":\"interval\",\"number\":%u,\"seconds\":%.3f,\"streams\":["
			    : "interval %u: %.3f s\n",
	       report->interval, seconds);
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t j = 0; j < streams[i].listener_count; j++) {
			const struct listener *listener = &streams[i].listeners[j];

			line(report->json, first, listener, &listener->closed, listener->dropped);
			first = false;
		}
	}
	if (report->json)
		printf("]}\n");
	fflush(stdout);
}

bool report_total(const struct report *report, const struct stream *streams, uint32_t count, double seconds)
{
	bool first = true, bad = false;

	printf(report->json ? "{\"event\":\"total\",\"intervals\":%u,\"seconds\":%.3f,\"streams\":["
			    : "total of %u interval(s): %.3f s\n",
	       report->interval, seconds);
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t j = 0; j < streams[i].listener_count; j++) {
			const struct listener *listener = &streams[i].listeners[j];
			struct tally tally = account_total(listener->account);

			line(report->json, first, listener, &tally, listener->dropped_total);
			first = false;
			bad = bad || tally.lost || tally.duplicated ||
			      (listener->unsolicited && tally.received);
		}
	}
	if (report->json)
		printf("]}\n");
	fflush(stdout);
	return bad;
}
