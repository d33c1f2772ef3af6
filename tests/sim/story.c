/* SPDX-License-Identifier: ISC */
/*
 * A table of commands; each turns words into one call. What cannot be understood and what is not as expected
 * ends the story with file and line.
 */
#include "sim/story.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TICK    SIM_MS
#define OVERRUN (50 * SIM_MS) /* lasts so long */

bool story_problem(struct story *t, const char *format, ...)
{
	va_list args;
	int used = snprintf(t->problem, sizeof t->problem, "%s:%d: ", t->file, t->line);

	va_start(args, format);
	vsnprintf(t->problem + used, sizeof t->problem - (size_t)used, format, args);
	va_end(args);
	return false;
}

/* --- words ------------------------------------------------------------------------------------------ */

static bool number(struct story *t, const char *word, int64_t *value)
{
	char *end;

	*value = strtoll(word, &end, 10);
	return (end != word && *end == '\0') || story_problem(t, "'%s' is no number", word);
}

static bool duration(struct story *t, const char *word, int64_t *us)
{
	char *end;
	long long n = strtoll(word, &end, 10);

	if (end != word && word_is(end, "ms"))
		*us = n * SIM_MS;
	else if (end != word && word_is(end, "s"))
		*us = n * SIM_SECOND;
	else
		return story_problem(t, "'%s' is no time such as 100ms or 2s", word);
	return true;
}

bool story_leaf(struct story *t, const char *word, int *leaf)
{
	if (!word_is(word, "1") && !word_is(word, "2"))
		return story_problem(t, "'%s' is no leaf", word);
	*leaf = word[0] - '1';
	return true;
}

/* "1:5" */
bool story_leg(struct story *t, const char *word, int *leaf, int *leg)
{
	char first[2] = {word[0], '\0'};
	int64_t id = 0;

	if (word[0] == '\0' || word[1] != ':')
		return story_problem(t, "'%s' is no leg such as 1:5", word);
	if (!story_leaf(t, first, leaf) || !number(t, word + 2, &id))
		return false;
	for (*leg = 0; *leg < (int)t->sim->config.leg_count; ++*leg) {
		if (t->sim->config.legs[*leg].id == id)
			return true;
	}
	return story_problem(t, "there is no mclag %lld", (long long)id);
}

bool story_host(struct story *t, const char *word, int *host)
{
	int64_t n = 0;

	if (word[0] != 'h' || !number(t, word + 1, &n) || n < 1 || n > (int64_t)t->sim->host_count)
		return story_problem(t, "'%s' is no host", word);
	*host = (int)n - 1;
	return true;
}

bool story_mac(struct story *t, const char *word, uint32_t *mac)
{
	int64_t n = 0;

	if (!number(t, word, &n))
		return false;
	if (n < 0 || n >= t->sim->mac_count)
		return story_problem(t, "there is no mac %lld", (long long)n);
	*mac = (uint32_t)n;
	return true;
}

/* --- configuration ---------------------------------------------------------------------------------- */

static bool do_legs(struct story *t)
{
	int64_t n = 0;

	if (!number(t, t->words[1], &n) || n < 1 || n > SIM_LEGS)
		return story_problem(t, "1 to %d legs", SIM_LEGS);
	t->config.leg_count = (size_t)n;
	return true;
}

static bool do_orphans(struct story *t)
{
	for (int i = 0; i < 2; i++) {
		int64_t n = 0;
		if (!number(t, t->words[1 + i], &n) || n < 0 || n > SIM_ORPHANS)
			return story_problem(t, "0 to %d orphans", SIM_ORPHANS);
		t->config.orphan_count[i] = (size_t)n;
	}
	return true;
}

static bool do_macs(struct story *t)
{
	int64_t n = 0;

	if (!number(t, t->words[1], &n) || n < 1 || n > 100000)
		return story_problem(t, "1 to 100000 macs");
	t->config.macs_per_host = (uint32_t)n;
	return true;
}

