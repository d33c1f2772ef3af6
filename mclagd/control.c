/* SPDX-License-Identifier: ISC */
/*
 * control.c - clients, and what each is owed.
 *
 * A client is always in one of four states, and client_turn() is the only way on: it makes the next piece of
 * what is owed while the output is short, and is called when a request arrives, when the output has drained,
 * and when the ring has a new line. So the memory of a client does not depend on what it asks for or how
 * slowly it reads; a follower that is too slow misses lines (the ring forgets the oldest), which shows in
 * their numbers.
 *
 * The MAC table may only be walked while the domain does not step (core/domain.h), and listing a large one
 * takes many turns of the loop. So a request walks it to the end, once to count and once to copy the entries
 * that match: what is listed is the table at one moment, and costs 40 bytes an entry until it is sent. Half a
 * million entries take some 40 ms, a fraction of one keepalive interval. Walking anew for each piece would be
 * quadratic, and tell neither the one moment nor the other.
 */
#include "mclagd/control.h"

#include "mclagd/control_build.h"
#include "mclagd/control_socket.h"
#include "mclagd/control_views.h"
#include "mclagd/control_whatif.h"
#include "mclagd/daemon.h"
#include "proto/frame.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG        16
#define ACCEPT_AGAIN_S 1 /* after accept failed, for want of descriptors */

enum owed {
	OWED_NOTHING, /* a request is awaited */
	OWED_MACS,
	OWED_EVENTS,
	OWED_FOLLOW, /* events, without end */
	OWED_WHATIF, /* a copy of the daemon thinks about it */
};

struct client {
	LIST_ENTRY(client) list;
	struct control *control;
	struct bufferevent *stream;
	enum owed owed;
	bool ended; /* it will not write any more */
	bool lost;  /* to be dropped by client_turn() */

	struct mac_view *entries; /* OWED_MACS */
	size_t entry_count, entry_next;

	uint64_t event_next; /* OWED_EVENTS, OWED_FOLLOW: the number of the next line */
	bool event_debug;
	bool event_told; /* the first Response of a follower is sent, be it empty */
};

struct control {
	struct event_base *base;
	struct daemon *daemon;
	struct evconnlistener *listener;
	struct event *accept_again;
	struct event *new_lines;
	struct ring_listener ring;
	LIST_HEAD(, client) clients;
	size_t client_count;
	size_t snapshot; /* entries held by all clients */
	uint64_t taken, refused, requests, invalid, dropped;
	struct control_socket socket;
	struct whatif *whatif;
	struct whatif_owner whatif_owner;
	struct client *asker; /* who waits for its answer; NULL = nobody, or gone */
};

static struct view_source source_of(const struct control *control)
{
	const struct daemon *d = control->daemon;

	return (struct view_source){
	    .domain = daemon_domain(d),
	    .config = daemon_config(d),
	    .peerlink = daemon_peerlink(d),
	    .keepalive = daemon_keepalive(d),
	    .now = daemon_now(d),
	    .started = daemon_started(d),
	};
}

/* --- answers ----------------------------------------------------------------------------------------- */

/* Takes the message inside r over. */
static void send_response(struct client *c, Mclag__Control__Response *r)
{
	struct evbuffer *output = bufferevent_get_output(c->stream);
	size_t size = mclag__control__response__get_packed_size(r);
	struct evbuffer_iovec space;

	assert(size > 0 && size <= CONTROL_RESPONSE_LIMIT);
	if (evbuffer_reserve_space(output, (ev_ssize_t)(FRAME_HEAD + size), &space, 1) != 1)
		abort();
	frame_head(space.iov_base, size);
	mclag__control__response__pack(r, (uint8_t *)space.iov_base + FRAME_HEAD);
	space.iov_len = FRAME_HEAD + size;
	if (evbuffer_commit_space(output, &space, 1) < 0)
		abort();
	mclag__control__response__free_unpacked(r, NULL);
}

static Mclag__Control__Response *new_response(Mclag__Control__Response__AnswerCase kind)
{
	Mclag__Control__Response *r = build_message(&mclag__control__response__descriptor);

	r->answer_case = kind;
	return r;
}

/* Takes text over. */
static void send_error(struct client *c, char *text)
{
	Mclag__Control__Response *r = new_response(MCLAG__CONTROL__RESPONSE__ANSWER_ERROR);

	r->error = build_message(&mclag__control__error__descriptor);
	r->error->text = text;
	send_response(c, r);
}

