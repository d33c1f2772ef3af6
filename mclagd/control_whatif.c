/* SPDX-License-Identifier: ISC */
/*
 * control_whatif.c - the copy makes the whole Response, and what comes out of the pipe is read like any
 * bytes: a copy that goes wrong can say nothing that the daemon would not have said.
 */
#include "mclagd/control_whatif.h"

#include "core/whatif.h"
#include "mclagd/control.h"
#include "mclagd/control_build.h"
#include "mclagd/control_health.h"
#include "mclagd/daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct whatif {
	struct event_base *base;
	struct daemon *daemon;
	struct whatif_owner *owner;
	struct fork *fork; /* NULL = free for a question */
	struct fork_owner copy;
	struct whatif_ask ask;
};

/* --- the answer, made in the copy -------------------------------------------------------------------- */

static Mclag__Control__PairForecast *pair_message(const struct config *config, const struct whatif_pair *p)
{
	Mclag__Control__PairForecast *m = build_message(&mclag__control__pair_forecast__descriptor);

	m->verdict = build_text("%s", verdict_name(p->verdict));
	m->role = build_text("%s", role_name(p->role));
	m->session = build_text("%s", session_state_name(p->session));
	m->path = build_text("%s", p->session_path < 0 ? "" : health_path_name(config, p->session_path));
	m->peer_link = p->peer_link;
	m->arbitrating = p->arbitrating;
	return m;
}

static Mclag__Control__OutageForecast *outage_message(const struct outage *o)
{
	Mclag__Control__OutageForecast *m = build_message(&mclag__control__outage_forecast__descriptor);

	m->kind = build_text("%s", outage_kind_name(o->kind));
	m->min_ms = o->min_ms;
	m->max_ms = o->max_ms;
	m->help = build_text("%s", outage_kind_help(o->kind));
	return m;
}

/* dead: the leaf is, after. */
static Mclag__Control__LegForecast *leg_message(const struct whatif_leg leg[2], bool dead)
{
	Mclag__Control__LegForecast *m = build_message(&mclag__control__leg_forecast__descriptor);

	m->before =
	    build_text("%s", leg[WHATIF_BEFORE].known ? leg_phase_name(leg[WHATIF_BEFORE].phase) : "");
	m->after = build_text("%s", dead                      ? "dead"
				    : leg[WHATIF_AFTER].known ? leg_phase_name(leg[WHATIF_AFTER].phase)
							      : "");
	for (int h = 0; !dead && h < HOLD_COUNT; h++)
		if (leg[WHATIF_AFTER].holds & HOLD_BIT(h))
			build_line(&m->holds, &m->n_holds, "%s", hold_name((enum hold)h));
	return m;
}

static Mclag__Control__MclagForecast *mclag_message(const struct config *config, const struct whatif_mclag *c,
						    enum question question)
{
	Mclag__Control__MclagForecast *m = build_message(&mclag__control__mclag_forecast__descriptor);

	m->id = c->id;
	m->port = build_text("%s", health_leg_port(config, c->id));
	m->single = c->single;
	m->local = leg_message(c->here, question == QUESTION_SELF_DOWN);
	m->peer = leg_message(c->peer, question == QUESTION_PEER_DEAD);
	m->changes = strcmp(m->local->before, m->local->after) != 0 ||
		     (strcmp(m->peer->before, m->peer->after) != 0 && m->peer->before[0] != '\0') ||
		     c->outage.max_ms != 0;
	m->entries = c->entries;
	m->outage = outage_message(&c->outage);
	return m;
}

static void add_ways(Mclag__Control__WhatIf *m, const struct whatif_answer *a)
{
	m->entries = build_list(WAY_COUNT * WAY_COUNT);
	for (int before = 0; before < WAY_COUNT; before++)
		for (int after = 0; after < WAY_COUNT; after++) {
			Mclag__Control__WayForecast *way;

			if (a->ways[before][after] == 0)
				continue;
			way = build_message(&mclag__control__way_forecast__descriptor);
			way->before = build_text("%s", way_name((enum way)before));
			way->after = build_text("%s", way_name((enum way)after));
			way->count = a->ways[before][after];
			m->entries[m->n_entries++] = way;
		}
}

static void add_orphans(Mclag__Control__WhatIf *m, const struct whatif_answer *a)
{
	size_t count = a->orphans_cut < WHATIF_CUT_MAX ? a->orphans_cut : WHATIF_CUT_MAX;
	char text[MAC_TEXT_SIZE];

	m->orphans_cut = a->orphans_cut;
	m->orphans = build_list(count);
	for (; m->n_orphans < count; m->n_orphans++) {
		const struct whatif_orphan *o = &a->cut[m->n_orphans];
		Mclag__Control__OrphanForecast *orphan =
		    build_message(&mclag__control__orphan_forecast__descriptor);

		orphan->mac = build_text("%s", mac_format(o->mac, text));
		orphan->vlan = o->vlan;
		orphan->local = o->here;
		m->orphans[m->n_orphans] = orphan;
	}
}

static Mclag__Control__Impact impact_of(const Mclag__Control__WhatIf *m)
{
	if (m->hosts_cut > 0 || m->orphans_cut > 0)
		return MCLAG__CONTROL__IMPACT__CUT;
	for (size_t i = 0; i < m->n_mclags; i++)
		if (m->mclags[i]->changes)
			return MCLAG__CONTROL__IMPACT__FELT;
	for (size_t i = 0; i < m->n_entries; i++)
		if (strcmp(m->entries[i]->before, m->entries[i]->after) != 0)
			return MCLAG__CONTROL__IMPACT__FELT;
	return MCLAG__CONTROL__IMPACT__HARMLESS;
}