static bool do_static(struct story *t)
{
	int64_t n = 0;

	if (!number(t, t->words[1], &n) || n < 1 || n > (int64_t)t->config.leg_count)
		return story_problem(t, "which leg?");
	t->config.legs[n - 1].speaker = SPEAKER_STATIC;
	t->config.hosts[n - 1].lacp = false;
	return true;
}

static bool do_set(struct story *t)
{
	struct domain_config *d = &t->config.pair;
	const struct {
		const char *key;
		int64_t *value;
	} knobs[] = {{"keepalive", &d->keepalive_ms}, {"alone", &d->alone_ms},   {"ceiling", &d->ceiling_ms},
		     {"grace", &d->grace_ms},         {"ageing", &d->ageing_ms}, {"leave", &d->leave_ms}};

	if (word_is(t->words[1], "split"))
		return split_policy_parse(t->words[2], &d->on_split) == 0 ||
		       story_problem(t, "arbitrate or stay?");
	for (size_t i = 0; i < sizeof knobs / sizeof *knobs; i++) {
		int64_t us = 0;
		if (!word_is(t->words[1], knobs[i].key))
			continue;
		if (!duration(t, t->words[2], &us))
			return false;
		*knobs[i].value = us / SIM_MS;
		return true;
	}
	return story_problem(t, "there is no '%s' to set", t->words[1]);
}

/* --- time ------------------------------------------------------------------------------------------- */

static bool send_one(struct sim *s, const struct flow *f, uint32_t flow, uint32_t *id)
{
	uint32_t source = 0, target = 0;

	while (source + 1 < s->mac_count && s->owner[source] != f->from)
		source++;
	while (target + 1 < s->mac_count && s->owner[target] != f->to)
		target++;
	*id = 0;
	return host_send(s, f->from, source, target, flow, id);
}

static void tick(struct sim *s, struct flow *f)
{
	bool arrived = true;

	for (uint32_t i = 0; i < 2; i++) {
		const struct flight *flight = &s->flights[f->ids[i] % SIM_FLIGHTS];
		arrived = arrived && f->ids[i] && flight->id == f->ids[i] && (flight->received & 1u << f->to);
	}
	if (arrived) {
		if (f->lost_since >= 0 && s->queue.now - f->lost_since > f->longest)
			f->longest = s->queue.now - f->lost_since;
		f->lost_since = -1;
	} else if (f->lost_since < 0) {
		f->lost_since = s->queue.now - TICK;
	}
	for (uint32_t i = 0; i < 2; i++)
		send_one(s, f, i, &f->ids[i]);
}

bool story_run(struct story *t, int64_t for_us)
{
	struct sim *s = t->sim;

	for (int64_t until = s->queue.now + for_us; t->flow.on && s->queue.now < until && !s->failed;) {
		sim_run(s, TICK);
		tick(s, &t->flow);
	}
	if (!t->flow.on)
		sim_run(s, for_us);
	return !s->failed || story_problem(t, "%s", s->failure);
}

static bool do_run(struct story *t)
{
	int64_t us = 0;

	return duration(t, t->words[1], &us) && story_run(t, us);
}

static bool do_until(struct story *t)
{
	char why[WHY_SIZE] = "";
	int64_t us = 0;

	if (!word_is(t->words[1], "whole") || !duration(t, t->words[2], &us))
		return story_problem(t, "until whole TIME");
	for (; us > 0; us -= 10 * SIM_MS) {
		if (!story_run(t, 10 * SIM_MS))
			return false;
		if (invariants_whole(t->sim, why)) {
			sim_note(t->sim, "the pair is whole");
			return true;
		}
	}
	return story_problem(t, "the pair is not whole: %s", why);
}

static bool do_flow(struct story *t)
{
	struct flow f = {.on = true, .lost_since = -1};

	if (!story_host(t, t->words[1], &f.from) || !story_host(t, t->words[2], &f.to))
		return false;
	for (uint32_t i = 0; i < 2; i++)
		send_one(t->sim, &f, i, &f.ids[i]);
	t->flow = f;
	return true;
}

