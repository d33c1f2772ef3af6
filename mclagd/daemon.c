/* SPDX-License-Identifier: ISC */
/*
 * The loop of the design: a callback builds an event -> run() -> domain_step() -> the actions in order -> one
 * timer.
 *
 * run() is the only caller of domain_step(). Performing an action may raise events (a gate's answer, a
 * refused entry); they are queued and stepped after the actions of the step that caused them, so nothing
 * recurses, and all of them see the same moment: the clock is read once per wake-up.
 *
 * That clock is CLOCK_MONOTONIC, not CLOCK_BOOTTIME, which also counts while the machine sleeps (a virtual
 * leaf that is paused or migrated): after such a sleep BOOTTIME would let every timeout pass at once, and the
 * silence of a peer that we could not have heard would count as its death. It is libevent's clock too, so
 * deadlines and timers agree.
 *
 * Priorities: keepalives, links, LACPDUs and due deadlines first, then the session and the control socket,
 * then tables. A deadline that is due already when the step ends means "there is work left", and waits behind
 * everything else.
 */
#include "mclagd/daemon_state.h"

#include "mclagd/words.h"
#include "proto/message.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define KEEP_MS 100 /* between two files of the legs */

/* When we stop: the last word leaves on every path once per tick, and the session has a second to empty. */
#define LEAVE_TICK_MS 20
#define LEAVE_WORDS   3
#define LEAVE_TICKS   50

#define DAEMON_OF(pointer, member)                                                                           \
	((struct daemon *)(void *)((char *)(pointer)-offsetof(struct daemon, member)))

static struct msec clock_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (struct msec){(int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000};
}

static int64_t wall_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* --- the queue --------------------------------------------------------------------------------------- */

static void queue_put(struct queue *q, const struct event *e)
{
	if (q->count == q->room) {
		size_t room = q->room ? 2 * q->room : 64;
		struct event *events = calloc(room, sizeof(*events));
		if (!events)
			abort();
		for (size_t i = 0; i < q->count; i++)
			events[i] = q->events[(q->head + i) % q->room];
		free(q->events);
		*q = (struct queue){.events = events, .room = room, .count = q->count};
	}
	q->events[(q->head + q->count++) % q->room] = *e;
}

static bool queue_take(struct queue *q, struct event *e)
{
	if (q->count == 0)
		return false;
	*e = q->events[q->head];
	q->head = (q->head + 1) % q->room;
	q->count--;
	return true;
}

/* --- actions ----------------------------------------------------------------------------------------- */

/* A frame that does not fit even past the high mark: the peer does not read, and must not miss a message. */
static void send_message(struct daemon *d, const struct message *m)
{
	uint8_t *bytes;
	size_t size;
	message_encode(m, &bytes, &size);
	int room = peerlink_send(d->peerlink, bytes, size);
	free(bytes);
	if (room < 0 && room != -ENOTCONN)
		peerlink_close(d->peerlink, "the peer does not read what it is sent");
	d->sent = true;
}

static void set_beacon(struct daemon *d, const struct beacon *b)
{
	uint8_t bytes[BEACON_LIMIT];
	keepalive_set_payload(d->keepalive, bytes, beacon_encode(b, bytes));
	keepalive_send_now(d->keepalive);
}

/* The goodbye is queued; now it has to leave: over the session, and, since any of them may be lost, several
 * times on every path, with what the core says last. Nobody is dialled any more. */
static void leave(struct daemon *d)
{
	d->leaving = true;
	peerlink_use(d->peerlink, PATH_NONE);
	d->save = true; /* what still waits */
	loop_timer_set(d->leave, LEAVE_TICK_MS);
}

static void perform(struct daemon *d, const struct action *a)
{
	switch (a->kind) {
	case ACTION_SEND:
		send_message(d, &a->message);
		return;
	case ACTION_USE_PATH:
		peerlink_use(d->peerlink, a->path);
		return;
	case ACTION_ACCEPT:
		peerlink_accept(d->peerlink);
		return;
	case ACTION_CLOSE:
		peerlink_close(d->peerlink, reason_name(a->reason));
		return;
	case ACTION_STOPPED:
		leave(d);
		return;
	case ACTION_PROBE:
		keepalive_probe(d->keepalive, a->path);
		return;
	case ACTION_BEACON:
		set_beacon(d, &a->beacon);
		return;
	case ACTION_SAVE:
		d->save = true;
		return;
	case ACTION_LACPDU:
	case ACTION_FORWARD:
	case ACTION_ISOLATE:
	case ACTION_PROGRAM:
	case ACTION_UNPROGRAM:
		switch_perform(d->sw, a);
		return;
	case ACTION_KIND_COUNT:
		break;
	}
	abort(); /* no such action */
}

