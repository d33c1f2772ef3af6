/* SPDX-License-Identifier: ISC */
/*
 * core/domain.c - one event in, the machines it concerns called in a fixed order, then everything that
 * follows from it (conclude): verdict -> role -> path and session -> legs -> tables. Machines never call each
 * other; what one must know of another it gets from here (struct pair).
 */
#include <stdlib.h>
#include <string.h>

#include "core/domain_state.h"
#include "core/memory.h"
#include "core/role.h"

#define COMPLAIN_MS 10000 /* how often a peer whose configuration cannot be right is complained about */

void domain_config_defaults(struct domain_config *c)
{
	*c = (struct domain_config){
	    .priority = 100,
	    .system_priority = 32768,
	    .path_count = 1,
	    .keepalive_ms = 100,
	    .multiplier = 5,
	    .session_timeout_ms = 3000,
	    .alone_ms = 60000,
	    .ceiling_ms = 180000,
	    .grace_ms = 60000,
	    .ageing_ms = 300000,
	    .leave_ms = 3000,
	    .on_split = SPLIT_ARBITRATE,
	    .entry_limit = 512 * 1024,
	};
}

static void leg_changed(struct leg_watch *w, struct step *s, const struct leg *leg)
{
	struct domain *d = (struct domain *)((char *)w - offsetof(struct domain, watch));

	replica_leg(&d->macs, s, leg->id, leg_carries(leg), leg->carrier);
}

static void copy_resume(struct domain *d, const struct resume *from)
{
	d->resume = *from;
	d->resume.legs = core_new(from->leg_count, sizeof *from->legs);
	if (from->leg_count)
		memcpy(d->resume.legs, from->legs, from->leg_count * sizeof *from->legs);
}

struct domain *domain_create(const struct domain_config *config, const struct resume *resume)
{
	struct domain *d = core_new(1, sizeof *d);

	d->config = *config;
	d->mclags = core_new(config->mclag_count, sizeof *d->mclags);
	if (config->mclag_count)
		memcpy(d->mclags, config->mclags, config->mclag_count * sizeof *d->mclags);
	d->config.mclags = d->mclags;
	if (resume)
		copy_resume(d, resume);
	d->watch.changed = leg_changed;
	d->late_at = MSEC_NEVER;
	d->stop_by = MSEC_NEVER;
	d->abandoned_at = MSEC_NEVER;
	liveness_init(&d->liveness, &d->config);
	session_init(&d->session, &d->config);
	mclags_init(&d->legs, &d->config, &d->watch);
	replica_init(&d->macs, &d->config);
	return d;
}

void domain_destroy(struct domain *d)
{
	if (!d)
		return;
	replica_release(&d->macs);
	mclags_release(&d->legs);
	free(d->resume.legs);
	free(d->mclags);
	free(d);
}

/* --- roles ------------------------------------------------------------------------------------------ */

static void role_enter(struct domain *d, struct step *s, enum role role, uint64_t epoch, enum reason reason)
{
	d->epoch = epoch;
	if (d->role == role)
		return;
	step_trace(s, TRACE_ROLE, TRACE_INFO, 0, "%s -> role is %s (was %s), epoch %llu", reason_help(reason),
		   role_name(role), role_name(d->role), (unsigned long long)epoch);
	d->role = role;
	d->role_since = s->now;
	d->role_reason = reason;
	d->legs.unsaved = true;
}

/* What the verdict alone makes of the role. A split changes nothing: the primary keeps, the secondary stays.
 */
static void role_follow(struct domain *d, struct step *s)
{
	enum reason reason = REASON_NONE;

	switch (d->liveness.verdict) {
	case VERDICT_GONE:
		reason = REASON_PEER_GONE;
		break;
	case VERDICT_SILENT:
		reason = REASON_PEER_SILENT;
		break;
	case VERDICT_ALONE:
		reason = REASON_PEER_ALONE;
		break;
	case VERDICT_UNKNOWN:
	case VERDICT_ALIVE:
	case VERDICT_RESTARTING:
	case VERDICT_SPLIT:
	case VERDICT_COUNT:
		return;
	}
	if (d->role != ROLE_PRIMARY)
		role_enter(d, s, ROLE_PRIMARY, d->epoch + 1, reason);
}

