/* SPDX-License-Identifier: ISC */
/*
 * The loop of design.md section 3, with the queue in place of libevent.
 */
#include "sim/invariants.h"

#include <stdlib.h>
#include <string.h>

#define CLOCK_START_MS 1000     /* node 1's monotonic clock at the start of the run ... */
#define CLOCK_APART_MS 86400000 /* ... and how far node 2's is ahead */
#define EXIT_POLL      (10 * SIM_MS)
#define STOP_WITHIN    (10 * (int64_t)SIM_SECOND)
#define STUCK_AT_MOST  1000 /* timers without time passing */

void node_init(struct sim *s, int leaf)
{
	struct node *n = &s->nodes[leaf];

	n->offset_ms = CLOCK_START_MS + leaf * (int64_t)CLOCK_APART_MS;
	n->config = s->config.pair;
	n->config.node = (uint8_t)(leaf + 1);
	n->config.priority = s->config.priority[leaf];
	n->config.own_system = mac_from_u64(0x020000020000 + (uint64_t)leaf);
	n->config.via = sim_mac(s->mac_count + (uint32_t)leaf);
	n->config.mclags = s->config.legs;
	n->config.mclag_count = s->config.leg_count;
	n->armed = INT64_MAX;
}

void node_release(struct sim *s, int leaf)
{
	domain_destroy(s->nodes[leaf].domain);
	step_release(&s->nodes[leaf].step);
}

struct msec node_clock(const struct sim *s, int leaf)
{
	return (struct msec){s->queue.now / SIM_MS + s->nodes[leaf].offset_ms};
}

/* 8: no deadline lies in the past; and a deadline that is due is used, or it would come for ever. */
static void arm(struct sim *s, int leaf)
{
	struct node *n = &s->nodes[leaf];
	struct msec due = domain_deadline(n->domain), now = node_clock(s, leaf);

	if (due.ms < now.ms) {
		sim_fail(s, "8: node %d has a deadline %lld ms in the past", leaf + 1,
			 (long long)(now.ms - due.ms));
		return;
	}
	if (msec_is_never(due))
		return;
	int64_t at = (due.ms - n->offset_ms) * SIM_MS;
	at = at > s->queue.now ? at : s->queue.now;
	if (at >= n->armed)
		return; /* the one under way looks again */
	n->armed = at;
	queue_put(&s->queue, at, &(struct happening){.kind = HAPPEN_TIMER, .leaf = leaf, .stamp = n->run});
}

static void save(struct node *n)
{
	n->saved = true;
	domain_resume_state(n->domain, &n->resume, n->legs);
}

static void lacpdu(struct sim *s, int leaf, const struct action *a)
{
	int port = switch_index(s, leaf, (struct place){.kind = PLACE_LEG, .mclag = a->lacpdu.mclag});
	uint8_t bytes[LACPDU_SIZE];
	struct lacpdu pdu;

	lacpdu_encode(&a->lacpdu.pdu, bytes);
	if (port < 0 || lacpdu_decode(bytes, sizeof bytes, &pdu) != LACPDU_OK) {
		sim_fail(s, "node %d sends what is no LACPDU on mclag %u", leaf + 1, a->lacpdu.mclag);
		return;
	}
	sim_mix(s, bytes, sizeof bytes);
	if (!s->switches[leaf].ports[port].carrier || dice_chance(&s->dice, s->config.pdu_loss))
		return;
	queue_put(
	    &s->queue, sim_pdu_arrival(s, leaf, port - 1, true),
	    &(struct happening){.kind = HAPPEN_PDU_AT_HOST, .leaf = leaf, .index = port - 1, .pdu = pdu});
}

static void perform(struct sim *s, int leaf, const struct action *a)
{
	switch (a->kind) {
	case ACTION_SEND:
		network_send(s, leaf, &a->message);
		return;
	case ACTION_USE_PATH:
		network_use(s, leaf, a->path);
		return;
	case ACTION_ACCEPT:
		network_accept(s, leaf);
		return;
	case ACTION_CLOSE:
		network_close(s, leaf, a->reason);
		return;
	case ACTION_PROBE:
		network_probe(s, leaf, a->path);
		return;
	case ACTION_BEACON:
		s->nodes[leaf].beacon = a->beacon;
		return;
	case ACTION_LACPDU:
		lacpdu(s, leaf, a);
		return;
	case ACTION_FORWARD:
	case ACTION_ISOLATE:
	case ACTION_PROGRAM:
	case ACTION_UNPROGRAM:
		switch_perform(s, leaf, a);
		return;
	case ACTION_SAVE:
		save(&s->nodes[leaf]);
		return;
	case ACTION_STOPPED:
		s->nodes[leaf].stopped = true;
		return;
	case ACTION_KIND_COUNT:
		break;
	}
	abort();
}

