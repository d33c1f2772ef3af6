/* SPDX-License-Identifier: ISC */
/*
 * core/whatif.h - what would happen if one thing failed now? Answered by the rules themselves: a copy of the
 * domain is told of the failure and stepped forward in virtual time, beside a peer and hosts that go on as
 * they are.
 *
 * What this leaf would do is what the core does. What the peer would do is a forecast by rule from what it
 * told last, for its state is not here. The answer says which assumptions were made.
 *
 * The domain that is passed in is used up: the caller owns a copy that nobody else sees (mclagd/fork.h).
 */
#ifndef CORE_WHATIF_H
#define CORE_WHATIF_H

#include "core/domain.h"

#define QUESTIONS(X)                                                                                         \
	X(QUESTION_LEG_DOWN, "leg-down", "this leaf's leg of one mclag loses its carrier")                   \
	X(QUESTION_PEER_LINK_DOWN, "peer-link-down", "the peer link is cut: both leaves lose its carrier")   \
	X(QUESTION_BACKUP_DOWN, "backup-down", "every backup path falls silent")                             \
	X(QUESTION_PEER_DEAD, "peer-dead", "the peer loses its power")                                       \
	X(QUESTION_SELF_DOWN, "self-down", "this leaf loses its power")
TYPES_DECLARE(question, QUESTIONS, QUESTION_COUNT)

/* How frames from the leaf that answers (self-down: afterwards from the peer) reach the owner of an entry. */
#define WAYS(X)                                                                                              \
	X(WAY_LEG, "leg", "by the leaf's own leg")                                                           \
	X(WAY_ORPHAN, "orphan", "by a port of the leaf that is no leg")                                      \
	X(WAY_PEER_LINK, "peer_link", "over the peer link")                                                  \
	X(WAY_NONE, "none", "not at all")
TYPES_DECLARE(way, WAYS, WAY_COUNT)

/* Why an outage takes as long as it does. */
#define OUTAGES(X)                                                                                           \
	X(OUTAGE_NONE, "none", "a leg that served before serves on")                                         \
	X(OUTAGE_UNSERVED, "unserved", "no leg is known to forward now")                                     \
	X(OUTAGE_HOST, "host", "the host sees the lost carrier; nothing has to be decided")                  \
	X(OUTAGE_MESSAGE, "message", "lost carrier is told at once; the other leaf hears of it")             \
	X(OUTAGE_ORDER, "order", "out of sync first, closed when the host has left or leave time passed")    \
	X(OUTAGE_DETECTION, "detection", "silence lasts keepalive x multiplier before a leg may open")       \
	X(OUTAGE_REOPEN, "reopen", "the leg closes and opens again on proof")                                \
	X(OUTAGE_CUT, "cut", "no leg is left that forwards")
TYPES_DECLARE(outage_kind, OUTAGES, OUTAGE_KIND_COUNT)

#define ASSUMPTIONS(X)                                                                                       \
	X(ASSUME_COPY, "copy", "this leaf: computed by its own rules, on a copy of its state")               \
	X(ASSUME_PEER_RULE, "peer_rule",                                                                     \
	  "the peer's legs: forecast by rule, from what it told last and this leaf's settings")              \
	X(ASSUME_ANSWERS, "answers", "the peer and the hosts go on as now and answer at once")               \
	X(ASSUME_MIRROR, "mirror", "the peer sees the same evidence of this leaf as this leaf of it")        \
	X(ASSUME_HARDWARE, "hardware", "the time until a lost carrier is noticed comes on top")              \
	X(ASSUME_CHOICE, "choice", "system ids differ after a split: a host stays where it is served")       \
	X(ASSUME_UNSETTLED, "unsettled", "the pair is not settled now: its next moves are part of this")     \
	X(ASSUME_PEER_UNHEARD, "peer_unheard", "the peer is not heard: its legs are not counted on")
TYPES_DECLARE(assumption, ASSUMPTIONS, ASSUMPTION_COUNT)

#define WHATIF_BEFORE  0
#define WHATIF_AFTER   1
#define WHATIF_CUT_MAX 32 /* orphans named in an answer; all are counted */

struct whatif_ask {
	enum question question;
	uint16_t mclag; /* QUESTION_LEG_DOWN */
	int64_t rtt_ms; /* of a message to the peer and back; -1 = not known */
};

/* The leaf that answers; for self-down, afterwards the peer. */
struct whatif_pair {
	enum verdict verdict;
	enum role role;
	enum session_state session;
	int session_path;
	bool peer_link; /* carries data */
	bool arbitrating;
};

struct whatif_leg {
	bool known; /* false: its leaf is dead, or not heard */
	enum leg_phase phase;
	hold_set holds;
};

struct outage {
	enum outage_kind kind;
	int64_t min_ms, max_ms; /* max -1 = it does not end by itself */
};

struct whatif_mclag {
	uint16_t id;
	bool single; /* only one leaf has carrier to the host */
	struct whatif_leg here[2], peer[2];
	uint32_t entries;
	struct outage outage;
};

struct whatif_orphan {
	struct mac mac;
	uint16_t vlan;
	bool here; /* hangs on this leaf, else on the peer */
};

struct whatif_answer {
	struct whatif_ask ask;
	struct whatif_pair pair[2];
	size_t mclag_count;
	struct whatif_mclag *mclags;         /* ascending by id */
	uint32_t ways[WAY_COUNT][WAY_COUNT]; /* entries, by the way before and after */
	uint32_t rewritten;                  /* writes to this leaf's switch */
	uint32_t orphans_cut;
	struct whatif_orphan cut[WHATIF_CUT_MAX]; /* the first of them */
	struct outage outage;                     /* the worst of all mclags */
	int64_t virtual_ms;                       /* looked ahead */
	uint32_t assumptions;                     /* one bit per enum assumption */
};

bool whatif_carries(const struct whatif_leg *leg);
/* now: not before the last step's. Fills *a, which is given to whatif_release(). 0, or -ENOENT: this leaf has
 * no such mclag; *a is untouched then, and so is the domain. */
int whatif_ask(struct domain *copy, struct msec now, const struct whatif_ask *ask, struct whatif_answer *a);
void whatif_release(struct whatif_answer *a);

#endif
