/* SPDX-License-Identifier: ISC */
/*
 * core/domain_state.h - what a domain consists of. For domain.c (which changes it), view.c and whatif.c
 * (which read it) only.
 */
#ifndef CORE_DOMAIN_STATE_H
#define CORE_DOMAIN_STATE_H

#include "core/domain.h"
#include "core/liveness.h"
#include "core/mclag.h"
#include "core/replica.h"
#include "core/session.h"

struct domain {
	struct domain_config config; /* config.mclags: owned copy */
	struct mclag_config *mclags;
	struct resume resume; /* owned copy; legs NULL = a fresh boot */
	bool started;
	struct msec now; /* of the last step */
	struct liveness liveness;
	struct session session;
	struct mclags legs;
	struct replica macs;
	struct leg_watch watch; /* legs tell macs through this */

	enum role role;
	struct msec role_since;
	enum reason role_reason;
	uint64_t epoch;
	bool arbitrating;
	struct msec late_at; /* the ceiling timer: tables are no longer waited for */
	bool late;
	struct msec abandoned_at; /* a silent peer\'s hosts have left it by then */
	bool abandoned;
	enum reason stopping; /* REASON_NONE, or the goodbye being said */
	struct msec stop_by;
	bool stopped;
	size_t room;             /* of the session's transport */
	struct beacon beacon;    /* as last told */
	struct msec complain_at; /* the next complaint about the peer's configuration is due then */
};

#endif