/* Decisions inside are for `log level: debug` only: they would push the operator's events out of the ring. */
static void tell_trace(struct daemon *d)
{
	int64_t wall = d->step.trace_count ? wall_us() : 0;
	for (size_t i = 0; i < d->step.trace_count; i++) {
		const struct trace *t = &d->step.traces[i];
		enum config_log_level level = words_level(t->level);
		if (level == CONFIG_LOG_DEBUG && d->log.level < CONFIG_LOG_DEBUG)
			continue;
		ring_add(d->ring, d->now, wall, t);
		log_write(&d->log, level, trace_room_name(t->room), t->mclag, "%s", t->text);
	}
}

/* --- what a restart needs ---------------------------------------------------------------------------- */

static bool same_pair(const struct resume *a, const struct resume *b)
{
	return a->verdict == b->verdict && a->role == b->role && a->epoch == b->epoch &&
	       a->peer_link_open == b->peer_link_open;
}

/*
 * What the pair has become is kept in the wake-up that decided it: a daemon that is killed must not come back
 * as what it no longer was. The legs are kept at most once in KEEP_MS, since a burst of LACP on hundreds of
 * legs would have us write all of them for each. A file that is so much older than the dataplane cannot open
 * a leg (resume_confirm() keeps open what both say), only close one that had opened just before; and what it
 * says of LACP grows older by a whole restart anyway.
 */
static void save_resume(struct daemon *d)
{
	struct resume r;
	char why[RESUME_WHY_SIZE];
	domain_resume_state(d->domain, &r, d->legs);
	int64_t wait = KEEP_MS - msec_since(d->now, d->kept_at);
	if (wait > 0 && !d->leaving && same_pair(&r, &d->kept)) {
		loop_timer_set(d->saver, wait);
		return;
	}
	loop_timer_stop(d->saver);
	d->save = false;
	d->kept_at = d->now;
	d->kept = r;
	d->kept.legs = NULL;
	if (resume_save(d->config->state_dir, &d->origin, &r, why))
		log_limited(&d->log, &d->saves, d->now, CONFIG_LOG_ERROR, "daemon",
			    "the state for a restart cannot be kept: %s", why);
}

static void saver_due(struct loop_timer_handler *handler)
{
	struct daemon *d = DAEMON_OF(handler, saver_handler);
	d->now = clock_now();
	if (d->save)
		save_resume(d);
}

/* --- the loop ---------------------------------------------------------------------------------------- */

static void arm(struct daemon *d)
{
	struct msec due = domain_deadline(d->domain);
	loop_timer_stop(d->deadline);
	loop_timer_stop(d->work);
	if (msec_is_never(due))
		return;
	int64_t ms = msec_since(due, d->now);
	loop_timer_set(ms > 0 ? d->deadline : d->work, ms);
}

static void step_once(struct daemon *d, const struct event *e)
{
	d->step.now = d->now;
	d->sent = false;
	journal_before(d->journal, d->now, e);
	domain_step(d->domain, &d->step, e);
	journal_after(d->journal, &d->step);
	tell_trace(d);
	for (size_t i = 0; i < d->step.action_count; i++)
		perform(d, &d->step.actions[i]);
	switch_flush(d->sw);
	step_clear(&d->step);
	if (d->sent)
		queue_put(&d->queue, &(struct event){.kind = EVENT_ROOM, .room = peerlink_room(d->peerlink)});
}