/* --- what follows from everything ------------------------------------------------------------------- */

static struct hello our_hello(const struct domain *d)
{
	return (struct hello){
	    .version_min = PROTOCOL_VERSION_MIN,
	    .version_max = PROTOCOL_VERSION_MAX,
	    .domain = d->config.domain,
	    .node = d->config.node,
	    .boot_id = d->config.boot_id,
	    .epoch = d->epoch,
	    .priority = d->config.priority,
	    .role = d->role,
	    .carrying = mclags_carrying(&d->legs),
	    .system = d->config.system,
	    .system_priority = d->config.system_priority,
	    .via = d->config.via,
	};
}

static uint32_t goodbye_seconds(const struct domain *d)
{
	return d->stopping == REASON_RESTART ? (uint32_t)(d->config.grace_ms / 1000) : 0;
}

static void tell_beacon(struct domain *d, struct step *s, bool always)
{
	struct beacon b = {
	    .domain = d->config.domain,
	    .epoch = d->epoch,
	    .role = d->role,
	    .carrying = mclags_carrying(&d->legs),
	    .goodbye = d->stopped ? d->stopping : REASON_NONE,
	    .seconds = d->stopped ? goodbye_seconds(d) : 0,
	};

	if (!always && b.epoch == d->beacon.epoch && b.role == d->beacon.role &&
	    b.carrying == d->beacon.carrying && b.goodbye == d->beacon.goodbye)
		return;
	d->beacon = b;
	step_action(s, ACTION_BEACON)->beacon = b;
}

static struct pair pair_of(const struct domain *d)
{
	return (struct pair){
	    .verdict = d->liveness.verdict,
	    .role = d->role,
	    .peer_link = liveness_peer_link(&d->liveness),
	    .greeted = session_greeted(&d->session),
	    .synced = d->session.state == SESSION_UP,
	    .late = d->late,
	    .arbitrating = d->arbitrating,
	    .stopping = d->stopping == REASON_SHUTDOWN,
	    .frozen = d->stopping == REASON_RESTART,
	    .abandoned = d->abandoned,
	    .unattended = d->late && !session_greeted(&d->session) &&
			  (d->role == ROLE_PRIMARY || (d->role == ROLE_NONE && d->config.node == 1)),
	};
}

static void end_session(struct domain *d, struct step *s)
{
	if (!session_greeted(&d->session) && d->macs.session)
		replica_session_end(&d->macs, s);
}

/* Goodbye goes out when the legs are given up (shutdown) or at once (restart). */
static void stop(struct domain *d, struct step *s)
{
	struct message m = {.kind = MESSAGE_GOODBYE};

	if (d->stopping == REASON_NONE || d->stopped)
		return;
	if (d->stopping == REASON_SHUTDOWN && !mclags_all_held(&d->legs) && !msec_reached(s->now, d->stop_by))
		return;
	d->stopped = true;
	d->stop_by = MSEC_NEVER;
	if (session_greeted(&d->session)) {
		m.goodbye = (struct goodbye){.reason = d->stopping, .seconds = goodbye_seconds(d)};
		step_send(s, &m);
	}
	session_close(&d->session, s, d->stopping);
	step_action(s, ACTION_STOPPED);
}

static void ceiling(struct domain *d, struct step *s)
{
	if (d->liveness.verdict != VERDICT_ALIVE || d->session.state == SESSION_UP) {
		d->late_at = MSEC_NEVER;
		d->late = false;
	} else if (msec_is_never(d->late_at) && !d->late) {
		d->late_at = msec_after(s->now, d->config.ceiling_ms);
	} else if (msec_reached(s->now, d->late_at)) {
		d->late_at = MSEC_NEVER;
		d->late = true;
		step_trace(
		    s, TRACE_DOMAIN, TRACE_WARN, 0, "%s for %lld s -> %s",
		    session_greeted(&d->session) ? "tables are not equal"
						 : "the peer is heard, yet no session",
		    (long long)d->config.ceiling_ms / 1000,
		    session_greeted(&d->session)
			? "legs may open all the same"
			: "the primary's legs (else node 1's) may open, the peer link stays closed for data");
	}
}

