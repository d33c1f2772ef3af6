/* SPDX-License-Identifier: ISC */
/*
 * core/liveness.c - evidence first, then one pure function from evidence to verdict (judge), and one door
 * through which the verdict changes (liveness_enter). Handlers only record evidence and call evaluate().
 *
 * Times of loss are the times of the last keepalive, not those of the time-out: what matters is when the
 * peer was last proven alive on each path.
 */
#include "core/liveness.h"

#include "core/domain.h"

void liveness_init(struct liveness *l, const struct domain_config *config)
{
	*l = (struct liveness){
	    .path_count = config->path_count,
	    .detection_ms = config->keepalive_ms * config->multiplier,
	    .alone_ms = config->alone_ms,
	    .grace_ms = config->grace_ms,
	    .alone_at = MSEC_NEVER,
	    .met_by = MSEC_NEVER,
	    .goodbye_until = MSEC_NEVER,
	};
}

static void liveness_enter(struct liveness *l, struct step *s, enum verdict verdict, const char *evidence)
{
	if (l->verdict == verdict)
		return;
	step_trace(s, TRACE_LIVENESS, verdict == VERDICT_ALIVE ? TRACE_INFO : TRACE_WARN, 0,
		   "%s -> peer is %s (was %s for %lld ms)", evidence, verdict_name(verdict),
		   verdict_name(l->verdict), (long long)msec_since(s->now, l->since));
	l->verdict = verdict;
	l->since = s->now;
	l->met_by = verdict == VERDICT_ALIVE ? msec_after(s->now, l->detection_ms) : MSEC_NEVER;
	l->alone_at = MSEC_NEVER; /* waited for in `unknown` only */
	if (verdict != VERDICT_RESTARTING)
		l->goodbye_until = MSEC_NEVER;
}

static bool heard_any(const struct liveness *l)
{
	for (size_t i = 0; i < l->path_count; i++) {
		if (l->paths[i].up)
			return true;
	}
	return false;
}

/* How many paths ever worked; *together: they all did until one moment, *last: that moment. */
static size_t fell_together(const struct liveness *l, bool *together, struct msec *last)
{
	struct msec first = MSEC_NEVER;
	size_t ever = 0;

	*last = (struct msec){INT64_MIN};
	for (size_t i = 0; i < l->path_count; i++) {
		const struct liveness_path *p = &l->paths[i];

		if (!p->ever)
			continue;
		ever++;
		first = msec_min(first, p->heard);
		if (p->heard.ms > last->ms)
			*last = p->heard;
	}
	*together = ever > 0 && msec_since(*last, first) <= l->detection_ms;
	return ever;
}

static bool any_assumed(const struct liveness *l)
{
	for (size_t i = 0; i < l->path_count; i++) {
		if (l->paths[i].assumed)
			return true;
	}
	return false;
}

/* behaviour.md section 1: the verdict at the moment when no path is up any more. */
static enum verdict judge(const struct liveness *l, const char **evidence)
{
	struct msec last;
	bool together;
	size_t witnesses = fell_together(l, &together, &last);

	if (!together) {
		*evidence = "paths fell one after another";
		return VERDICT_SPLIT;
	}
	if (l->carrier) {
		*evidence = "all paths fell at once, the peer link's carrier stays";
		return VERDICT_SILENT;
	}
	if (witnesses < 2 || any_assumed(l)) {
		*evidence = "the peer link went down, no second path to ask";
		return VERDICT_SPLIT;
	}
	if (msec_since(l->carrier_changed, last) > l->detection_ms ||
	    msec_since(last, l->carrier_changed) > l->detection_ms) {
		*evidence = "carrier and paths fell one after another";
		return VERDICT_SPLIT;
	}
	*evidence = "all paths and the peer link's carrier fell at once";
	return VERDICT_GONE;
}

