/* SPDX-License-Identifier: ISC */
/*
 * core/lacp.c - the LACP machines of one port.
 *
 * Each entry point changes what it is about, then finish() lets the machines follow: mux, periodic, transmit.
 * A machine changes state only in its own X_enter(), which traces "cause -> decision". One PDU leaves per
 * entry at most, with everything that the entry has changed.
 *
 * Where we decide what 802.1AX leaves open, or differ from it:
 *
 * Selection (6.4.14). An aggregator has one port per leaf, so there is nothing to choose and nobody to wait
 * for: a port is SELECTED when its partner is known (LACP_DEFAULTED is clear), and the aggregate wait of two
 * seconds (wait_while) is left out. The gate takes its place: WAITING lasts until lacp_open(true).
 * An individual partner (hosts with one port in the bond say so: Open vSwitch, teamd) is selected too.
 *
 * Another partner, or another system id of ours, unselects. The machine stays DETACHED until the PDU that
 * says so has left; so a partner never sees synchronization carried over from a conversation that was not its
 * own.
 *
 * A lost carrier forgets the partner (6.4.12 keeps it, to notice a port that was moved): behind the cable may
 * be another host when it returns, and the all-zero partner in our first PDU makes every partner answer at
 * once.
 *
 * Mux (6.4.15) is the independent-control one. Collecting follows the partner's synchronization alone, never
 * its Collecting, and Distributing follows its Collecting. So it converges with coupled partners, which set
 * both bits together: Linux bonding when it sees our synchronization, Open vSwitch and teamd from the start.
 *
 * Transmit (6.4.16): "no more than three LACPDUs in any Fast_Periodic_Time". The three slots have ranks: talk
 * while out of sync uses one, a PDU in sync may use two, and the one that leaves synchronization may use all
 * three. A PDU in sync thus always leaves a slot for the one that takes it back, and no leave can follow
 * another without a PDU in sync between them: out-of-sync is never delayed, and the limit is never exceeded.
 * Every PDU restarts the periodic time, for the partner's timeout does not ask why a PDU was sent.
 *
 * Hearing. A partner may see carrier later than we do (Open vSwitch, bonding with miimon) and drop what we said before.
 * An announcement lost like that would be repeated a second later only, and until then the leg is open for a host
 * that does not use it. So a leg is ready when the partner has repeated what our PDUs since carrier came
 * say (their Expired and Defaulted are not those of the time before), or after one more periodic PDU,
 * for partners that do not repeat these bits.
 *
 * Leaving. Partners that never clear their own bits show that they have left by repeating our state. To hear
 * it at once and not with their next periodic PDU, a close also forgets the partner's synchronization: its
 * update_NTT (6.4.9) finds the difference and answers.
 */
#include "core/lacp.h"

#include <stdio.h>
#include <string.h>

TYPES_DEFINE(lacp_rx, LACP_RECEIVE_STATES, LACP_RX_COUNT)
TYPES_DEFINE(lacp_periodic, LACP_PERIODIC_STATES, LACP_PERIODIC_COUNT)
TYPES_DEFINE(lacp_mux, LACP_MUX_STATES, LACP_MUX_COUNT)

enum {
	SLOTS_OUT_OF_SYNC = 1,
	SLOTS_IN_SYNC = 2,
	SLOTS_LEAVING = LACP_TX_PER_FAST_PERIOD,
	PARTNER_TEXT_SIZE = 64,
};

static const struct msec long_ago = {INT64_MIN / 2};

static const uint8_t mux_bits[LACP_MUX_COUNT] = {
    [LACP_MUX_DETACHED] = 0,
    [LACP_MUX_WAITING] = 0,
    [LACP_MUX_ATTACHED] = LACP_SYNC,
    [LACP_MUX_COLLECTING] = LACP_SYNC | LACP_COLLECTING,
    [LACP_MUX_DISTRIBUTING] = LACP_SYNC | LACP_COLLECTING | LACP_DISTRIBUTING,
};

static char *partner_format(const struct lacp_info *p, char buf[static PARTNER_TEXT_SIZE])
{
	char mac[MAC_TEXT_SIZE];

	snprintf(buf, PARTNER_TEXT_SIZE, "%s key %u port %u", mac_format(p->system, mac), p->key, p->port);
	return buf;
}