static void answer_status(struct client *c)
{
	struct view_source source = source_of(c->control);
	Mclag__Control__Response *r = new_response(MCLAG__CONTROL__RESPONSE__ANSWER_STATUS);

	r->status = view_status(&source);
	send_response(c, r);
}

static void answer_ports(struct client *c, const Mclag__Control__PortsRequest *request)
{
	struct view_source source = source_of(c->control);
	Mclag__Control__Ports *ports =
	    request->id > MCLAG_MAX ? NULL : view_ports(&source, (uint16_t)request->id);

	if (ports == NULL) {
		send_error(c, build_text("mclag %u is not configured", request->id));
		return;
	}
	Mclag__Control__Response *r = new_response(MCLAG__CONTROL__RESPONSE__ANSWER_PORTS);

	r->ports = ports;
	send_response(c, r);
}

static Mclag__Control__JournalCounters *journal_counters_of(const struct daemon *d)
{
	struct journal_counters counters;

	if (!daemon_journal(d, &counters))
		return NULL;
	Mclag__Control__JournalCounters *m = build_message(&mclag__control__journal_counters__descriptor);
	m->recording = counters.recording;
	m->events = counters.events;
	m->bytes = counters.bytes;
	m->missed = counters.missed;
	return m;
}

static void answer_counters(struct client *c)
{
	struct view_source source = source_of(c->control);
	Mclag__Control__Response *r = new_response(MCLAG__CONTROL__RESPONSE__ANSWER_COUNTERS);
	struct switch_counters kernel;
	Mclag__Control__ControlCounters *own = build_message(&mclag__control__control_counters__descriptor);

	own->clients = c->control->taken;
	own->refused = c->control->refused;
	own->requests = c->control->requests;
	own->invalid = c->control->invalid;
	own->dropped = c->control->dropped;
	r->counters = view_counters(&source);
	daemon_switch_counters(c->control->daemon, &kernel);
	view_switch_counters(r->counters, &kernel);
	r->counters->control = own;
	r->counters->journal = journal_counters_of(c->control->daemon);
	send_response(c, r);
}

/* --- the MAC table ----------------------------------------------------------------------------------- */

static size_t count_macs(const struct domain *domain, const struct mac_filter *filter)
{
	struct mac_view entry;
	size_t cursor = 0, count = 0;

	while (domain_mac_next(domain, &cursor, &entry))
		count += view_mac_matches(filter, &entry);
	return count;
}

static void take_snapshot(struct client *c, const struct mac_filter *filter)
{
	const struct domain *domain = daemon_domain(c->control->daemon);
	size_t count = count_macs(domain, filter), cursor = 0, used = 0;
	struct mac_view entry;

	if (count > CONTROL_SNAPSHOT_MAX) {
		send_error(
		    c, build_text("%zu entries match, more than are listed at once (%d); ask for one vlan, "
				  "mclag or address",
				  count, CONTROL_SNAPSHOT_MAX));
		return;
	}
	if (count > CONTROL_SNAPSHOT_MAX - c->control->snapshot) {
		send_error(
		    c, build_text("other listings of the MAC table are being read; try again in a moment"));
		return;
	}
	c->entries = calloc(count + 1, sizeof(*c->entries));
	if (c->entries == NULL)
		abort();
	while (used < count && domain_mac_next(domain, &cursor, &entry))
		if (view_mac_matches(filter, &entry))
			c->entries[used++] = entry;
	c->entry_count = used;
	c->entry_next = 0;
	c->control->snapshot += used;
	c->owed = OWED_MACS;
}

static void drop_snapshot(struct client *c)
{
	c->control->snapshot -= c->entry_count;
	free(c->entries);
	c->entries = NULL;
	c->entry_count = c->entry_next = 0;
}

static void answer_mac(struct client *c, const Mclag__Control__MacRequest *request)
{
	struct mac_filter filter = {0};

	if (request->vlan > VLAN_MAX || request->mclag > MCLAG_MAX) {
		send_error(c, build_text("vlan %u, mclag %u: at most %d and %d", request->vlan,
					 request->mclag, VLAN_MAX, MCLAG_MAX));
		return;
	}
	filter.vlan = (uint16_t)request->vlan;
	filter.mclag = (uint16_t)request->mclag;
	filter.by_mac = request->mac[0] != '\0';
	if (filter.by_mac && mac_parse(request->mac, &filter.mac) < 0) {
		send_error(c, build_text("not a MAC address"));
		return;
	}
	take_snapshot(c, &filter);
}