static void evaluate(struct liveness *l, struct step *s)
{
	const char *evidence;
	enum verdict verdict;

	if (heard_any(l)) {
		l->goodbye = REASON_NONE;
		liveness_enter(l, s, VERDICT_ALIVE, "keepalives both ways");
		return;
	}
	switch (l->verdict) {
	case VERDICT_UNKNOWN:
		if (msec_reached(s->now, l->alone_at)) {
			l->alone_at = MSEC_NEVER;
			liveness_enter(l, s, VERDICT_ALONE,
				       "the peer was never heard and the alone timer passed");
		}
		break;
	case VERDICT_ALIVE:
		verdict = judge(l, &evidence);
		liveness_enter(l, s, verdict, evidence);
		break;
	case VERDICT_RESTARTING:
		if (!l->carrier && l->carrier_changed.ms >= l->since.ms) {
			liveness_enter(l, s, VERDICT_GONE,
				       "the peer was restarting and the peer link's carrier fell");
		} else if (msec_reached(s->now, l->goodbye_until)) {
			/* Without the peer link its dataplane may serve the hosts, or be gone: no proof. */
			liveness_enter(l, s, l->carrier ? VERDICT_SILENT : VERDICT_SPLIT,
				       "the peer did not come back in the time it gave");
		}
		break;
	case VERDICT_SILENT:
		if (!l->carrier)
			liveness_enter(l, s, VERDICT_GONE,
				       "the peer was silent and the peer link's carrier fell");
		break;
	case VERDICT_GONE:
	case VERDICT_SPLIT:
	case VERDICT_ALONE:
	case VERDICT_COUNT:
		break;
	}
}

void liveness_start(struct liveness *l, struct step *s, enum verdict before)
{
	l->since = s->now;
	l->carrier_changed = s->now;
	for (size_t i = 0; i < l->path_count; i++)
		l->paths[i].changed = s->now;
	switch (before) {
	case VERDICT_UNKNOWN:
		if (l->alone_ms > 0)
			l->alone_at = msec_after(s->now, l->alone_ms);
		break;
	case VERDICT_ALIVE:
	case VERDICT_RESTARTING:
	case VERDICT_SILENT:       /* its dataplane was there: believed until the detection time is over */
		l->carrier = true; /* the link dump that follows corrects it */
		for (size_t i = 0; i < l->path_count; i++) {
			l->paths[i].ever = l->paths[i].up = l->paths[i].assumed = true;
			l->paths[i].heard = s->now;
		}
		liveness_enter(l, s, VERDICT_ALIVE, "resumed: the peer was there before the restart");
		break;
	case VERDICT_GONE:
	case VERDICT_SPLIT:
	case VERDICT_ALONE:
		liveness_enter(l, s, before, "resumed: as it was before the restart");
		break;
	case VERDICT_COUNT:
		break;
	}
}

/* For the trace: "the peer link", "backup path 1". */
static const char *path_text(int path)
{
	static const char *const texts[PATH_MAX_COUNT] = {"the peer link", "backup path 1", "backup path 2",
							  "backup path 3"};

	return texts[path];
}

static void path_up(struct liveness *l, struct step *s, int path)
{
	struct liveness_path *p = &l->paths[path];

	if (p->up)
		return;
	p->up = true;
	p->changed = s->now;
	step_trace(s, TRACE_LIVENESS, TRACE_INFO, 0, "keepalives both ways -> the peer is heard on %s",
		   path_text(path));
}

/* The peer link is lost: does the peer still live? What it heard before that proves nothing, even when it
 * arrives later. */
static void ask_evidence(struct liveness *l, struct step *s)
{
	l->peer_link_lost = s->now;
	for (size_t i = 0; i < l->path_count; i++) {
		l->paths[i].answered = false;
		if (i != PATH_PEER_LINK)
			step_action(s, ACTION_PROBE)->path = (int)i;
	}
}

static void path_down(struct liveness *l, struct step *s, int path)
{
	struct liveness_path *p = &l->paths[path];

	if (!p->up)
		return;
	p->up = false;
	p->hears_us = false;
	p->changed = s->now;
	step_trace(s, TRACE_LIVENESS, TRACE_WARN, 0,
		   "no keepalive for %lld ms -> the peer is not heard on %s",
		   (long long)msec_since(s->now, p->heard), path_text(path));
	if (path == PATH_PEER_LINK)
		ask_evidence(l, s);
}