/* Both describe the same end of the same link; of the state, only Aggregation counts (6.4.9). */
static bool same_end(const struct lacp_info *a, const struct lacp_info *b)
{
	return a->port == b->port && a->port_priority == b->port_priority && a->key == b->key &&
	       mac_equal(a->system, b->system) && a->system_priority == b->system_priority &&
	       ((a->state ^ b->state) & LACP_AGGREGATION) == 0;
}

bool lacp_known(const struct lacp *l)
{
	return !(l->actor.state & LACP_DEFAULTED);
}

/* LACP "will actively maintain the link" (6.4.9 recordPDU). */
static bool speaks(const struct lacp *l)
{
	return l->carrier && ((l->actor.state | l->partner.state) & LACP_ACTIVITY);
}

/* We are out of sync and the partner has not been told yet. */
static bool leaving(const struct lacp *l)
{
	return l->told_sync && !(l->actor.state & LACP_SYNC);
}

/* --- receive machine, 6.4.12 ------------------------------------------------------------------------ */

/* recordDefault: the administrative partner is all zero: passive, long timeout, out of sync. */
static void record_default(struct lacp *l, struct step *s, const char *cause)
{
	char text[PARTNER_TEXT_SIZE];

	if (lacp_known(l))
		step_trace(s, TRACE_LACP, TRACE_INFO, l->config.mclag, "%s -> partner %s is lost", cause,
			   partner_format(&l->partner, text));
	memset(&l->partner, 0, sizeof(l->partner));
	l->actor.state |= LACP_DEFAULTED;
	l->in_use = false;
}

static void rx_enter(struct lacp *l, struct step *s, enum lacp_rx to, const char *cause)
{
	if (l->rx != to)
		step_trace(s, TRACE_LACP, TRACE_DEBUG, l->config.mclag, "%s -> rx %s", cause,
			   lacp_rx_name(to));
	l->rx = to;
	l->actor.state &= (uint8_t)~LACP_EXPIRED;
	l->current_while = MSEC_NEVER;
	switch (to) {
	case LACP_RX_PORT_DISABLED:
	case LACP_RX_DEFAULTED:
		record_default(l, s, cause);
		break;
	case LACP_RX_EXPIRED:
		l->partner.state &= (uint8_t)~LACP_SYNC;
		l->partner.state |= LACP_TIMEOUT;
		l->actor.state |= LACP_EXPIRED;
		l->current_while = msec_after(s->now, LACP_SHORT_TIMEOUT_MS);
		break;
	case LACP_RX_CURRENT:
		l->current_while =
		    msec_after(s->now, l->config.fast ? LACP_SHORT_TIMEOUT_MS : LACP_LONG_TIMEOUT_MS);
		break;
	case LACP_RX_COUNT:
		break;
	}
}

static void rx_timer(struct lacp *l, struct step *s)
{
	switch (l->rx) {
	case LACP_RX_CURRENT:
		rx_enter(l, s, LACP_RX_EXPIRED, "no PDU within the timeout");
		break;
	case LACP_RX_EXPIRED:
		rx_enter(l, s, LACP_RX_DEFAULTED, "no PDU while expired");
		break;
	case LACP_RX_PORT_DISABLED:
	case LACP_RX_DEFAULTED:
	case LACP_RX_COUNT:
		break;
	}
}

/* --- mux machine, 6.4.15 ---------------------------------------------------------------------------- */

static void mux_enter(struct lacp *l, struct step *s, enum lacp_mux to, const char *cause)
{
	uint8_t before = l->actor.state;

	step_trace(s, TRACE_LACP, TRACE_DEBUG, l->config.mclag, "%s -> mux %s", cause, lacp_mux_name(to));
	l->mux = to;
	l->actor.state &= (uint8_t) ~(LACP_SYNC | LACP_COLLECTING | LACP_DISTRIBUTING);
	l->actor.state |= mux_bits[to];
	if (to == LACP_MUX_ATTACHED)
		l->in_use = true;
	/* The diagram sets NTT on entry to all states but DISTRIBUTING: nobody waits for that bit. */
	if ((before ^ l->actor.state) & (LACP_SYNC | LACP_COLLECTING))
		l->ntt = true;
}

/* The state that follows, or the present one. */
static enum lacp_mux mux_next(const struct lacp *l, const char **cause)
{
	bool sync = l->partner.state & LACP_SYNC;
	bool collecting = l->partner.state & LACP_COLLECTING;