/* --- the seam, for the reader of a failed run ------------------------------------------------------- */

static const char *place_text(struct place p, char text[static 24])
{
	int number = p.kind == PLACE_LEG ? p.mclag : p.kind == PLACE_ORPHAN ? p.port : 0;

	snprintf(text, 24, "%s %d", place_kind_name(p.kind), number);
	return text;
}

static void show_event(const struct sim *s, int leaf, const struct event *e)
{
	char place[24], mac[MAC_TEXT_SIZE];

	if (e->kind == EVENT_HEARD || e->kind == EVENT_TIMER || e->kind == EVENT_ROOM)
		return;
	fprintf(s->config.out, "%4lld.%06lld %d <- %s", (long long)(s->queue.now / SIM_SECOND),
		(long long)(s->queue.now % SIM_SECOND), leaf + 1, event_kind_name(e->kind));
	if (e->kind == EVENT_MESSAGE)
		fprintf(s->config.out, " %s", message_kind_name(e->message->kind));
	if (e->kind == EVENT_ENTRY)
		fprintf(s->config.out, " %s %s %s", mac_format(e->entry.mac, mac),
			place_text(e->entry.place, place), sighting_name(e->entry.sighting));
	if (e->kind == EVENT_DONE)
		fprintf(s->config.out, " %s %s %s%s", place_text(e->done.port, place),
			e->done.isolate ? "isolated" : "forwarding", e->done.on ? "on" : "off",
			e->done.ok ? "" : " refused");
	fputc('\n', s->config.out);
}

static void show_action(const struct sim *s, const struct action *a)
{
	char place[24], mac[MAC_TEXT_SIZE];

	fprintf(s->config.out, "              -> %s", action_kind_name(a->kind));
	if (a->kind == ACTION_SEND)
		fprintf(s->config.out, " %s", message_kind_name(a->message.kind));
	if (a->kind == ACTION_FORWARD || a->kind == ACTION_ISOLATE)
		fprintf(s->config.out, " %s %s", place_text(a->gate.port, place), a->gate.on ? "on" : "off");
	if (a->kind == ACTION_PROGRAM || a->kind == ACTION_UNPROGRAM)
		fprintf(s->config.out, " %s %s%s", mac_format(a->program.mac, mac),
			place_text(a->program.place, place), a->program.active ? " active" : "");
	fputc('\n', s->config.out);
}

/* --- the loop --------------------------------------------------------------------------------------- */

void node_event(struct sim *s, int leaf, const struct event *e)
{
	struct node *n = &s->nodes[leaf];

	if (!n->alive || s->failed)
		return;
	n->steps++;
	if (s->config.detail)
		show_event(s, leaf, e);
	n->step.now = node_clock(s, leaf);
	domain_step(n->domain, &n->step, e);
	for (size_t i = 0; i < n->step.trace_count; i++) {
		const struct trace *t = &n->step.traces[i];
		struct sim_line line = {
		    .at = s->queue.now, .leaf = leaf, .room = t->room, .level = t->level, .mclag = t->mclag};
		memcpy(line.text, t->text, sizeof line.text);
		sim_line(s, &line);
	}
	for (size_t i = 0; i < n->step.action_count && !s->failed; i++) {
		if (s->config.detail)
			show_action(s, &n->step.actions[i]);
		invariants_action(s, leaf, &n->step.actions[i]);
		sim_mix(s, &n->step.actions[i].kind, sizeof n->step.actions[i].kind);
		perform(s, leaf, &n->step.actions[i]);
	}
	step_clear(&n->step);
	if (!s->failed)
		arm(s, leaf);
	if (!s->failed)
		invariants_step(s, leaf);
}