/* Hosts leave the legs of a peer whose daemon is dead, at the latest when the long timeout is over. */
static void abandon(struct domain *d, struct step *s)
{
	if (d->liveness.verdict != VERDICT_SILENT) {
		d->abandoned_at = MSEC_NEVER;
		d->abandoned = false;
	} else if (msec_is_never(d->abandoned_at) && !d->abandoned) {
		d->abandoned_at = msec_after(s->now, LACP_LONG_TIMEOUT_MS);
	} else if (msec_reached(s->now, d->abandoned_at)) {
		d->abandoned_at = MSEC_NEVER;
		d->abandoned = true;
		step_trace(
		    s, TRACE_DOMAIN, TRACE_WARN, 0,
		    "the peer is silent for %d s, hosts have left its legs -> ours open without its grant",
		    LACP_LONG_TIMEOUT_MS / 1000);
	}
}

/* Why the peer is not heard any more. */
static enum reason unheard(const struct domain *d)
{
	return d->liveness.goodbye != REASON_NONE ? d->liveness.goodbye : REASON_PATH_LOST;
}

static bool arbitrates(const struct domain *d)
{
	return d->liveness.verdict == VERDICT_SPLIT && d->role != ROLE_PRIMARY &&
	       d->config.on_split == SPLIT_ARBITRATE;
}

/* Everything that follows from the event, in the order of dependence. */
static void conclude(struct domain *d, struct step *s, enum verdict before)
{
	struct pair pair;

	if (d->liveness.verdict != before || !session_greeted(&d->session))
		role_follow(d, s); /* else we talk with the peer already: what was elected counts */
	if (d->liveness.verdict != before && d->liveness.verdict != VERDICT_ALIVE)
		session_close(&d->session, s, unheard(d)); /* what it has told is not to be relied on */
	session_path(&d->session, s, d->stopped ? PATH_NONE : liveness_best_path(&d->liveness),
		     d->stopped ? d->stopping : unheard(d));
	end_session(d, s);
	if (d->liveness.verdict == VERDICT_GONE && before != VERDICT_GONE)
		replica_peer_gone(&d->macs, s);
	session_synced(&d->session, s, d->macs.synced && d->macs.peer_synced);
	ceiling(d, s);
	abandon(d, s);
	d->arbitrating = arbitrates(d);
	pair = pair_of(d);
	mclags_pair(&d->legs, s, &pair);
	stop(d, s);
	if (d->stopped) {
		pair = pair_of(d); /* nothing is sent from now on */
		mclags_pair(&d->legs, s, &pair);
		end_session(d, s);
	}
	tell_beacon(d, s, false); /* when stopped: the goodbye on the paths that have no session */
	replica_pump(&d->macs, s, &d->room);
	if (d->legs.unsaved || d->liveness.verdict != before) /* last: nobody waits for it */
		step_action(s, ACTION_SAVE);
	d->legs.unsaved = false;
}

/* --- events ----------------------------------------------------------------------------------------- */

static void start(struct domain *d, struct step *s)
{
	const struct resume *resume = d->resume.legs ? &d->resume : NULL;

	d->started = true;
	d->role_since = s->now;
	d->role_reason = REASON_START;
	step_trace(s, TRACE_DOMAIN, TRACE_INFO, 0,
		   resume ? "started -> resuming what the dataplane does"
			  : "started -> every leg is held until there is proof");
	if (resume) {
		d->role = resume->role;
		d->epoch = resume->epoch;
		d->role_reason = REASON_RESUME;
	}
	session_start(&d->session, s);
	liveness_start(&d->liveness, s, resume ? resume->verdict : VERDICT_UNKNOWN);
	replica_start(&d->macs, s);
	d->arbitrating = arbitrates(d);
	mclags_start(&d->legs, s, resume, d->arbitrating);
	tell_beacon(d, s, true);
}