	if (l->mux != LACP_MUX_DETACHED && !lacp_known(l))
		return *cause = "no partner", LACP_MUX_DETACHED;
	if (mux_bits[l->mux] && !l->open)
		return *cause = "the leg closes", LACP_MUX_WAITING;
	switch (l->mux) {
	case LACP_MUX_DETACHED:
		if (lacp_known(l) && !leaving(l))
			return *cause = "the partner is known", LACP_MUX_WAITING;
		break;
	case LACP_MUX_WAITING:
		if (l->open)
			return *cause = "the leg is open", LACP_MUX_ATTACHED;
		break;
	case LACP_MUX_ATTACHED:
		if (sync)
			return *cause = "the partner is in sync", LACP_MUX_COLLECTING;
		break;
	case LACP_MUX_COLLECTING:
		if (!sync)
			return *cause = "the partner is out of sync", LACP_MUX_ATTACHED;
		if (collecting)
			return *cause = "the partner collects", LACP_MUX_DISTRIBUTING;
		break;
	case LACP_MUX_DISTRIBUTING:
		if (!sync || !collecting)
			return *cause = "the partner no longer collects", LACP_MUX_COLLECTING;
		break;
	case LACP_MUX_COUNT:
		break;
	}
	return l->mux;
}

static void mux_run(struct lacp *l, struct step *s)
{
	const char *cause = NULL;
	enum lacp_mux to;

	while ((to = mux_next(l, &cause)) != l->mux)
		mux_enter(l, s, to, cause);
}

/* One of both ends is another one now: said in the next PDU, which is out of sync. */
static void unselect(struct lacp *l, struct step *s, const char *cause)
{
	l->ntt = true;
	if (l->mux != LACP_MUX_DETACHED)
		mux_enter(l, s, LACP_MUX_DETACHED, cause);
}

/* --- periodic machine, 6.4.13 ----------------------------------------------------------------------- */

static void periodic_restart(struct lacp *l, struct step *s)
{
	switch (l->periodic) {
	case LACP_PERIODIC_FAST:
		l->periodic_due = msec_after(s->now, LACP_FAST_PERIODIC_MS);
		break;
	case LACP_PERIODIC_SLOW:
		l->periodic_due = msec_after(s->now, LACP_SLOW_PERIODIC_MS);
		break;
	case LACP_PERIODIC_NONE:
	case LACP_PERIODIC_COUNT:
		l->periodic_due = MSEC_NEVER;
		break;
	}
}

static void periodic_enter(struct lacp *l, struct step *s, enum lacp_periodic to, const char *cause)
{
	step_trace(s, TRACE_LACP, TRACE_DEBUG, l->config.mclag, "%s -> periodic %s", cause,
		   lacp_periodic_name(to));
	/* Who has not heard us for up to 30 seconds, or at all, hears us now. */
	if (l->periodic == LACP_PERIODIC_NONE || to == LACP_PERIODIC_FAST)
		l->ntt = true;
	l->periodic = to;
	periodic_restart(l, s);
}

static void periodic_run(struct lacp *l, struct step *s)
{
	if (!speaks(l)) {
		if (l->periodic != LACP_PERIODIC_NONE)
			periodic_enter(l, s, LACP_PERIODIC_NONE, "nobody is active");
	} else if (l->partner.state & LACP_TIMEOUT) {
		if (l->periodic != LACP_PERIODIC_FAST)
			periodic_enter(l, s, LACP_PERIODIC_FAST, "the partner's timeout is short");
	} else if (l->periodic != LACP_PERIODIC_SLOW) {
		periodic_enter(l, s, LACP_PERIODIC_SLOW, "the partner's timeout is long");
	}
}

/* --- transmit, 6.4.16 ------------------------------------------------------------------------------- */

/* The moment from which the rate limit lets the next PDU go, by its rank. */
static struct msec tx_allowed(const struct lacp *l)
{
	int slots = leaving(l)                   ? SLOTS_LEAVING
		    : l->actor.state & LACP_SYNC ? SLOTS_IN_SYNC
						 : SLOTS_OUT_OF_SYNC;
	struct msec freed = msec_after(l->tx_times[slots - 1], LACP_FAST_PERIODIC_MS);

	/* Not before the PDU before, so that a deadline never lies in the past. */
	return freed.ms > l->tx_times[0].ms ? freed : l->tx_times[0];
}