static bool do_outage(struct story *t)
{
	struct flow *f = &t->flow;
	int64_t most = 0, longest = f->longest;

	if (!duration(t, t->words[1], &most))
		return false;
	if (!f->on)
		return story_problem(t, "there is no flow");
	if (f->lost_since >= 0 && t->sim->queue.now - f->lost_since > longest)
		longest = t->sim->queue.now - f->lost_since;
	sim_note(t->sim, "outage from host %d to host %d: %lld ms", f->from + 1, f->to + 1,
		 (long long)(longest / SIM_MS));
	f->on = false;
	return longest <= most || story_problem(t, "an outage of %lld ms", (long long)(longest / SIM_MS));
}

/* --- faults ----------------------------------------------------------------------------------------- */

static bool do_boot(struct story *t)
{
	int leaf = 0;
	bool both = word_is(t->words[1], "both");

	if (!both && !story_leaf(t, t->words[1], &leaf))
		return false;
	for (int i = 0; i < 2; i++) {
		if (both || i == leaf)
			fault_leaf(t->sim, i, true, 0);
	}
	return true;
}

static bool cut_or_mend(struct story *t, bool whole)
{
	int leaf = -1, leg = 0;
	int64_t path = 0;

	if (word_is(t->words[1], "peer-link")) {
		fault_peer_link(t->sim, whole);
		return true;
	}
	if (word_is(t->words[1], "leg") && t->count == 3) {
		if (!story_leg(t, t->words[2], &leaf, &leg))
			return false;
		fault_leg(t->sim, leaf, leg, whole);
		return true;
	}
	if (!word_is(t->words[1], "path") || t->count < 3 || !number(t, t->words[2], &path) || path < 0 ||
	    path >= SIM_PATHS || (t->count == 5 && !story_leaf(t, t->words[4], &leaf)))
		return story_problem(t, "leg L:M, peer-link, or path P [from L]");
	fault_path(t->sim, (int)path, leaf, !whole);
	return true;
}

static bool do_cut(struct story *t)
{
	return cut_or_mend(t, false);
}

static bool do_mend(struct story *t)
{
	return cut_or_mend(t, true);
}

static bool do_silence(struct story *t)
{
	fault_silent(t->sim, word_is(t->words[0], "silence"));
	return true;
}

static bool do_leaf(struct story *t)
{
	const char *what = t->words[0];
	int leaf = 0;

	if (!story_leaf(t, t->words[1], &leaf))
		return false;
	if (word_is(what, "off") || word_is(what, "on"))
		fault_leaf(t->sim, leaf, word_is(what, "on"), FAULT_BOOT);
	else if (word_is(what, "overrun"))
		fault_overrun(t->sim, leaf, OVERRUN);
	else
		fault_daemon(t->sim, leaf, word_is(what, "start"),
			     word_is(what, "restart")    ? REASON_RESTART
			     : word_is(what, "shutdown") ? REASON_SHUTDOWN
							 : REASON_NONE);
	return true;
}

static bool do_host(struct story *t)
{
	const char *what = t->words[0];
	struct sim *s = t->sim;
	int host = 0;

	if (!story_host(t, t->words[1], &host))
		return false;
	if (word_is(what, "host-off") || word_is(what, "host-on"))
		fault_host(s, host, word_is(what, "host-on"));
	else if (word_is(what, "deaf") || word_is(what, "hear"))
		fault_deaf(s, host, word_is(what, "deaf"));
	else if (word_is(what, "quiet") || word_is(what, "talk"))
		s->hosts[host].quiet = word_is(what, "quiet");
	for (uint32_t mac = 0; word_is(what, "speak") && mac < s->mac_count; mac++) {
		if (s->owner[mac] == host)
			host_send(s, host, mac, FRAME_TO_ALL, mac, NULL);
	}
	return true;
}

static bool do_move(struct story *t)
{
	uint32_t mac = 0;
	int host = 0;

	if (!story_mac(t, t->words[1], &mac) || !story_host(t, t->words[2], &host))
		return false;
	fault_move(t->sim, mac, host);
	return true;
}