static void send_mac_batch(struct client *c)
{
	const struct config *config = daemon_config(c->control->daemon);
	Mclag__Control__Response *r = new_response(MCLAG__CONTROL__RESPONSE__ANSWER_MAC);
	size_t left = c->entry_count - c->entry_next, batch = left < CONTROL_BATCH ? left : CONTROL_BATCH;

	r->mac = build_message(&mclag__control__mac__descriptor);
	r->mac->matched = (uint32_t)c->entry_count;
	r->mac->entries = build_list(batch);
	for (; r->mac->n_entries < batch; r->mac->n_entries++)
		r->mac->entries[r->mac->n_entries] = view_mac_entry(config, &c->entries[c->entry_next++]);
	r->more = c->entry_next < c->entry_count;
	if (!r->more) {
		drop_snapshot(c);
		c->owed = OWED_NOTHING;
	}
	send_response(c, r);
}

/* --- events ------------------------------------------------------------------------------------------ */

static void answer_events(struct client *c, const Mclag__Control__EventsRequest *request)
{
	c->owed = request->follow ? OWED_FOLLOW : OWED_EVENTS;
	c->event_next = request->since == UINT64_MAX ? UINT64_MAX : request->since + 1;
	c->event_debug = request->debug;
	c->event_told = false;
}

/* False when there was nothing to say. */
static bool send_event_batch(struct client *c)
{
	const struct ring *ring = daemon_ring(c->control->daemon);
	struct msec now = daemon_now(c->control->daemon);
	Mclag__Control__Events *events = build_message(&mclag__control__events__descriptor);
	struct ring_line line;

	events->events = build_list(CONTROL_BATCH);
	while (events->n_events < CONTROL_BATCH && ring_next(ring, &c->event_next, &line))
		if (c->event_debug || line.trace.level != TRACE_DEBUG)
			events->events[events->n_events++] = view_event(&line, now);
	bool full = events->n_events == CONTROL_BATCH;

	if (c->owed == OWED_FOLLOW && events->n_events == 0 && c->event_told) {
		mclag__control__events__free_unpacked(events, NULL);
		return false;
	}
	Mclag__Control__Response *r = new_response(MCLAG__CONTROL__RESPONSE__ANSWER_EVENTS);

	r->events = events;
	r->more = full || c->owed == OWED_FOLLOW;
	c->event_told = true;
	if (!r->more)
		c->owed = OWED_NOTHING;
	send_response(c, r);
	return true;
}

/* --- what if ----------------------------------------------------------------------------------------- */

static void answer_what_if(struct client *c, const Mclag__Control__WhatIfRequest *request)
{
	char *why = whatif_question(c->control->whatif, request);

	if (why != NULL) {
		send_error(c, why);
		return;
	}
	c->control->asker = c;
	c->owed = OWED_WHATIF;
}

/* --- requests ---------------------------------------------------------------------------------------- */

static void answer(struct client *c, const Mclag__Control__Request *request)
{
	c->control->requests++;
	switch (request->ask_case) {
	case MCLAG__CONTROL__REQUEST__ASK_STATUS:
		answer_status(c);
		return;
	case MCLAG__CONTROL__REQUEST__ASK_PORTS:
		answer_ports(c, request->ports);
		return;
	case MCLAG__CONTROL__REQUEST__ASK_MAC:
		answer_mac(c, request->mac);
		return;
	case MCLAG__CONTROL__REQUEST__ASK_EVENTS:
		answer_events(c, request->events);
		return;
	case MCLAG__CONTROL__REQUEST__ASK_COUNTERS:
		answer_counters(c);
		return;
	case MCLAG__CONTROL__REQUEST__ASK_WHAT_IF:
		answer_what_if(c, request->what_if);
		return;
	case MCLAG__CONTROL__REQUEST__ASK__NOT_SET:
	case _MCLAG__CONTROL__REQUEST__ASK__CASE_IS_INT_SIZE:
		break;
	}
	send_error(c, build_text("mclagd " MCLAGD_VERSION " does not know this request; is mclagctl newer?"));
}

/* The request at the front of the input. False when it has not come whole, or is none. */
static bool take_request(struct client *c)
{
	struct evbuffer *input = bufferevent_get_input(c->stream);
	size_t size = evbuffer_get_length(input);
	struct frame frame;
	enum frame_status status = frame_cut(evbuffer_pullup(input, -1), size, CONTROL_REQUEST_LIMIT, &frame);
	Mclag__Control__Request *request = NULL;

	if (status == FRAME_MORE)
		return false;
	if (status == FRAME_READY)
		request = mclag__control__request__unpack(NULL, frame.len, frame.payload);
	if (request == NULL) {
		c->control->invalid++;
		c->lost = true;
		return false;
	}
	answer(c, request);
	mclag__control__request__free_unpacked(request, NULL);
	evbuffer_drain(input, frame.whole);
	return true;
}