/* Everything that happens comes through here. Before the domain is made there is nobody to tell. */
static void run(struct daemon *d, const struct event *e)
{
	struct event next;
	assert(!d->running || e->kind != EVENT_MESSAGE); /* borrows its message, so it cannot wait */
	if (!d->domain)
		return;
	queue_put(&d->queue, e);
	if (d->running)
		return;
	d->running = true;
	d->now = clock_now();
	while (queue_take(&d->queue, &next))
		step_once(d, &next);
	if (d->save)
		save_resume(d);
	d->running = false;
	journal_flush(d->journal);
	arm(d);
}

static void deadline_due(struct loop_timer_handler *handler)
{
	run(DAEMON_OF(handler, deadline_handler), &(struct event){.kind = EVENT_TIMER});
}

static void work_due(struct loop_timer_handler *handler)
{
	run(DAEMON_OF(handler, work_handler), &(struct event){.kind = EVENT_TIMER});
}

static void leave_due(struct loop_timer_handler *handler)
{
	struct daemon *d = DAEMON_OF(handler, leave_handler);
	if (d->leave_ticks < LEAVE_WORDS)
		keepalive_send_now(d->keepalive);
	d->leave_ticks++;
	if (d->leave_ticks >= LEAVE_TICKS || (d->leave_ticks >= LEAVE_WORDS && peerlink_idle(d->peerlink)))
		loop_exit(d->base);
	else
		loop_timer_set(d->leave, LEAVE_TICK_MS);
}

/* --- what the rooms tell ----------------------------------------------------------------------------- */

static void switch_event(struct switch_events *events, const struct event *e)
{
	run(DAEMON_OF(events, switch_events), e);
}

static void switch_notice(struct switch_events *events, const char *text)
{
	struct daemon *d = DAEMON_OF(events, switch_events);
	log_limited(&d->log, &d->notices, clock_now(), CONFIG_LOG_WARNING, "switch", "%s", text);
}

static void journal_ended(struct journal_owner *owner, const char *why)
{
	struct daemon *d = DAEMON_OF(owner, journal_owner);
	log_write(&d->log, CONFIG_LOG_WARNING, "journal", 0, "%s -> nothing more is recorded", why);
}

static void session_opened(struct peerlink_owner *owner, int path)
{
	struct daemon *d = DAEMON_OF(owner, peerlink_owner);
	if (d->leaving) /* there is nothing left to say */
		peerlink_close(d->peerlink, "leaving");
	else
		run(d, &(struct event){.kind = EVENT_SESSION_OPENED, .path = path});
}

static void session_closed(struct peerlink_owner *owner, enum peerlink_reason reason, const char *text)
{
	struct daemon *d = DAEMON_OF(owner, peerlink_owner);
	log_limited(&d->log, &d->sessions, clock_now(), CONFIG_LOG_INFO, "session", "closed: %s: %s",
		    peerlink_reason_text(reason), text);
	run(d, &(struct event){.kind = EVENT_SESSION_CLOSED, .reason = words_reason(reason)});
}

static void session_frame(struct peerlink_owner *owner, const uint8_t *bytes, size_t len)
{
	struct daemon *d = DAEMON_OF(owner, peerlink_owner);
	char why[MESSAGE_WHY_SIZE];
	struct message m;
	int error = message_decode(bytes, len, &m, why);
	if (error == 0) {
		run(d, &(struct event){.kind = EVENT_MESSAGE, .message = &m});
		message_clear(&m);
	} else if (error == -ENOMSG) {
		d->unknown_messages++;
	} else {
		log_limited(&d->log, &d->violations, clock_now(), CONFIG_LOG_WARNING, "session",
			    "not a valid message: %s", why);
		run(d, &(struct event){.kind = EVENT_VIOLATION});
	}
}

static void session_writable(struct peerlink_owner *owner)
{
	struct daemon *d = DAEMON_OF(owner, peerlink_owner);
	run(d, &(struct event){.kind = EVENT_ROOM, .room = peerlink_room(d->peerlink)});
}

static void session_refused(struct peerlink_owner *owner, enum peerlink_reason reason, const char *text)
{
	struct daemon *d = DAEMON_OF(owner, peerlink_owner);
	log_limited(&d->log, &d->strangers, clock_now(), CONFIG_LOG_INFO, "session", "%s: %s",
		    peerlink_reason_text(reason), text);
}