static bool do_operator(struct story *t)
{
	uint32_t mac = 0;
	int leaf = 0, host = 0;

	if (!story_leaf(t, t->words[1], &leaf) || !story_mac(t, t->words[2], &mac))
		return false;
	if (word_is(t->words[0], "delete")) {
		fault_delete(t->sim, leaf, mac);
		return true;
	}
	if (t->count != 4 || !story_host(t, t->words[3], &host))
		return story_problem(t, "fix L MAC hN");
	sim_note(t->sim, "an operator fixes mac %u on leaf %d, at host %d", mac, leaf + 1, host + 1);
	switch_operator(t->sim, leaf, mac, t->sim->hosts[host].port);
	return true;
}

static bool do_refuse(struct story *t)
{
	int leaf = 0, leg = 0;
	int64_t times = 0;

	if (!story_leg(t, t->words[2], &leaf, &leg) || !number(t, t->words[3], &times))
		return false;
	fault_refuse(t->sim, leaf, leg, word_is(t->words[1], "isolate"), (int)times);
	return true;
}

static bool do_slow(struct story *t)
{
	int64_t rate = 0;
	int leaf = 0;

	if (!story_leaf(t, t->words[1], &leaf) || !number(t, t->words[2], &rate))
		return false;
	fault_slow(t->sim, leaf, rate);
	return true;
}

/* --- the table -------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int least, most; /* words */
	bool configures;
	bool (*run)(struct story *t);
} commands[] = {
    {"legs", 2, 2, true, do_legs},        {"orphans", 3, 3, true, do_orphans},
    {"macs", 2, 2, true, do_macs},        {"static", 2, 2, true, do_static},
    {"set", 3, 3, true, do_set},          {"boot", 2, 2, false, do_boot},
    {"run", 2, 2, false, do_run},         {"until", 3, 3, false, do_until},
    {"flow", 3, 3, false, do_flow},       {"outage", 2, 2, false, do_outage},
    {"cut", 2, 5, false, do_cut},         {"mend", 2, 5, false, do_mend},
    {"silence", 2, 2, false, do_silence}, {"unsilence", 2, 2, false, do_silence},
    {"kill", 2, 2, false, do_leaf},       {"start", 2, 2, false, do_leaf},
    {"restart", 2, 2, false, do_leaf},    {"shutdown", 2, 2, false, do_leaf},
    {"off", 2, 2, false, do_leaf},        {"on", 2, 2, false, do_leaf},
    {"overrun", 2, 2, false, do_leaf},    {"host-off", 2, 2, false, do_host},
    {"host-on", 2, 2, false, do_host},    {"deaf", 2, 2, false, do_host},
    {"hear", 2, 2, false, do_host},       {"quiet", 2, 2, false, do_host},
    {"talk", 2, 2, false, do_host},       {"speak", 2, 2, false, do_host},
    {"move", 3, 3, false, do_move},       {"delete", 3, 3, false, do_operator},
    {"fix", 4, 4, false, do_operator},    {"refuse", 4, 4, false, do_refuse},
    {"slow", 3, 3, false, do_slow},       {"expect", 2, 5, false, story_expect},
};

bool story_command(struct story *t)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (!word_is(commands[i].name, t->words[0]))
			continue;
		if (t->count < commands[i].least || t->count > commands[i].most)
			return story_problem(t, "'%s' wants %d to %d words", t->words[0], commands[i].least,
					     commands[i].most);
		if (commands[i].configures && t->sim)
			return story_problem(t, "'%s' comes before everything else", t->words[0]);
		if (!commands[i].configures && !t->sim) {
			t->sim = malloc(sizeof *t->sim);
			if (!t->sim)
				abort();
			sim_init(t->sim, &t->config);
		}
		bool good = commands[i].run(t);
		if (good && t->sim && t->sim->failed)
			good = story_problem(t, "%s", t->sim->failure);
		return good;
	}
	return story_problem(t, "there is no command '%s'", t->words[0]);
}