/* Makes one more piece of output. False when nothing is owed, or nothing there to be told. */
static bool advance(struct client *c)
{
	switch (c->owed) {
	case OWED_NOTHING:
		return take_request(c);
	case OWED_MACS:
		send_mac_batch(c);
		return true;
	case OWED_EVENTS:
		return send_event_batch(c);
	case OWED_FOLLOW:
		if (evbuffer_get_length(bufferevent_get_input(c->stream)) > 0) {
			c->control->invalid++;
			c->lost = true;
			return false;
		}
		return send_event_batch(c);
	case OWED_WHATIF:
		return false;
	}
	abort();
}

/* --- clients ----------------------------------------------------------------------------------------- */

static void client_destroy(struct client *c)
{
	LIST_REMOVE(c, list);
	c->control->client_count--;
	if (c->control->asker == c)
		c->control->asker = NULL;
	drop_snapshot(c);
	bufferevent_free(c->stream);
	free(c);
}

/*
 * Nothing is read that is not wanted now: the rest waits in the kernel, and its sender in turn. (Leaving it
 * to the watermark of the bufferevent would not do: libevent calls back without end while the input is at its
 * high mark.)
 */
static void client_listen(struct client *c)
{
	bool ready = evbuffer_get_length(bufferevent_get_output(c->stream)) < CONTROL_OUTPUT_HIGH;

	if (!c->ended && (c->owed == OWED_FOLLOW || (c->owed == OWED_NOTHING && ready)))
		bufferevent_enable(c->stream, EV_READ);
	else
		bufferevent_disable(c->stream, EV_READ);
}

/* Goes on with what is owed. The client may be gone afterwards. */
static void client_turn(struct client *c)
{
	struct evbuffer *output = bufferevent_get_output(c->stream);

	while (!c->lost && evbuffer_get_length(output) < CONTROL_OUTPUT_HIGH && advance(c))
		;
	if (c->ended && (c->owed == OWED_NOTHING || c->owed == OWED_FOLLOW) &&
	    evbuffer_get_length(output) == 0)
		c->lost = true;
	if (c->lost)
		client_destroy(c);
	else
		client_listen(c);
}

static void on_whatif(struct whatif_owner *self, Mclag__Control__Response *r)
{
	struct control *control = (struct control *)((char *)self - offsetof(struct control, whatif_owner));
	struct client *c = control->asker;

	control->asker = NULL;
	if (c == NULL) {
		mclag__control__response__free_unpacked(r, NULL);
		return;
	}
	c->owed = OWED_NOTHING;
	send_response(c, r);
	client_turn(c);
}

static void on_stream(struct bufferevent *stream, void *argument)
{
	(void)stream;
	client_turn(argument);
}

static void on_stream_event(struct bufferevent *stream, short what, void *argument)
{
	struct client *c = argument;
	bool idle = c->owed == OWED_NOTHING && evbuffer_get_length(bufferevent_get_output(stream)) == 0;

	if (what & BEV_EVENT_EOF) {
		c->ended = true; /* it may still read what it asked for */
		c->lost = c->owed == OWED_FOLLOW;
	} else if (!(what & BEV_EVENT_TIMEOUT) || (what & BEV_EVENT_WRITING) || idle) {
		c->control->dropped += (what & BEV_EVENT_TIMEOUT) != 0;
		c->lost = true;
	} /* else it has nothing to say: we are answering, or it follows */
	client_turn(c);
}

static void client_create(struct control *control, int fd)
{
	const struct timeval idle = {.tv_sec = CONTROL_IDLE_S}, write = {.tv_sec = CONTROL_WRITE_S};
	struct client *c = calloc(1, sizeof(*c));
	struct bufferevent *stream = bufferevent_socket_new(control->base, fd, BEV_OPT_CLOSE_ON_FREE);

	if (c == NULL || stream == NULL)
		abort();
	c->control = control;
	c->stream = stream;
	LIST_INSERT_HEAD(&control->clients, c, list);
	control->client_count++;
	control->taken++;
	bufferevent_setcb(stream, on_stream, on_stream, on_stream_event, c);
	bufferevent_setwatermark(stream, EV_READ, 0, FRAME_HEAD + CONTROL_REQUEST_LIMIT);
	bufferevent_setwatermark(stream, EV_WRITE, CONTROL_OUTPUT_LOW, 0);
	bufferevent_set_timeouts(stream, &idle, &write);
	bufferevent_enable(stream, EV_READ | EV_WRITE);
}