static void keepalive_heard(struct keepalive_owner *owner, int path, const struct keepalive_heard *h)
{
	struct daemon *d = DAEMON_OF(owner, keepalive_owner);
	struct event e = {.kind = EVENT_HEARD, .heard = words_heard(path, h)};
	char why[MESSAGE_WHY_SIZE];
	if (h->restarted)
		peerlink_retry_now(d->peerlink);
	if (beacon_decode(h->payload, h->payload_len, &e.heard.beacon, why))
		log_limited(&d->log, &d->beacons, clock_now(), CONFIG_LOG_WARNING, "keepalive",
			    "not a valid keepalive: %s", why);
	else
		run(d, &e);
}

static void keepalive_conflict(struct keepalive_owner *owner, int path, const struct keepalive_heard *h)
{
	(void)path;
	(void)h;
	run(DAEMON_OF(owner, keepalive_owner), &(struct event){.kind = EVENT_CONFLICT});
}

static void keepalive_discovered(struct keepalive_owner *owner, int path,
				 const struct sockaddr_storage *remote)
{
	struct daemon *d = DAEMON_OF(owner, keepalive_owner);
	char text[ADDRESS_TEXT_SIZE];
	log_limited(&d->log, &d->beacons, clock_now(), CONFIG_LOG_INFO, "keepalive", "the peer is %s",
		    address_format(remote, text));
	peerlink_set_remote(d->peerlink, path, remote);
}

/* --- life -------------------------------------------------------------------------------------------- */

static void set_handlers(struct daemon *d)
{
	d->deadline_handler.due = deadline_due;
	d->work_handler.due = work_due;
	d->leave_handler.due = leave_due;
	d->saver_handler.due = saver_due;
	d->switch_events = (struct switch_events){.event = switch_event, .notice = switch_notice};
	d->journal_owner = (struct journal_owner){.ended = journal_ended};
	d->peerlink_owner = (struct peerlink_owner){.opened = session_opened,
						    .closed = session_closed,
						    .frame = session_frame,
						    .writable = session_writable,
						    .refused = session_refused};
	d->keepalive_owner = (struct keepalive_owner){
	    .heard = keepalive_heard, .conflict = keepalive_conflict, .discovered = keepalive_discovered};
}

int daemon_create(struct daemon **d, struct event_base *base, const struct config *config, char *why,
		  size_t size)
{
	struct daemon *n = calloc(1, sizeof(*n));
	if (!n)
		abort();
	*n = (struct daemon){.base = base, .config = config, .started = clock_now()};
	log_open(&n->log, config->log.level, config->log.target);
	set_handlers(n);
	int error = daemon_open_rooms(n, why, size);
	if (error) {
		log_close(&n->log);
		free(n);
		return error;
	}
	run(n, &(struct event){.kind = EVENT_START});
	switch_start(n->sw);
	*d = n;
	return 0;
}

void daemon_destroy(struct daemon *d)
{
	if (!d)
		return;
	daemon_close_rooms(d);
	log_close(&d->log);
	free(d);
}

void daemon_stop(struct daemon *d, enum reason reason)
{
	run(d, &(struct event){.kind = EVENT_STOP, .reason = reason});
}

/* --- views ------------------------------------------------------------------------------------------- */

const struct domain *daemon_domain(const struct daemon *d)
{
	return d->domain;
}

struct domain *daemon_copied_domain(struct daemon *d)
{
	return d->domain;
}

const struct config *daemon_config(const struct daemon *d)
{
	return d->config;
}

struct ring *daemon_ring(struct daemon *d)
{
	return d->ring;
}

const struct peerlink *daemon_peerlink(const struct daemon *d)
{
	return d->peerlink;
}

const struct keepalive *daemon_keepalive(const struct daemon *d)
{
	return d->keepalive;
}

void daemon_switch_counters(const struct daemon *d, struct switch_counters *counters)
{
	switch_counters(d->sw, counters);
}

struct msec daemon_now(const struct daemon *d)
{
	(void)d;
	return clock_now();
}

bool daemon_journal(const struct daemon *d, struct journal_counters *c)
{
	if (d->journal)
		journal_counters(d->journal, c);
	return d->journal != NULL;
}

struct msec daemon_started(const struct daemon *d)
{
	return d->started;
}
