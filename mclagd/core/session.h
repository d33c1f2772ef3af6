/* SPDX-License-Identifier: ISC */
/*
 * core/session.h - the conversation with the peer: which path it uses, the Hello, when it counts as up, and
 * when silence ends it. What the messages after the Hello mean is for the machines they belong to.
 */
#ifndef CORE_SESSION_H
#define CORE_SESSION_H

#include "core/step.h"

struct domain_config;

struct session {
	int64_t timeout_ms;
	enum session_state state;
	struct msec since;
	enum reason reason; /* why it was last not up */
	int path;           /* to reach the peer over, PATH_NONE */
	int over;           /* the path that the conversation runs over, once it is opened */
	struct hello sent;  /* our Hello in this session: what the election compares */
	bool peer_known;
	struct hello peer;     /* the peer's last accepted Hello */
	struct msec heard_by;  /* something must have arrived by then */
	struct msec digest_at; /* our next Digest: the session's heartbeat */
	uint64_t in[MESSAGE_KIND_COUNT], out[MESSAGE_KIND_COUNT];
	uint64_t violations;
};

void session_init(struct session *c, const struct domain_config *config);
void session_start(struct session *c, struct step *s);
/* The best path to the peer is now this one, or PATH_NONE, for that reason. */
void session_path(struct session *c, struct step *s, int path, enum reason reason);
void session_opened(struct session *c, struct step *s, int path, const struct hello *ours);
void session_closed(struct session *c, struct step *s, enum reason reason);
/* Ends it from our side. */
void session_close(struct session *c, struct step *s, enum reason reason);
/* Every message first: true when it may be handled now, false when it broke the sequence (the session is
 * closed then). For a Hello: accepted when true. */
bool session_message(struct session *c, struct step *s, const struct message *m,
		     const struct domain_config *config);
void session_violation(struct session *c, struct step *s);
/* Both tables are equal on both leaves, or are not any more. */
void session_synced(struct session *c, struct step *s, bool synced);
/* True when a Digest is due: the caller sends it. */
bool session_timer(struct session *c, struct step *s);
struct msec session_deadline(const struct session *c);

bool session_greeted(const struct session *c);

#endif
