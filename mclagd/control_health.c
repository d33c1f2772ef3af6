/* SPDX-License-Identifier: ISC */
/*
 * control_health.c - one function per thing that can be wrong; each writes findings, and the health follows
 * from them. No text carries an age or a count: a finding is the same line for as long as it lasts.
 */
#include "mclagd/control_health.h"

#include <inttypes.h>

#include "mclagd/control_build.h"

#define SAY(into, ...) build_line(&(into)->lines, &(into)->count, __VA_ARGS__)

const char *health_path_name(const struct config *config, int path)
{
	if (path == PATH_PEER_LINK)
		return config->via.name;
	if (path < 0 || (size_t)path > config->backup_path_count)
		return "?";
	return config->backup_paths[path - 1].name;
}

const char *health_leg_port(const struct config *config, uint16_t mclag)
{
	for (size_t i = 0; i < config->mclag_count; i++)
		if (config->mclags[i].id == mclag)
			return config->mclags[i].port;
	return "?";
}

static bool carries(enum leg_phase phase)
{
	switch (phase) {
	case LEG_FORWARDING:
	case LEG_LEAVING:
		return true;
	case LEG_HELD:
	case LEG_REQUESTING:
	case LEG_OPENING:
	case LEG_PHASE_COUNT:
		break;
	}
	return false;
}

/* Whether what the peer said last of its legs still holds. */
static bool peer_counts(const struct domain_view *v)
{
	switch (v->verdict) {
	case VERDICT_ALIVE:
	case VERDICT_RESTARTING:
		return true;
	case VERDICT_UNKNOWN:
	case VERDICT_SILENT:
	case VERDICT_GONE:
	case VERDICT_SPLIT:
	case VERDICT_ALONE:
	case VERDICT_COUNT:
		break;
	}
	return false;
}

static bool peer_carries(const struct domain_view *v, const struct leg_view *leg)
{
	return peer_counts(v) && leg->peer_known && carries(leg->peer.phase);
}

static bool is_down(const struct domain_view *v, const struct leg_view *legs)
{
	for (size_t i = 0; i < v->mclag_count; i++)
		if (carries(legs[i].phase) || peer_carries(v, &legs[i]))
			return false;
	return v->mclag_count > 0;
}

static void judge_pair(const struct domain_view *v, struct health_lines *findings)
{
	if (v->stopping)
		SAY(findings, "this leaf is stopping: goodbye is said");
	if (v->verdict != VERDICT_ALIVE)
		SAY(findings, "the peer is %s: %s", verdict_name(v->verdict), verdict_help(v->verdict));
	else if (v->session != SESSION_UP)
		SAY(findings, "the session is %s: %s", session_state_name(v->session),
		    session_state_help(v->session));
	else if (v->role == ROLE_NONE)
		SAY(findings, "the role is not settled");
	else if (!v->macs.synced || !v->macs.peer_synced)
		SAY(findings, "the MAC tables of the leaves are not known to be equal");
	if (v->macs.overflowed)
		SAY(findings,
		    "the peer tells of more MACs than entry-limit allows: some of them are not held");
	if (v->macs.failing)
		SAY(findings, "the switch refuses MAC entries (%" PRIu64 " so far); they are tried again",
		    v->macs.failed);
	if (v->arbitrating)
		SAY(findings, "this leaf uses a system id of its own: the hosts choose between the leaves");
}

static void judge_paths(const struct domain_view *v, const struct config *config,
			struct health_lines *findings, struct health_lines *single_points)
{
	size_t up = 0, last = 0;

	for (size_t i = 0; i < v->path_count; i++) {
		const struct path_view *p = &v->paths[i];
		const char *name = health_path_name(config, (int)i);

		if (!p->ever)
			SAY(findings, "path %s is down: the peer was never heard on it", name);
		else if (!p->up)
			SAY(findings, "path %s is down", name);
		else if (!p->hears_us)
			SAY(findings, "path %s is one-way: the peer does not hear this leaf", name);
		up += p->up;
		last = p->up ? i : last;
	}
	if (up == 1)
		SAY(single_points, "path %s is the last one: one fault from blind",
		    health_path_name(config, (int)last));
	if (!v->peer_link_carrier)
		SAY(findings, "the peer link %s has no carrier", config->peer_link);
	else if (!v->peer_link_open)
		SAY(findings, "the peer link %s is closed for data", config->peer_link);
}

static void judge_local_leg(const struct leg_view *leg, const char *port, struct health_lines *findings)
{
	char holds[160];

	switch (leg->phase) {
	case LEG_FORWARDING:
		return;
	case LEG_HELD:
		SAY(findings, "mclag %u: the local leg %s is held: %s", leg->id, port,
		    hold_set_format(leg->holds, holds, sizeof(holds)));
		return;
	case LEG_REQUESTING:
	case LEG_OPENING:
	case LEG_LEAVING:
		SAY(findings, "mclag %u: the local leg %s is %s: %s", leg->id, port,
		    leg_phase_name(leg->phase), leg_phase_help(leg->phase));
		return;
	case LEG_PHASE_COUNT:
		break;
	}
}

static void judge_peer_leg(const struct domain_view *v, const struct leg_view *leg,
			   struct health_lines *findings)
{
	char holds[160];

	if (!leg->peer_known) {
		if (v->session == SESSION_UP)
			SAY(findings, "mclag %u: the peer has no such leg", leg->id);
	} else if (peer_counts(v) && leg->peer.phase == LEG_HELD) {
		SAY(findings, "mclag %u: the peer's leg is held: %s", leg->id,
		    hold_set_format(leg->peer.holds, holds, sizeof(holds)));
	} else if (peer_counts(v) && leg->peer.phase != LEG_FORWARDING) {
		SAY(findings, "mclag %u: the peer's leg is %s", leg->id, leg_phase_name(leg->peer.phase));
	}
}

static void judge_legs(const struct domain_view *v, const struct leg_view *legs, const struct config *config,
		       struct health_lines *findings, struct health_lines *single_points)
{
	bool pair = v->verdict == VERDICT_ALIVE, here = false;

	for (size_t i = 0; i < v->mclag_count; i++) {
		const struct leg_view *leg = &legs[i];
		bool peer_wired = leg->peer_known && leg->peer.carrier;
		bool local = carries(leg->phase), peer = peer_carries(v, leg);
		const char *port = health_leg_port(config, leg->id);

		here = here || local;
		if (leg->carrier || peer_wired || local || peer) {
			judge_local_leg(leg, port, findings);
			judge_peer_leg(v, leg, findings);
		}
		if (pair && local && !peer)
			SAY(single_points, "mclag %u: the local leg %s is the only one that forwards",
			    leg->id, port);
		else if (pair && peer && !local)
			SAY(single_points, "mclag %u: the peer's leg is the only one that forwards", leg->id);
	}
	/* Said once for the leaf, not once for each of its legs. */
	if (here && !pair)
		SAY(single_points, "this leaf: there is no peer to take over from it");
}

Mclag__Control__Health health_judge(const struct domain_view *view, const struct leg_view *legs,
				    const struct config *config, struct health_lines *findings,
				    struct health_lines *single_points)
{
	judge_pair(view, findings);
	judge_paths(view, config, findings, single_points);
	judge_legs(view, legs, config, findings, single_points);
	if (is_down(view, legs)) {
		SAY(findings, "no mclag is known to forward, on this leaf or on the peer");
		return MCLAG__CONTROL__HEALTH__DOWN;
	}
	return findings->count > 0 ? MCLAG__CONTROL__HEALTH__DEGRADED : MCLAG__CONTROL__HEALTH__HEALTHY;
}
