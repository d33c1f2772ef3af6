/* SPDX-License-Identifier: ISC */
/*
 * core/domain.h - the pair as one leaf sees it: routes each event to the machines, and answers questions.
 *
 * domain_step() is the only way in. domain_deadline() is the minimum of all timestamps in the machines; the
 * shell owns one timer for it. Everything else here reads.
 */
#ifndef CORE_DOMAIN_H
#define CORE_DOMAIN_H

#include "core/step.h"

#define MCLAG_NAME_SIZE 16
#define MCLAG_MAX_COUNT 512

struct mclag_config {
	uint16_t id;
	enum speaker speaker;
	bool active, fast; /* engine: LACP activity, short timeout */
	uint16_t port_priority;
};

struct domain_config {
	uint16_t domain;
	uint8_t node;      /* 1 or 2 */
	uint64_t boot_id;  /* random per start; seeds hash tables too */
	uint16_t priority; /* lower wins */
	struct mac system; /* the pair's LACP system id */
	uint16_t system_priority;
	struct mac own_system; /* this leaf's own, used in on-split: arbitrate only */
	struct mac via;        /* our interface on the peer link, told to the peer; zero = none */
	size_t path_count;     /* 1..PATH_MAX_COUNT; path 0 is the peer link */
	int64_t keepalive_ms;  /* interval */
	int64_t multiplier;    /* losses that mean a path is dead */
	int64_t session_timeout_ms;
	int64_t alone_ms; /* 0 = never open alone */
	int64_t ceiling_ms;
	int64_t grace_ms;  /* a restarting peer's entries and role are kept so long */
	int64_t ageing_ms; /* the switch's ageing time */
	int64_t leave_ms;  /* a host gets so long to leave an out-of-sync leg */
	enum split_policy on_split;
	uint32_t entry_limit; /* macs the peer may make us hold */
	size_t mclag_count;
	const struct mclag_config *mclags; /* copied; ascending by id */
};

/* Fills in the defaults of behaviour.md section 0; the caller sets the rest. */
void domain_config_defaults(struct domain_config *c);

/* What survives a restart of the daemon while the dataplane lives on. */
struct leg_resume {
	uint16_t mclag;
	bool forwarding;
	bool isolated;       /* towards our leg */
	uint8_t actor_state; /* LACP as last announced; 0 = no conversation */
	struct lacp_info partner;
};

struct resume {
	enum verdict verdict; /* about the peer */
	enum role role;
	uint64_t epoch;
	bool peer_link_open;
	size_t leg_count;
	struct leg_resume *legs;
};

struct domain;

/* resume NULL = a fresh boot: everything is closed. Never NULL. */
struct domain *domain_create(const struct domain_config *config, const struct resume *resume);
void domain_destroy(struct domain *d);
void domain_step(struct domain *d, struct step *s, const struct event *e);
/* When EVENT_TIMER is due. Never before the last step's now; equal to it = there is work left. */
struct msec domain_deadline(const struct domain *d);

/* --- views ------------------------------------------------------------------------------------------ */

struct path_view {
	bool ever, up, hears_us;
	struct msec heard; /* last, meaningless unless ever */
	struct msec changed;
};

struct table_view {
	uint32_t local, peer, programmed; /* entries seen here, told by the peer, in the switch by us */
	uint32_t total;
	uint64_t sent_digest;     /* of what we have told the peer */
	uint64_t received_digest; /* of what the peer has told us */
	uint32_t sent_count, received_count;
	uint32_t queued;  /* changes not yet told */
	bool peer_synced; /* the peer has acknowledged our snapshot */
	bool synced;      /* we hold the peer's snapshot */
	uint64_t repairs, moves;
	uint64_t refused; /* told by the peer, over the limit or impossible */
	uint64_t failed;  /* writes that the switch refused; tried again */
	bool failing;     /* some are waiting to be tried again */
	bool overflowed;  /* the peer's snapshot did not fit: some of its entries are not held */
};

struct domain_view {
	enum verdict verdict;
	struct msec verdict_since;
	enum role role;
	struct msec role_since;
	enum reason role_reason;
	uint64_t epoch;
	enum session_state session;
	struct msec session_since;
	enum reason session_reason; /* why it was last down */
	int session_path;
	bool peer_known; /* the fields of hello below are what the peer said last */
	struct hello peer;
	bool peer_link_carrier;
	bool peer_link_open; /* for data */
	bool arbitrating;    /* own system id in use */
	bool stopping;
	size_t path_count;
	struct path_view paths[PATH_MAX_COUNT];
	struct table_view macs;
	size_t mclag_count;
	uint64_t messages_in[MESSAGE_KIND_COUNT], messages_out[MESSAGE_KIND_COUNT];
	uint64_t violations;
};

struct leg_view {
	uint16_t id;
	enum leg_phase phase;
	hold_set holds;
	struct msec since; /* of the phase */
	enum reason reason;
	bool carrier;
	uint32_t speed;
	bool isolated; /* in our dataplane */
	enum speaker speaker;
	/* Engine only: the machines' states by name and both ends. */
	const char *lacp_rx, *lacp_mux;
	struct lacp_info actor, partner;
	uint64_t pdus_in, pdus_out;
	bool peer_known;
	struct leg_state peer;
};

struct mac_view {
	struct mac mac;
	uint16_t vlan;
	struct place place;      /* where the owner is, seen from here */
	struct place programmed; /* what we have put into the switch; PLACE_NONE = nothing */
	bool local, peer;        /* the two flags */
	bool fixed;
	uint32_t moves;
};

void domain_view(const struct domain *d, struct domain_view *v);
/* index < mclag_count, ascending by id. */
void domain_leg_view(const struct domain *d, size_t index, struct leg_view *v);
/* Walks the MAC table: start with *cursor 0; false at the end. Do not step in between. */
bool domain_mac_next(const struct domain *d, size_t *cursor, struct mac_view *v);
/* For ACTION_SAVE. legs: caller's array of at least mclag_count; r->legs is set to it. */
void domain_resume_state(const struct domain *d, struct resume *r, struct leg_resume *legs);

#endif
