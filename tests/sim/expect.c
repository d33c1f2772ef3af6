/* SPDX-License-Identifier: ISC */
/*
 * expect: what must be true at this moment of a story.
 */
#include "sim/story.h"

#include <stdlib.h>
#include <string.h>

static bool whole(struct story *t)
{
	char why[WHY_SIZE];

	return invariants_whole(t->sim, why) || story_problem(t, "the pair is not whole: %s", why);
}

static bool tables(struct story *t)
{
	char why[WHY_SIZE];

	return invariants_tables(t->sim, why) || story_problem(t, "%s", why);
}

static bool aged(struct story *t)
{
	char why[WHY_SIZE];

	return invariants_aged(t->sim, why) || story_problem(t, "%s", why);
}

static bool reach(struct story *t)
{
	bool wanted = word_is(t->words[1], "reach");
	int from = 0, to = 0;

	if (!story_host(t, t->words[2], &from) || !story_host(t, t->words[3], &to))
		return false;
	for (uint32_t flow = 0; flow < 2; flow++) {
		if (invariants_reach(t->sim, from, to, flow) != wanted)
			return story_problem(t, "host %d %s host %d with flow %u", from + 1,
					     wanted ? "does not reach" : "reaches", to + 1, flow);
	}
	return true;
}

static bool leg(struct story *t)
{
	const char *what = t->words[1];
	struct leg_view v;
	enum leg_phase phase;
	int leaf = 0, i = 0;

	if (!story_leg(t, t->words[2], &leaf, &i))
		return false;
	const struct port *p = &t->sim->switches[leaf].ports[1 + i];
	if (word_is(what, "isolated") || word_is(what, "open"))
		return p->isolated == word_is(what, "isolated") ||
		       story_problem(t, "leg %s is %sisolated", t->words[2], p->isolated ? "" : "not ");
	if (leg_phase_parse(what, &phase) || !t->sim->nodes[leaf].alive)
		return story_problem(t, "leg %s cannot be asked for '%s'", t->words[2], what);
	domain_leg_view(t->sim->nodes[leaf].domain, (size_t)i, &v);
	return v.phase == phase || story_problem(t, "leg %s is %s", t->words[2], leg_phase_name(v.phase));
}

static bool node(struct story *t)
{
	struct domain_view v;
	int leaf = 0;

	if (!story_leaf(t, t->words[2], &leaf))
		return false;
	if (!t->sim->nodes[leaf].alive)
		return story_problem(t, "node %d does not run", leaf + 1);
	domain_view(t->sim->nodes[leaf].domain, &v);
	const char *is = word_is(t->words[1], "role")      ? role_name(v.role)
			 : word_is(t->words[1], "verdict") ? verdict_name(v.verdict)
							   : session_state_name(v.session);
	return word_is(is, t->words[3]) || story_problem(t, "node %d: %s is %s", leaf + 1, t->words[1], is);
}

/* place L MAC leg N|orphan|peer-link|none: where the switch of leaf L keeps it. */
static bool place(struct story *t)
{
	const char *wanted = t->words[4];
	uint32_t mac = 0;
	int leaf = 0;

	if (!story_leaf(t, t->words[2], &leaf) || !story_mac(t, t->words[3], &mac))
		return false;
	const struct row *r = &t->sim->switches[leaf].rows[mac];
	const struct place *p = &t->sim->switches[leaf].ports[r->port].place;
	char is[24] = "none";
	if (r->kind != ROW_NONE && p->kind == PLACE_LEG)
		snprintf(is, sizeof is, "leg:%u", p->mclag);
	else if (r->kind != ROW_NONE)
		snprintf(is, sizeof is, "%s", p->kind == PLACE_ORPHAN ? "orphan" : "peer-link");
	return word_is(is, wanted) || story_problem(t, "mac %u stands at %s on leaf %d", mac, is, leaf + 1);
}

static bool members(struct story *t)
{
	int host = 0, in_use = 0;

	if (!story_host(t, t->words[2], &host))
		return false;
	for (int i = 0; i < 2; i++)
		in_use += t->sim->hosts[host].members[i].enabled;
	return in_use == atoi(t->words[3]) || story_problem(t, "host %d uses %d members", host + 1, in_use);
}

/* The host has not lost a member since the story began. */
static bool undisturbed(struct story *t)
{
	int host = 0;

	if (!story_host(t, t->words[2], &host))
		return false;
	return t->sim->hosts[host].lost_members == 0 ||
	       story_problem(t, "host %d lost a member %u times", host + 1, t->sim->hosts[host].lost_members);
}

static const struct {
	const char *name;
	int words;
	bool (*check)(struct story *t);
} expectations[] = {
    {"whole", 2, whole},
    {"tables", 2, tables},
    {"aged", 2, aged},
    {"reach", 4, reach},
    {"no-reach", 4, reach},
    {"held", 3, leg},
    {"requesting", 3, leg},
    {"leaving", 3, leg},
    {"forwarding", 3, leg},
    {"isolated", 3, leg},
    {"open", 3, leg},
    {"role", 4, node},
    {"verdict", 4, node},
    {"session", 4, node},
    {"place", 5, place},
    {"members", 4, members},
    {"undisturbed", 3, undisturbed},
};

bool story_expect(struct story *t)
{
	for (size_t i = 0; i < sizeof expectations / sizeof *expectations; i++) {
		if (!word_is(expectations[i].name, t->words[1]))
			continue;
		if (t->count != expectations[i].words)
			return story_problem(t, "'expect %s' wants %d words", t->words[1],
					     expectations[i].words);
		return expectations[i].check(t);
	}
	return story_problem(t, "nothing is known of '%s'", t->words[1]);
}