/* Returns true if a PDU left. */
static bool transmit(struct lacp *l, struct step *s)
{
	struct action *a;

	/* "When in NO_PERIODIC, the Transmit machine shall set NTT to FALSE." */
	if (l->periodic == LACP_PERIODIC_NONE)
		l->ntt = false;
	if (l->ntt && !msec_reached(s->now, tx_allowed(l))) {
		if (!l->held) {
			l->held = true;
			l->counters.held_back++;
			step_trace(s, TRACE_LACP, TRACE_DEBUG, l->config.mclag,
				   "rate limit -> PDU held back");
		}
		return false;
	}
	l->held = false;
	if (!l->ntt)
		return false;
	a = step_action(s, ACTION_LACPDU);
	a->lacpdu.mclag = l->config.mclag;
	a->lacpdu.pdu = (struct lacpdu){.actor = l->actor, .partner = l->partner};
	memmove(&l->tx_times[1], &l->tx_times[0], sizeof(l->tx_times) - sizeof(l->tx_times[0]));
	l->tx_times[0] = s->now;
	l->announce_at = msec_after(l->tx_times[SLOTS_IN_SYNC - 1], LACP_FAST_PERIODIC_MS);
	if (msec_reached(s->now, l->announce_at))
		l->announce_at = MSEC_NEVER;
	l->ntt = false;
	l->told_sync = l->actor.state & LACP_SYNC;
	l->told_state = l->actor.state;
	l->told = true;
	l->counters.sent++;
	periodic_restart(l, s);
	return true;
}

/* Lets every machine follow what an entry point has changed. */
static void finish(struct lacp *l, struct step *s)
{
	mux_run(l, s);
	periodic_run(l, s);
	/* What DETACHED waited for has happened. Its next PDU leaves in the next call. */
	if (transmit(l, s))
		mux_run(l, s);
}

/* --- entry points ----------------------------------------------------------------------------------- */

void lacp_init(struct lacp *l, const struct lacp_config *config)
{
	*l = (struct lacp){
	    .config = *config,
	    .rx = LACP_RX_PORT_DISABLED,
	    .periodic = LACP_PERIODIC_NONE,
	    .mux = LACP_MUX_DETACHED,
	    .actor = {.system_priority = config->system_priority,
		      .system = config->system,
		      .key = config->key,
		      .port_priority = config->port_priority,
		      .port = config->port,
		      .state = LACP_AGGREGATION | LACP_DEFAULTED},
	    .current_while = MSEC_NEVER,
	    .periodic_due = MSEC_NEVER,
	    .announce_at = MSEC_NEVER,
	    .hearing_by = MSEC_NEVER,
	};
	if (config->active)
		l->actor.state |= LACP_ACTIVITY;
	if (config->fast)
		l->actor.state |= LACP_TIMEOUT;
	for (size_t i = 0; i < LACP_TX_PER_FAST_PERIOD; i++)
		l->tx_times[i] = long_ago;
}

/* A new conversation: does the partner hear us? */
static void ask_hearing(struct lacp *l, struct step *s)
{
	l->heard_us = false;
	l->told = false;
	l->hearing_by = msec_after(s->now, LACP_FAST_PERIODIC_MS + LACP_HEARING_MS);
}

static void believe_hearing(struct lacp *l)
{
	l->heard_us = true;
	l->hearing_by = MSEC_NEVER;
}

void lacp_resume(struct lacp *l, struct step *s, const struct lacp_info *partner, uint8_t actor_state)
{
	l->carrier = true;
	l->heard_us = true;
	l->open = actor_state & LACP_SYNC;
	if (actor_state & LACP_DEFAULTED) {
		rx_enter(l, s, LACP_RX_EXPIRED, "resumed without a partner");
	} else {
		l->partner = *partner;
		l->actor.state &= (uint8_t)~LACP_DEFAULTED;
		rx_enter(l, s, actor_state & LACP_EXPIRED ? LACP_RX_EXPIRED : LACP_RX_CURRENT, "resumed");
	}
	/* The partner's state leads the mux to where it was, and who begins to speak does so at once. */
	finish(l, s);
}

void lacp_carrier(struct lacp *l, struct step *s, bool up)
{
	if (l->carrier == up)
		return;
	l->carrier = up;
	if (up) {
		ask_hearing(l, s);
		rx_enter(l, s, LACP_RX_EXPIRED, "carrier");
	} else {
		l->hearing_by = MSEC_NEVER;
		rx_enter(l, s, LACP_RX_PORT_DISABLED, "carrier lost");
	}
	finish(l, s);
}