static Mclag__Control__WhatIf *message_of(const struct config *config, const struct whatif_answer *a)
{
	Mclag__Control__WhatIf *m = build_message(&mclag__control__what_if__descriptor);

	m->question = build_text("%s", question_name(a->ask.question));
	m->help = build_text("%s", question_help(a->ask.question));
	m->id = a->ask.mclag;
	m->before = pair_message(config, &a->pair[WHATIF_BEFORE]);
	m->after = pair_message(config, &a->pair[WHATIF_AFTER]);
	m->after_at_peer = a->ask.question == QUESTION_SELF_DOWN;
	m->mclags = build_list(a->mclag_count);
	for (; m->n_mclags < a->mclag_count; m->n_mclags++) {
		const struct whatif_mclag *c = &a->mclags[m->n_mclags];

		m->mclags[m->n_mclags] = mclag_message(config, c, a->ask.question);
		m->hosts_cut += c->outage.kind == OUTAGE_CUT;
	}
	add_ways(m, a);
	m->rewritten = a->rewritten;
	add_orphans(m, a);
	m->outage = outage_message(&a->outage);
	m->virtual_ms = a->virtual_ms;
	for (int i = 0; i < ASSUMPTION_COUNT; i++)
		if (a->assumptions & 1u << i)
			build_line(&m->assumptions, &m->n_assumptions, "%s",
				   assumption_help((enum assumption)i));
	m->impact = impact_of(m);
	return m;
}

static void think(struct fork_owner *self, int fd)
{
	struct whatif *w = (struct whatif *)((char *)self - offsetof(struct whatif, copy));
	Mclag__Control__Response *r = build_message(&mclag__control__response__descriptor);
	struct whatif_answer a;

	if (whatif_ask(daemon_copied_domain(w->daemon), daemon_now(w->daemon), &w->ask, &a) < 0) {
		r->answer_case = MCLAG__CONTROL__RESPONSE__ANSWER_ERROR;
		r->error = build_message(&mclag__control__error__descriptor);
		r->error->text = build_text("mclag %u is not configured", w->ask.mclag);
	} else {
		r->answer_case = MCLAG__CONTROL__RESPONSE__ANSWER_WHAT_IF;
		r->what_if = message_of(daemon_config(w->daemon), &a);
		whatif_release(&a);
	}
	size_t size = mclag__control__response__get_packed_size(r);
	uint8_t *bytes = malloc(size);

	if (bytes == NULL)
		abort();
	mclag__control__response__pack(r, bytes);
	fork_write(fd, bytes, size);
	free(bytes);
	mclag__control__response__free_unpacked(r, NULL);
}

/* --- the question, and what came of it --------------------------------------------------------------- */

static void done(struct fork_owner *self, const uint8_t *bytes, size_t size, const char *why)
{
	struct whatif *w = (struct whatif *)((char *)self - offsetof(struct whatif, copy));
	Mclag__Control__Response *r = NULL;

	w->fork = NULL;
	if (why == NULL)
		r = mclag__control__response__unpack(NULL, size, bytes);
	if (r == NULL) {
		r = build_message(&mclag__control__response__descriptor);
		r->answer_case = MCLAG__CONTROL__RESPONSE__ANSWER_ERROR;
		r->error = build_message(&mclag__control__error__descriptor);
		r->error->text = build_text("the copy of the daemon gave no answer: %s",
					    why != NULL ? why : "it cannot be understood");
	}
	w->owner->answered(w->owner, r);
}

/* The session's round trip, rounded up. */
static int64_t rtt_ms(const struct daemon *daemon)
{
	struct domain_view v;
	struct keepalive_stats stats;

	domain_view(daemon_domain(daemon), &v);
	if (v.session_path < 0)
		return -1;
	keepalive_stats(daemon_keepalive(daemon), v.session_path, &stats);
	return stats.rtt_us < 0 ? -1 : (stats.rtt_us + 999) / 1000;
}

char *whatif_question(struct whatif *w, const Mclag__Control__WhatIfRequest *request)
{
	const struct fork_limits limits = {.ms = WHATIF_MS, .size = CONTROL_RESPONSE_LIMIT};
	enum question question;

	if (question_parse(request->question, &question) < 0)
		return build_text("that is no question this mclagd can answer");
	if (question == QUESTION_LEG_DOWN && (request->id == 0 || request->id > MCLAG_MAX))
		return build_text("mclag %u is not configured", request->id);
	if (w->fork != NULL)
		return build_text("another question is being answered; try again in a moment");
	w->ask =
	    (struct whatif_ask){.question = question,
				.mclag = question == QUESTION_LEG_DOWN ? (uint16_t)request->id : (uint16_t)0,
				.rtt_ms = rtt_ms(w->daemon)};
	int error = fork_start(&w->fork, w->base, &limits, &w->copy);

	return error < 0 ? build_text("no copy of the daemon can be made: %s", strerror(-error)) : NULL;
}

struct whatif *whatif_create(struct event_base *base, struct daemon *daemon, struct whatif_owner *owner)
{
	struct whatif *w = calloc(1, sizeof(*w));

	if (w == NULL)
		abort();
	*w = (struct whatif){
	    .base = base, .daemon = daemon, .owner = owner, .copy = {.think = think, .done = done}};
	return w;
}

void whatif_destroy(struct whatif *w)
{
	if (w == NULL)
		return;
	fork_destroy(w->fork);
	free(w);
}