/* Says why, as far as the socket takes it at once, and closes. */
static void turn_away(struct control *control, int fd)
{
	Mclag__Control__Response r = MCLAG__CONTROL__RESPONSE__INIT;
	Mclag__Control__Error error = MCLAG__CONTROL__ERROR__INIT;
	char text[] = "too many clients at once; end one, or try again in a minute";
	uint8_t bytes[128];

	error.text = text;
	r.answer_case = MCLAG__CONTROL__RESPONSE__ANSWER_ERROR;
	r.error = &error;
	size_t size = mclag__control__response__get_packed_size(&r);

	assert(FRAME_HEAD + size <= sizeof(bytes));
	frame_head(bytes, size);
	mclag__control__response__pack(&r, bytes + FRAME_HEAD);
	if (send(fd, bytes, FRAME_HEAD + size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		errno = 0; /* it need not be there any more */
	close(fd);
	control->refused++;
}

/* --- the listener -------------------------------------------------------------------------------------- */

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int size,
		      void *argument)
{
	struct control *control = argument;

	(void)listener;
	(void)from;
	(void)size;
	if (control->client_count >= CONTROL_CLIENTS)
		turn_away(control, fd);
	else
		client_create(control, fd);
}

/* No descriptor to be had: without a pause the loop would spin. */
static void on_accept_error(struct evconnlistener *listener, void *argument)
{
	struct control *control = argument;

	evconnlistener_disable(listener);
	event_add(control->accept_again, &(struct timeval){.tv_sec = ACCEPT_AGAIN_S});
}

static void on_accept_again(evutil_socket_t fd, short what, void *argument)
{
	struct control *control = argument;

	(void)fd;
	(void)what;
	evconnlistener_enable(control->listener);
}

static void on_new_lines(evutil_socket_t fd, short what, void *argument)
{
	struct control *control = argument;
	struct client *next;

	(void)fd;
	(void)what;
	for (struct client *c = LIST_FIRST(&control->clients); c != NULL; c = next) {
		next = LIST_NEXT(c, list);
		if (c->owed == OWED_FOLLOW)
			client_turn(c);
	}
}

/* Lines come in the middle of a step, and many at once: they are told in a turn of their own. */
static void on_line(struct ring_listener *self, const struct ring_line *line)
{
	struct control *control = (struct control *)((char *)self - offsetof(struct control, ring));

	(void)line;
	event_active(control->new_lines, EV_TIMEOUT, 0);
}

int control_open(struct control **control, struct event_base *base, struct daemon *daemon, const char *path,
		 char *why, size_t size)
{
	struct control *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	c->base = base;
	c->daemon = daemon;
	LIST_INIT(&c->clients);
	int fd = control_socket_open(&c->socket, path, why, size);

	if (fd < 0) {
		free(c);
		return fd;
	}
	c->listener = evconnlistener_new(base, on_accept, c, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
					 BACKLOG, fd);
	c->accept_again = evtimer_new(base, on_accept_again, c);
	c->new_lines = event_new(base, -1, 0, on_new_lines, c);
	if (c->listener == NULL || c->accept_again == NULL || c->new_lines == NULL)
		abort(); /* listen() on a bound socket fails for want of memory alone */
	evconnlistener_set_error_cb(c->listener, on_accept_error);
	c->whatif_owner.answered = on_whatif;
	c->whatif = whatif_create(base, daemon, &c->whatif_owner);
	c->ring.added = on_line;
	ring_listen(daemon_ring(daemon), &c->ring);
	*control = c;
	return 0;
}

void control_close(struct control *control)
{
	struct client *next;

	if (control == NULL)
		return;
	ring_unlisten(daemon_ring(control->daemon), &control->ring);
	for (struct client *c = LIST_FIRST(&control->clients); c != NULL; c = next) {
		next = LIST_NEXT(c, list);
		client_destroy(c);
	}
	whatif_destroy(control->whatif);
	evconnlistener_free(control->listener);
	event_free(control->accept_again);
	event_free(control->new_lines);
	control_socket_remove(&control->socket);
	free(control);
}