/* update_Selected and recordPDU, 6.4.9. */
static void record_pdu(struct lacp *l, struct step *s, const struct lacpdu *pdu)
{
	bool about_us = same_end(&pdu->partner, &l->actor);
	bool individual = !(pdu->actor.state & LACP_AGGREGATION);
	bool maintained = (pdu->actor.state | (l->actor.state & pdu->partner.state)) & LACP_ACTIVITY;
	char text[PARTNER_TEXT_SIZE];

	if (!lacp_known(l) || !same_end(&pdu->actor, &l->partner)) {
		step_trace(s, TRACE_LACP, TRACE_INFO, l->config.mclag, "PDU from %s -> %s partner",
			   partner_format(&pdu->actor, text), lacp_known(l) ? "another" : "a");
		unselect(l, s, "another partner");
	}
	if (about_us && l->told && !((pdu->partner.state ^ l->told_state) & (LACP_DEFAULTED | LACP_EXPIRED)))
		believe_hearing(l);
	l->partner = pdu->actor;
	l->actor.state &= (uint8_t)~LACP_DEFAULTED;
	if (!maintained || (!about_us && !individual))
		l->partner.state &= (uint8_t)~LACP_SYNC;
	if (!(l->actor.state & LACP_SYNC) && (!(pdu->actor.state & (LACP_COLLECTING | LACP_DISTRIBUTING)) ||
					      (about_us && !(pdu->partner.state & LACP_SYNC))))
		l->in_use = false;
}

void lacp_receive(struct lacp *l, struct step *s, const struct lacpdu *pdu)
{
	l->counters.received++;
	if (l->rx == LACP_RX_PORT_DISABLED)
		return;
	/* Also the other leaf's ports, which carry the same system id: the pair is no partner of itself. */
	if (mac_equal(pdu->actor.system, l->actor.system)) {
		step_trace(s, TRACE_LACP, l->counters.own++ ? TRACE_DEBUG : TRACE_WARN, l->config.mclag,
			   "PDU with our own system id from port %u: a loop? -> ignored", pdu->actor.port);
		return;
	}
	/* update_NTT, 6.4.9: the partner has us wrong. */
	if (!same_end(&pdu->partner, &l->actor) ||
	    ((pdu->partner.state ^ l->actor.state) & (LACP_ACTIVITY | LACP_TIMEOUT | LACP_SYNC)))
		l->ntt = true;
	record_pdu(l, s, pdu);
	rx_enter(l, s, LACP_RX_CURRENT, "PDU received");
	finish(l, s);
}

void lacp_open(struct lacp *l, struct step *s, bool open)
{
	if (l->open == open)
		return;
	l->open = open;
	if (!open && (l->actor.state & LACP_SYNC))
		l->partner.state &= (uint8_t)~LACP_SYNC; /* makes it answer, see "Leaving" above */
	finish(l, s);
}

void lacp_set_system(struct lacp *l, struct step *s, struct mac system)
{
	if (mac_equal(l->actor.system, system))
		return;
	l->config.system = system;
	l->actor.system = system;
	l->partner.state &= (uint8_t)~LACP_SYNC; /* it was in sync with someone else */
	ask_hearing(l, s);
	unselect(l, s, "our system id changed");
	finish(l, s);
}

void lacp_timer(struct lacp *l, struct step *s)
{
	if (msec_reached(s->now, l->current_while))
		rx_timer(l, s);
	if (msec_reached(s->now, l->periodic_due)) {
		l->ntt = true;
		periodic_restart(l, s);
	}
	if (msec_reached(s->now, l->announce_at))
		l->announce_at = MSEC_NEVER;
	if (msec_reached(s->now, l->hearing_by))
		believe_hearing(l);
	finish(l, s);
}

struct msec lacp_deadline(const struct lacp *l)
{
	struct msec due =
	    msec_min(msec_min(l->current_while, l->periodic_due), msec_min(l->announce_at, l->hearing_by));

	return l->ntt ? msec_min(due, tx_allowed(l)) : due;
}

bool lacp_ready(const struct lacp *l)
{
	return l->rx == LACP_RX_CURRENT && speaks(l) &&
	       (l->open || (l->heard_us && msec_is_never(l->announce_at)));
}

bool lacp_partner_left(const struct lacp *l)
{
	return l->rx != LACP_RX_CURRENT || !l->in_use;
}