/* The two meet: who is primary, then everything each must know of the other. */
static void met(struct domain *d, struct step *s)
{
	const struct hello *peer = &d->session.peer;
	enum role role = role_elect(&d->session.sent, peer);
	uint64_t epoch = role_epoch(&d->session.sent, peer);

	step_trace(s, TRACE_SESSION, TRACE_INFO, 0,
		   "hello from node %u, role %s, %scarrying, epoch %llu -> tables follow",
		   (unsigned)peer->node, role_name(peer->role), peer->carrying ? "" : "not ",
		   (unsigned long long)peer->epoch);
	role_enter(d, s, role, epoch > d->epoch ? epoch : d->epoch, REASON_ELECTION);
	d->legs.pair = pair_of(d);
	mclags_session_start(&d->legs, s);
	replica_session_start(&d->macs, s, peer->via);
}

static void message(struct domain *d, struct step *s, const struct message *m)
{
	if (!session_message(&d->session, s, m, &d->config))
		return;
	switch (m->kind) {
	case MESSAGE_HELLO:
		met(d, s);
		break;
	case MESSAGE_LEG_STATE:
		mclags_peer_state(&d->legs, s, &m->leg_state);
		break;
	case MESSAGE_LEG_REQUEST:
		mclags_peer_request(&d->legs, s, &m->leg);
		break;
	case MESSAGE_LEG_GRANT:
		mclags_peer_grant(&d->legs, s, &m->leg);
		break;
	case MESSAGE_TABLE_BEGIN:
		replica_table_begin(&d->macs, s, &m->mark);
		mclags_peer_complete(&d->legs, s);
		break;
	case MESSAGE_ENTRIES:
	case MESSAGE_UPDATE:
		replica_batch(&d->macs, s, &m->batch);
		break;
	case MESSAGE_TABLE_END:
		replica_table_end(&d->macs, s, &m->mark);
		break;
	case MESSAGE_TABLE_ACK:
		replica_table_ack(&d->macs, s, &m->ack);
		break;
	case MESSAGE_DIGEST:
		replica_digest(&d->macs, s, &m->mark);
		break;
	case MESSAGE_GOODBYE:
		liveness_goodbye(&d->liveness, s, &m->goodbye, d->session.peer.boot_id);
		break;
	case MESSAGE_KIND_COUNT:
		break;
	}
}

static void link(struct domain *d, struct step *s, const struct link_event *e)
{
	if (e->port.kind == PLACE_PEER_LINK)
		liveness_carrier(&d->liveness, s, e->carrier);
	else if (e->port.kind == PLACE_LEG)
		mclags_link(&d->legs, s, e);
}

/* Whether a complaint about the peer's configuration is due; it repeats itself with every keepalive. */
static bool complain(struct domain *d, struct step *s)
{
	if (!msec_reached(s->now, d->complain_at))
		return false;
	d->complain_at = msec_after(s->now, COMPLAIN_MS);
	return true;
}

static void heard(struct domain *d, struct step *s, const struct heard_event *e)
{
	if (e->beacon.domain != d->config.domain) { /* signed with our secret, yet no sign of our peer */
		if (complain(d, s))
			step_trace(s, TRACE_LIVENESS, TRACE_WARN, 0,
				   "the peer says that it is of domain %u, we are of %u -> not heard",
				   (unsigned)e->beacon.domain, (unsigned)d->config.domain);
		return;
	}
	liveness_heard(&d->liveness, s, e);
	if (e->boot_id == d->session.peer.boot_id) { /* younger than its Hello */
		d->session.peer.role = e->beacon.role;
		d->session.peer.epoch = e->beacon.epoch;
		d->session.peer.carrying = e->beacon.carrying;
	}
}

