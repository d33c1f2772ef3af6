/* SPDX-License-Identifier: ISC */
/*
 * core/mclag.h - the two legs of each mclag: holds, the grant handshake, isolation, and what the peer link
 * may carry.
 *
 * A leg opens on proof: when no hold keeps it closed, it asks the peer (LegRequest), which isolates its own
 * leg from the peer link and answers (LegGrant); only then the dataplane is opened and LACP announces
 * synchronization. It closes at once when its carrier or partner is lost, and leaves in order (out of sync
 * first, then closed) when the pair decides so.
 */
#ifndef CORE_MCLAG_H
#define CORE_MCLAG_H

#include "core/lacp.h"
#include "core/liveness.h"
#include "core/step.h"

struct domain_config;
struct mclag_config;
struct resume;
struct leg_resume;

#define MCLAG_RETRY_MS 1000 /* a refused write or grant is tried again after this */

/* What the legs must know of the pair; the domain keeps it up to date. */
struct pair {
	enum verdict verdict;
	enum role role;
	enum peer_link_state peer_link;
	bool greeted;     /* the peer's Hello is accepted: requests can be sent */
	bool synced;      /* the session is up */
	bool late;        /* the ceiling timer passed: tables are no longer waited for */
	bool arbitrating; /* own system id */
	bool stopping;    /* goodbye(shutdown): give the legs up */
	bool frozen;      /* goodbye(restart): the dataplane stays as it is, nothing opens any more */
	bool abandoned;   /* the peer is silent for so long that LACP hosts have left its legs */
	bool unattended;  /* no session came about in time, and it is us who serve the hosts meanwhile */
};

struct leg {
	uint16_t id;
	enum speaker speaker;
	struct lacp lacp; /* SPEAKER_ENGINE */
	bool carrier;
	uint32_t speed;
	enum leg_phase phase;
	enum reason reason;
	struct msec since;
	struct msec leave_by;  /* LEG_LEAVING: closed then at the latest */
	struct msec retry_at;  /* a refusal keeps it closed until then */
	enum hold refused;     /* which hold that is: HOLD_DATAPLANE or HOLD_GRANT */
	uint32_t nonce;        /* of the last LegRequest */
	bool confirmed;        /* the peer has granted the leg in this session, and it has not closed since */
	bool confirming;       /* it is asked to, though the leg carries data already */
	struct leg_state told; /* the LegState last sent in this session */
	bool told_valid;

	/* The peer's leg. */
	bool peer_known;
	bool peer_told; /* in this session */
	struct leg_state peer;
	bool peer_open;      /* it may carry data: it said so, or we granted it */
	uint32_t peer_nonce; /* an unanswered LegRequest; 0 = none */
	bool isolated;       /* our dataplane: frames from the peer link do not leave by our leg */
	bool isolating;      /* asked for, not answered yet */
	bool unwitnessed; /* opens or opened beside a silent peer: isolated, in case that one does the same */
	struct msec isolate_retry_at;
};

/* Told when a leg starts or stops to carry data, or its carrier changes. Set by the domain. */
struct leg_watch {
	void (*changed)(struct leg_watch *w, struct step *s, const struct leg *leg);
};

struct mclags {
	size_t count;
	struct leg *legs; /* ascending by id */
	int64_t leave_ms;
	struct mac system, own_system;
	struct pair pair;
	struct leg_watch *watch;
	bool peer_legs_known; /* all LegStates of this session are here */
	bool peer_listed; /* were, in this session or one before: what was not among them, the peer has not */
	bool peer_link_open; /* the peer link may carry data, as last asked for */
	struct msec peer_link_retry_at;
	bool unsaved; /* what leg_resume_state() says has changed; the domain clears it */
};

void mclags_init(struct mclags *ms, const struct domain_config *config, struct leg_watch *watch);
void mclags_release(struct mclags *ms);
/* resume NULL = everything is closed. arbitrating: the former run spoke LACP under our own system id. */
void mclags_start(struct mclags *ms, struct step *s, const struct resume *resume, bool arbitrating);

void mclags_link(struct mclags *ms, struct step *s, const struct link_event *e);
void mclags_lacpdu(struct mclags *ms, struct step *s, uint16_t mclag, const struct lacpdu *pdu);
void mclags_done(struct mclags *ms, struct step *s, const struct done_event *e);
void mclags_pair(struct mclags *ms, struct step *s, const struct pair *pair);
void mclags_timer(struct mclags *ms, struct step *s);
struct msec mclags_deadline(const struct mclags *ms);

/* The session: tell all legs; forget what was asked; all of the peer's legs have been told. */
void mclags_session_start(struct mclags *ms, struct step *s);
void mclags_peer_complete(struct mclags *ms, struct step *s);
void mclags_peer_state(struct mclags *ms, struct step *s, const struct leg_state *state);
void mclags_peer_request(struct mclags *ms, struct step *s, const struct leg_handshake *h);
void mclags_peer_grant(struct mclags *ms, struct step *s, const struct leg_handshake *h);

/* Views. */
bool leg_carries(const struct leg *leg); /* its dataplane is open */
/* What keeps it closed, or, while it carries data, what closes it. In hold.c. */
hold_set leg_holds(const struct mclags *ms, const struct leg *leg, struct msec now);
bool mclags_carrying(const struct mclags *ms);
bool mclags_all_held(const struct mclags *ms);
void leg_resume_state(const struct leg *leg, struct leg_resume *r);

#endif
