/* SPDX-License-Identifier: ISC */
/*
 * core/session.c - peer.proto's sequence as a machine. The transport dials and retries by itself; this file
 * only says which path to use and what has become of the conversation.
 */
#include "core/session.h"

#include "core/domain.h"

/* How often we say something when there is nothing to say: a third of the time-out. */
static int64_t heartbeat_ms(const struct session *c)
{
	return c->timeout_ms / 3;
}

void session_init(struct session *c, const struct domain_config *config)
{
	*c = (struct session){
	    .timeout_ms = config->session_timeout_ms,
	    .path = PATH_NONE,
	    .heard_by = MSEC_NEVER,
	    .digest_at = MSEC_NEVER,
	};
}

void session_start(struct session *c, struct step *s)
{
	c->since = s->now;
	c->reason = REASON_START;
}

/* The one door. cause: for the trace, where the reason is none (nothing went wrong). */
static void session_enter(struct session *c, struct step *s, enum session_state state, enum reason reason,
			  const char *cause)
{
	if (c->state == state)
		return;
	step_trace(s, TRACE_SESSION, state == SESSION_UP || c->state == SESSION_UP ? TRACE_INFO : TRACE_DEBUG,
		   0, "%s -> session is %s (was %s)", reason == REASON_NONE ? cause : reason_help(reason),
		   session_state_name(state), session_state_name(c->state));
	c->state = state;
	c->since = s->now;
	if (reason != REASON_NONE)
		c->reason = reason;
}

bool session_greeted(const struct session *c)
{
	return c->state == SESSION_SYNCING || c->state == SESSION_UP;
}

static enum session_state idle_state(const struct session *c)
{
	return c->path == PATH_NONE ? SESSION_DOWN : SESSION_CONNECTING;
}

void session_path(struct session *c, struct step *s, int path, enum reason reason)
{
	if (c->path == path)
		return;
	c->path = path;
	step_action(s, ACTION_USE_PATH)->path = path;
	if (path == PATH_NONE) {
		session_close(c, s, reason);
		session_enter(c, s, SESSION_DOWN, reason, "");
	} else if (c->state == SESSION_DOWN) {
		session_enter(c, s, SESSION_CONNECTING, REASON_NONE, "the peer can be reached");
	}
}

void session_opened(struct session *c, struct step *s, int path, const struct hello *ours)
{
	struct message m = {.kind = MESSAGE_HELLO};

	if (c->state != SESSION_DOWN && c->state != SESSION_CONNECTING)
		session_enter(c, s, SESSION_CONNECTING, REASON_REPLACED, "");
	c->over = path;
	c->sent = *ours;
	m.hello = *ours;
	step_send(s, &m);
	c->heard_by = msec_after(s->now, c->timeout_ms);
	session_enter(c, s, SESSION_GREETING, REASON_NONE, "TLS is up with the peer");
}

void session_closed(struct session *c, struct step *s, enum reason reason)
{
	c->heard_by = MSEC_NEVER;
	c->digest_at = MSEC_NEVER;
	session_enter(c, s, idle_state(c), reason, "");
}

void session_close(struct session *c, struct step *s, enum reason reason)
{
	if (c->state == SESSION_DOWN || c->state == SESSION_CONNECTING)
		return;
	step_action(s, ACTION_CLOSE)->reason = reason;
	session_closed(c, s, reason);
}

static void refuse(struct session *c, struct step *s, enum reason reason, const char *what)
{
	c->violations++;
	step_trace(s, TRACE_SESSION, TRACE_WARN, 0, "%s -> session closed: %s", what, reason_name(reason));
	session_close(c, s, reason);
}

/* REASON_NONE = the two belong together. */
static enum reason judge_hello(const struct hello *h, const struct domain_config *config)
{
	if (h->version_max < PROTOCOL_VERSION_MIN || h->version_min > PROTOCOL_VERSION_MAX)
		return REASON_VERSION;
	if (h->domain != config->domain)
		return REASON_DOMAIN;
	if (h->node == config->node)
		return REASON_NODE;
	if (!mac_equal(h->system, config->system) || h->system_priority != config->system_priority)
		return REASON_SYSTEM_ID;
	return REASON_NONE;
}

static bool hello(struct session *c, struct step *s, const struct hello *h,
		  const struct domain_config *config)
{
	enum reason reason = judge_hello(h, config);

	if (reason != REASON_NONE) {
		refuse(c, s, reason, reason_help(reason));
		return false;
	}
	c->peer_known = true;
	c->peer = *h;
	c->digest_at = msec_after(s->now, heartbeat_ms(c));
	step_action(s, ACTION_ACCEPT);
	session_enter(c, s, SESSION_SYNCING, REASON_NONE, "the peer's Hello is accepted");
	return true;
}

bool session_message(struct session *c, struct step *s, const struct message *m,
		     const struct domain_config *config)
{
	if (c->state == SESSION_DOWN || c->state == SESSION_CONNECTING)
		return false; /* still in flight when we closed */
	c->in[m->kind]++;
	c->heard_by = msec_after(s->now, c->timeout_ms);
	switch (c->state) {
	case SESSION_DOWN:
	case SESSION_CONNECTING:
		break;
	case SESSION_GREETING:
		if (m->kind == MESSAGE_HELLO)
			return hello(c, s, &m->hello, config);
		refuse(c, s, REASON_VIOLATION, "a message came before the Hello");
		return false;
	case SESSION_SYNCING:
	case SESSION_UP:
		if (m->kind != MESSAGE_HELLO)
			return true;
		refuse(c, s, REASON_VIOLATION, "a second Hello came");
		return false;
	case SESSION_STATE_COUNT:
		break;
	}
	return false;
}

void session_violation(struct session *c, struct step *s)
{
	refuse(c, s, REASON_VIOLATION, "bytes came that are no valid message");
}

void session_synced(struct session *c, struct step *s, bool synced)
{
	if (synced && c->state == SESSION_SYNCING)
		session_enter(c, s, SESSION_UP, REASON_NONE, "both tables are equal on both leaves");
	else if (!synced && c->state == SESSION_UP)
		session_enter(c, s, SESSION_SYNCING, REASON_NONE, "a table differs");
}

bool session_timer(struct session *c, struct step *s)
{
	if (msec_reached(s->now, c->heard_by)) {
		session_close(c, s, REASON_TIMEOUT);
		return false;
	}
	if (!msec_reached(s->now, c->digest_at))
		return false;
	c->digest_at = msec_after(s->now, heartbeat_ms(c));
	return true;
}

struct msec session_deadline(const struct session *c)
{
	return msec_min(c->heard_by, c->digest_at);
}