static void conflict(struct domain *d, struct step *s)
{
	if (!complain(d, s))
		return;
	step_trace(s, TRACE_LIVENESS, TRACE_WARN, 0,
		   "the peer says that it is node %u as well -> not heard; give one of them the other number",
		   (unsigned)d->config.node);
}

static void begin_stop(struct domain *d, struct step *s, enum reason reason)
{
	if (d->stopping != REASON_NONE)
		return;
	d->stopping = reason;
	d->stop_by = msec_after(s->now, d->config.leave_ms);
	step_trace(s, TRACE_DOMAIN, TRACE_INFO, 0, "told to stop -> goodbye, %s", reason_help(reason));
}

static void timer(struct domain *d, struct step *s)
{
	liveness_timer(&d->liveness, s);
	mclags_timer(&d->legs, s);
	replica_timer(&d->macs, s);
	if (session_timer(&d->session, s)) /* last: it may end the session, and then nothing can be sent */
		replica_send_digest(&d->macs, s);
}

static void dispatch(struct domain *d, struct step *s, const struct event *e)
{
	struct hello ours;

	switch (e->kind) {
	case EVENT_START:
		start(d, s);
		break;
	case EVENT_TIMER:
		timer(d, s);
		break;
	case EVENT_LINK:
		link(d, s, &e->link);
		break;
	case EVENT_HEARD:
		heard(d, s, &e->heard);
		break;
	case EVENT_CONFLICT:
		conflict(d, s);
		break;
	case EVENT_SESSION_OPENED:
		replica_session_end(&d->macs, s);
		ours = our_hello(d);
		session_opened(&d->session, s, e->path, &ours);
		break;
	case EVENT_SESSION_CLOSED:
		session_closed(&d->session, s, e->reason);
		break;
	case EVENT_MESSAGE:
		message(d, s, e->message);
		break;
	case EVENT_VIOLATION:
		session_violation(&d->session, s);
		break;
	case EVENT_ROOM:
		d->room = e->room;
		break;
	case EVENT_LACPDU:
		mclags_lacpdu(&d->legs, s, e->lacpdu.mclag, &e->lacpdu.pdu);
		break;
	case EVENT_ENTRY:
		replica_sighting(&d->macs, s, &e->entry);
		break;
	case EVENT_DUMP_BEGIN:
		replica_dump_begin(&d->macs, s);
		break;
	case EVENT_DUMP_END:
		replica_dump_end(&d->macs, s);
		break;
	case EVENT_DONE:
		mclags_done(&d->legs, s, &e->done);
		break;
	case EVENT_PROGRAM_FAILED:
		replica_program_failed(&d->macs, s, &e->entry);
		break;
	case EVENT_STOP:
		begin_stop(d, s, e->reason);
		break;
	case EVENT_KIND_COUNT:
		break;
	}
}

static void count_sent(struct domain *d, const struct step *s, size_t from)
{
	for (size_t i = from; i < s->action_count; i++) {
		if (s->actions[i].kind == ACTION_SEND)
			d->session.out[s->actions[i].message.kind]++;
	}
}

void domain_step(struct domain *d, struct step *s, const struct event *e)
{
	enum verdict before = d->liveness.verdict;
	size_t from = s->action_count;

	if (!d->started && e->kind != EVENT_START)
		return;
	d->now = s->now;
	dispatch(d, s, e);
	if (e->kind == EVENT_ENTRY)
		replica_pump(
		    &d->macs, s,
		    &d->room); /* an entry changes nothing for the pair, and there may be thousands */
	else
		conclude(d, s, before);
	count_sent(d, s, from);
}

struct msec domain_deadline(const struct domain *d)
{
	struct msec t = msec_min(msec_min(d->late_at, d->stop_by), d->abandoned_at);

	t = msec_min(t, liveness_deadline(&d->liveness));
	t = msec_min(t, session_deadline(&d->session));
	t = msec_min(t, mclags_deadline(&d->legs));
	t = msec_min(t, replica_deadline(&d->macs, d->now));
	return t.ms < d->now.ms ? d->now : t;
}