void liveness_heard(struct liveness *l, struct step *s, const struct heard_event *e)
{
	struct liveness_path *p;

	if (e->path < 0 || (size_t)e->path >= l->path_count)
		return;
	if (e->beacon.goodbye != REASON_NONE) {
		if (heard_any(l) && l->boot_id != 0 && e->boot_id != l->boot_id)
			return; /* held up on its way: who said it is back already, as another run */
		struct goodbye g = {.reason = e->beacon.goodbye, .seconds = e->beacon.seconds};

		liveness_goodbye(l, s, &g, e->boot_id);
		return;
	}
	if (l->goodbye != REASON_NONE && e->boot_id == l->goodbye_boot_id)
		return; /* said goodbye: its last datagrams are no sign of life */
	p = &l->paths[e->path];
	p->hears_us = e->hears_us && e->echo_ms <= l->detection_ms;
	if (!p->hears_us)
		return;                 /* one way only: no path, it times out like a silent one */
	if (e->boot_id != l->boot_id) { /* restarted: no path could be heard meanwhile */
		l->boot_id = e->boot_id;
		l->met_by = msec_after(s->now, l->detection_ms);
	}
	p->ever = true;
	p->assumed = false;
	p->heard = s->now;
	if (s->now.ms - e->echo_ms >= l->peer_link_lost.ms)
		p->answered = true;
	path_up(l, s, e->path);
	evaluate(l, s);
}

void liveness_carrier(struct liveness *l, struct step *s, bool carrier)
{
	if (l->carrier == carrier)
		return;
	l->carrier = carrier;
	l->carrier_changed = s->now;
	step_trace(s, TRACE_LIVENESS, carrier ? TRACE_INFO : TRACE_WARN, 0, "peer link carrier %s",
		   carrier ? "came" : "was lost -> asking the peer over the other paths");
	if (!carrier)
		ask_evidence(l, s);
	evaluate(l, s);
}

void liveness_goodbye(struct liveness *l, struct step *s, const struct goodbye *g, uint64_t boot_id)
{
	bool restart = g->reason == REASON_RESTART;
	int64_t grace_ms = 0;

	if (l->goodbye == g->reason && l->goodbye_boot_id == boot_id)
		return; /* it says so on every path */
	l->goodbye = g->reason;
	l->goodbye_boot_id = boot_id;
	if (restart)
		grace_ms =
		    (int64_t)g->seconds * 1000 < l->grace_ms ? (int64_t)g->seconds * 1000 : l->grace_ms;
	l->goodbye_until = restart ? msec_after(s->now, grace_ms) : MSEC_NEVER;
	for (size_t i = 0; i < l->path_count; i++)
		l->paths[i].up = false;
	liveness_enter(l, s, restart ? VERDICT_RESTARTING : VERDICT_GONE,
		       restart ? "the peer said that it restarts" : "the peer said goodbye");
}

void liveness_timer(struct liveness *l, struct step *s)
{
	for (size_t i = 0; i < l->path_count; i++) {
		if (l->paths[i].up && msec_since(s->now, l->paths[i].heard) >= l->detection_ms)
			path_down(l, s, (int)i);
	}
	if (msec_reached(s->now, l->met_by))
		l->met_by = MSEC_NEVER;
	evaluate(l, s);
}

struct msec liveness_deadline(const struct liveness *l)
{
	struct msec t = msec_min(msec_min(l->alone_at, l->goodbye_until), l->met_by);

	for (size_t i = 0; i < l->path_count; i++) {
		if (l->paths[i].up)
			t = msec_min(t, msec_after(l->paths[i].heard, l->detection_ms));
	}
	return t;
}

enum peer_link_state liveness_peer_link(const struct liveness *l)
{
	if (l->carrier && l->paths[PATH_PEER_LINK].up)
		return PEER_LINK_UP;
	if (l->carrier && !msec_is_never(l->met_by))
		return PEER_LINK_DOUBTFUL; /* another path was just the first to bring word of the peer */
	for (size_t i = PATH_PEER_LINK + 1; i < l->path_count; i++) {
		if (l->paths[i].up && l->paths[i].answered)
			return PEER_LINK_LOST;
	}
	return PEER_LINK_DOUBTFUL;
}

int liveness_best_path(const struct liveness *l)
{
	for (size_t i = 0; i < l->path_count; i++) {
		if (l->paths[i].up && (i != PATH_PEER_LINK || l->carrier))
			return (int)i;
	}
	return PATH_NONE;
}