void node_timer(struct sim *s, const struct happening *h)
{
	struct node *n = &s->nodes[h->leaf];

	if (!n->alive || h->stamp != n->run)
		return;
	n->armed = INT64_MAX;
	if (!msec_reached(node_clock(s, h->leaf), domain_deadline(n->domain))) {
		arm(s, h->leaf);
		return;
	}
	n->stuck = n->stuck_at == s->queue.now ? n->stuck + 1 : 0;
	n->stuck_at = s->queue.now;
	if (n->stuck > STUCK_AT_MOST) {
		sim_fail(s, "8: node %d's deadline does not move on", h->leaf + 1);
		return;
	}
	node_event(s, h->leaf, &(struct event){.kind = EVENT_TIMER});
}

/* As mclagd/resume.c: what was saved counts as far as the dataplane says the same, and isolation is what it
 * is.
 */
static void confirm(struct sim *s, int leaf)
{
	const struct fake_switch *w = &s->switches[leaf];
	struct node *n = &s->nodes[leaf];

	for (size_t i = 0; i < n->resume.leg_count; i++) {
		n->legs[i].forwarding = n->legs[i].forwarding && w->ports[1 + i].forwarding;
		n->legs[i].isolated = w->ports[1 + i].isolated;
	}
	n->resume.peer_link_open = n->resume.peer_link_open && w->ports[SIM_PEER_LINK].forwarding;
}

void node_start(struct sim *s, int leaf)
{
	struct node *n = &s->nodes[leaf];

	if (n->alive || !s->switches[leaf].powered)
		return;
	n->run++;
	n->stop_reason = REASON_NONE;
	n->booting = false;
	n->alive = true;
	n->stopping = n->stopped = n->start_again = false;
	n->armed = INT64_MAX;
	n->stuck_at = -1;
	n->config.boot_id = dice_roll(&s->dice) | 1;
	n->beacon = (struct beacon){.domain = n->config.domain};
	if (n->saved)
		n->resume.legs = n->legs;
	if (n->saved)
		confirm(s, leaf);
	else
		switch_fail_closed(s, leaf);
	n->domain = domain_create(&n->config, n->saved ? &n->resume : NULL);
	sim_note(s, "node %d starts%s", leaf + 1, n->saved ? " and resumes" : "");
	network_daemon_up(s, leaf);
	node_event(s, leaf, &(struct event){.kind = EVENT_START});
	switch_tell_all(s, leaf);
}

static void die(struct sim *s, int leaf, bool told)
{
	struct node *n = &s->nodes[leaf];

	n->alive = false;
	n->stopping = false;
	domain_destroy(n->domain);
	n->domain = NULL;
	network_daemon_down(s, leaf, told);
}

void node_kill(struct sim *s, int leaf)
{
	if (s->nodes[leaf].alive)
		die(s, leaf, s->switches[leaf].powered);
}

void node_stop(struct sim *s, int leaf, enum reason reason)
{
	struct node *n = &s->nodes[leaf];

	if (!n->alive || n->stopping)
		return;
	n->stopping = true;
	n->stop_asked = s->queue.now;
	n->stop_reason = reason;
	node_event(s, leaf, &(struct event){.kind = EVENT_STOP, .reason = reason});
	queue_put(&s->queue, s->queue.now + EXIT_POLL,
		  &(struct happening){.kind = HAPPEN_EXIT, .leaf = leaf, .stamp = n->run});
}

/* After a shutdown nothing is to be resumed; after a restart everything is. */
void node_exit(struct sim *s, const struct happening *h)
{
	struct node *n = &s->nodes[h->leaf];

	if (!n->alive || h->stamp != n->run)
		return;
	bool shutdown = n->stop_reason == REASON_SHUTDOWN;
	bool done = n->stopped && s->network.session[h->leaf] == NULL;
	if (!done && s->queue.now - n->stop_asked > STOP_WITHIN) {
		sim_fail(s, "node %d was told to stop and does not end", h->leaf + 1);
		return;
	}
	if (!done) {
		queue_put(&s->queue, s->queue.now + EXIT_POLL, h);
		return;
	}
	if (shutdown)
		n->saved = false;
	sim_note(s, "node %d ends", h->leaf + 1);
	die(s, h->leaf, true);
	if (n->start_again)
		node_start(s, h->leaf);
}
