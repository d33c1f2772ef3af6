/* SPDX-License-Identifier: ISC */
/*
 * Connections. A frame that gets lost on the way costs one retransmission time; while a path is cut nothing
 * moves, and the sender gives up after CONNECTION_PATIENCE. A connection whose one end died without a word
 * stays half open until the other end sends into it.
 */
#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

#define RETRANSMIT          (200 * SIM_MS)
#define CONNECT_TIMEOUT     (2 * SIM_SECOND)
#define CONNECTION_PATIENCE (8 * (int64_t)SIM_SECOND)
#define LINGER              (500 * SIM_MS)
#define BACKOFF_MIN         (100 * SIM_MS)
#define BACKOFF_MAX         (2 * SIM_SECOND)

static int other(int leaf)
{
	return 1 - leaf;
}

bool network_passes(const struct sim *s, int path, int from)
{
	if (!s->switches[0].powered || !s->switches[1].powered || s->network.paths[path].cut[from])
		return false;
	return path != PATH_PEER_LINK || (s->peer_link_cable && !s->peer_link_silent);
}

static int64_t delay(struct sim *s, int path)
{
	const struct path *p = &s->network.paths[path];

	return dice_between(&s->dice, p->delay_min, p->delay_max);
}

void network_init(struct sim *s)
{
	struct network *n = &s->network;

	*n = (struct network){.wanted = PATH_NONE, .backoff = BACKOFF_MIN};
	memcpy(n->paths, s->config.paths, sizeof n->paths);
}

static struct connection *connection_of(struct sim *s, uint32_t id)
{
	struct connection *c = &s->network.connections[id % SIM_CONNECTIONS];

	return c->id == id ? c : NULL;
}

static void forget_sending(struct connection_end *e)
{
	for (size_t i = 0; i < e->count; i++)
		free(e->sending[(e->first + i) % e->room].bytes);
	free(e->sending);
	e->sending = NULL;
	e->first = e->count = e->room = e->queued = 0;
}

void network_release(struct sim *s)
{
	for (size_t i = 0; i < SIM_CONNECTIONS; i++) {
		forget_sending(&s->network.connections[i].ends[0]);
		forget_sending(&s->network.connections[i].ends[1]);
	}
}

/* --- opening and closing ---------------------------------------------------------------------------- */

static void put(struct sim *s, int64_t after, enum happening_kind kind, int leaf, uint32_t stamp)
{
	queue_put(&s->queue, s->queue.now + after,
		  &(struct happening){.kind = kind, .leaf = leaf, .stamp = stamp});
}

static void dial_after(struct sim *s, int64_t after)
{
	s->network.dialling = ++s->network.dials;
	put(s, after, HAPPEN_DIAL, 0, s->network.dialling);
}

/* What the peer's end gets to know of it: after the frames that are still queued, as FIN does. */
static void tell_end(struct sim *s, struct connection *c, int to, int64_t after)
{
	queue_put(&s->queue, s->queue.now + after + delay(s, c->path),
		  &(struct happening){
		      .kind = HAPPEN_HANGUP, .leaf = to, .stamp = c->id, .reason = REASON_TRANSPORT});
}

/* The end is gone. Its daemon has been told, or is dead. */
static void end_is_gone(struct sim *s, struct connection *c, int leaf)
{
	struct connection_end *e = &c->ends[leaf];

	e->open = e->awaited = e->closing = false;
	if (s->network.session[leaf] == c)
		s->network.session[leaf] = NULL;
	forget_sending(e);
	if (leaf == 0 && s->nodes[0].alive && s->network.wanted != PATH_NONE && !s->network.dialling)
		dial_after(s, s->network.backoff);
}

static void closed(struct sim *s, struct connection *c, int leaf, enum reason reason)
{
	end_is_gone(s, c, leaf);
	node_event(s, leaf, &(struct event){.kind = EVENT_SESSION_CLOSED, .reason = reason});
}

static bool listens(const struct sim *s, int leaf)
{
	return s->nodes[leaf].alive && !s->nodes[leaf].stopped;
}

void network_use(struct sim *s, int leaf, int path)
{
	struct network *n = &s->network;

	if (leaf != 0 || n->wanted == path)
		return;
	n->wanted = path;
	n->dialling = 0;
	n->backoff = BACKOFF_MIN;
	if (path != PATH_NONE && !(n->session[0] && n->session[0]->path == path))
		dial_after(s, 0);
}

void network_dial(struct sim *s, const struct happening *h)
{
	struct network *n = &s->network;
	int path = n->wanted;

	if (h->stamp != n->dialling || !s->nodes[0].alive || path == PATH_NONE)
		return;
	if (n->session[0] && n->session[0]->path == path) {
		n->dialling = 0;
		return;
	}
	bool passes = network_passes(s, path, 0) && network_passes(s, path, 1);
	if (!passes || !listens(s, 1) || dice_chance(&s->dice, n->paths[path].loss[0])) {
		dial_after(s, (passes ? 2 * n->paths[path].delay_max : CONNECT_TIMEOUT) + n->backoff);
		n->backoff = n->backoff * 2 > BACKOFF_MAX ? BACKOFF_MAX : n->backoff * 2;
		return;
	}
	n->dialling = 0;
	n->backoff = BACKOFF_MIN;
	struct connection *c = &n->connections[++n->last % SIM_CONNECTIONS];
	forget_sending(&c->ends[0]);
	forget_sending(&c->ends[1]);
	*c = (struct connection){.id = n->last, .path = path};
	for (int i = 0; i < 2; i++) {
		c->ends[i].awaited = true;
		c->ends[i].blocked = -1;
	}
	/* TCP and TLS 1.3: the dialler has it after two round trips, the other end half a one later. */
	int64_t half = delay(s, path);
	put(s, 4 * half, HAPPEN_OPEN, 0, c->id);
	put(s, 4 * half + delay(s, path), HAPPEN_OPEN, 1, c->id);
}

void network_open(struct sim *s, const struct happening *h)
{
	struct network *n = &s->network;
	struct connection *c = connection_of(s, h->stamp);
	int leaf = h->leaf;

	if (!c || !c->ends[leaf].awaited)
		return;
	if (!listens(s, leaf) || !network_passes(s, c->path, other(leaf)) ||
	    (leaf == 1 && !c->ends[0].open)) {
		/* The handshake does not get through: refused to who is open already, forgotten otherwise. */
		c->ends[leaf].awaited = false;
		if (leaf == 0 && s->nodes[0].alive && n->wanted != PATH_NONE && !n->dialling)
			dial_after(s, n->backoff);
		tell_end(s, c, other(leaf), CONNECT_TIMEOUT);
		return;
	}
	c->ends[leaf].awaited = false;
	struct connection *old = n->session[leaf];
	if (old) {
		tell_end(s, old, other(leaf), 0);
		closed(s, old, leaf, REASON_REPLACED);
	}
	c->ends[leaf].open = true;
	n->session[leaf] = c;
	n->dialling = leaf == 0 ? 0 : n->dialling;
	node_event(s, leaf, &(struct event){.kind = EVENT_SESSION_OPENED, .path = c->path});
	put(s, 0, HAPPEN_ROOM, leaf, c->id);
	c->ends[leaf].telling = true;
}

void network_hangup(struct sim *s, const struct happening *h)
{
	struct connection *c = connection_of(s, h->stamp);

	if (!c)
		return;
	struct connection_end *e = &c->ends[h->leaf];
	if (!e->open) {
		end_is_gone(s, c, h->leaf);
		return;
	}
	if (!e->closing && !network_passes(s, c->path, other(h->leaf)))
		return; /* half open: this end finds out by itself */
	if (e->closing)
		tell_end(s, c, other(h->leaf), 0);
	closed(s, c, h->leaf, e->closing ? e->reason : h->reason);
}

void network_close(struct sim *s, int leaf, enum reason reason)
{
	struct connection *c = s->network.session[leaf];

	if (!c || c->ends[leaf].closing)
		return;
	c->ends[leaf].closing = true;
	c->ends[leaf].reason = reason;
	queue_put(&s->queue, s->queue.now + (c->ends[leaf].count ? LINGER : 0),
		  &(struct happening){.kind = HAPPEN_HANGUP, .leaf = leaf, .stamp = c->id, .reason = reason});
}

void network_accept(struct sim *s, int leaf)
{
	if (s->network.session[leaf])
		s->network.session[leaf]->ends[leaf].accepted = true;
}

void network_daemon_up(struct sim *s, int leaf)
{
	struct network *n = &s->network;

	memset(n->streams[leaf], 0, sizeof n->streams[leaf]);
	for (int i = 0; i < SIM_PATHS; i++)
		queue_put(
		    &s->queue,
		    s->queue.now + dice_between(&s->dice, 0, s->nodes[leaf].config.keepalive_ms * SIM_MS),
		    &(struct happening){
			.kind = HAPPEN_KEEPALIVE, .leaf = leaf, .index = i, .stamp = s->nodes[leaf].run});
	if (leaf == 0) {
		n->wanted = PATH_NONE;
		n->dialling = 0;
		n->backoff = BACKOFF_MIN;
	}
}

void network_daemon_down(struct sim *s, int leaf, bool told)
{
	for (size_t i = 0; i < SIM_CONNECTIONS; i++) {
		struct connection *c = &s->network.connections[i];
		if (!c->ends[leaf].open && !c->ends[leaf].awaited)
			continue;
		end_is_gone(s, c, leaf);
		if (told)
			tell_end(s, c, other(leaf), 0);
	}
}

/* --- frames of the session -------------------------------------------------------------------------- */

static void deliver_at(struct sim *s, struct connection *c, int to, int64_t at)
{
	queue_put(&s->queue, at > s->queue.now ? at : s->queue.now,
		  &(struct happening){.kind = HAPPEN_DELIVER, .leaf = to, .stamp = c->id});
}

static void tell_room(struct sim *s, struct connection *c, int leaf)
{
	if (c->ends[leaf].telling)
		return;
	c->ends[leaf].telling = true;
	put(s, 0, HAPPEN_ROOM, leaf, c->id);
}

void network_send(struct sim *s, int leaf, const struct message *m)
{
	struct connection *c = s->network.session[leaf];
	uint8_t *bytes = NULL;
	size_t size = 0;

	message_encode(m, &bytes, &size);
	sim_mix(s, bytes, size);
	if (!c || c->ends[leaf].closing) {
		sim_fail(s, "node %d sends %s without a session", leaf + 1, message_kind_name(m->kind));
		free(bytes);
		return;
	}
	struct connection_end *e = &c->ends[leaf];
	if (size > MESSAGE_LIMIT || e->queued + size > s->config.queue_high + MESSAGE_LIMIT)
		sim_fail(s, "8: memory is bounded: node %d has %zu bytes queued and sends %zu", leaf + 1,
			 e->queued, size);
	if (e->count == e->room) {
		size_t room = e->room ? e->room * 2 : 16;
		struct outgoing *grown = malloc(room * sizeof *grown);
		if (!grown)
			abort();
		for (size_t i = 0; i < e->count; i++)
			grown[i] = e->sending[(e->first + i) % e->room];
		free(e->sending);
		e->sending = grown;
		e->first = 0;
		e->room = room;
	}
	int64_t earliest = s->queue.now + delay(s, c->path);
	while (dice_chance(&s->dice, s->network.paths[c->path].loss[leaf]))
		earliest += RETRANSMIT;
	if (e->count) {
		int64_t last = e->sending[(e->first + e->count - 1) % e->room].earliest;
		earliest = earliest > last ? earliest : last;
	}
	int64_t rate = s->network.bytes_per_second[other(leaf)];
	if (rate)
		earliest += (int64_t)size * SIM_SECOND / rate;
	e->sending[(e->first + e->count++) % e->room] = (struct outgoing){bytes, size, earliest};
	e->queued += size;
	if (e->count == 1)
		deliver_at(s, c, other(leaf), earliest);
	tell_room(s, c, leaf);
}

/* Hands one frame to the core as the shell does. */
static void receive(struct sim *s, int leaf, const uint8_t *bytes, size_t size, bool accepted)
{
	struct message m;
	char why[MESSAGE_WHY_SIZE];
	int error = !accepted && size > MESSAGE_HELLO_LIMIT ? 1 : message_decode(bytes, size, &m, why);

	if (error) {
		sim_fail(s, "node %d cannot read what its peer sent: %s", leaf + 1,
			 error > 0 ? "a large frame before the Hello was accepted" : why);
		return;
	}
	node_event(s, leaf, &(struct event){.kind = EVENT_MESSAGE, .message = &m});
	message_clear(&m);
}

void network_deliver(struct sim *s, const struct happening *h)
{
	struct connection *c = connection_of(s, h->stamp);
	int to = h->leaf, from = other(to);

	if (!c || c->ends[from].count == 0)
		return;
	struct connection_end *out = &c->ends[from], *in = &c->ends[to];
	int64_t now = s->queue.now;
	if (!network_passes(s, c->path, 0) || !network_passes(s, c->path, 1)) {
		if (out->blocked < 0)
			out->blocked = now;
		if (now - out->blocked > CONNECTION_PATIENCE)
			closed(s, c, from, out->closing ? out->reason : REASON_TRANSPORT);
		else
			deliver_at(s, c, to, now + RETRANSMIT);
		return;
	}
	out->blocked = -1;
	if (in->awaited) {
		deliver_at(s, c, to, now + SIM_MS);
		return;
	}
	if (!in->open) { /* reset */
		tell_end(s, c, from, 0);
		forget_sending(out);
		return;
	}
	struct outgoing o = out->sending[out->first];
	out->first = (out->first + 1) % out->room;
	out->count--;
	out->queued -= o.size;
	if (out->count)
		deliver_at(s, c, to, out->sending[out->first].earliest);
	else if (out->closing)
		queue_put(&s->queue, now,
			  &(struct happening){
			      .kind = HAPPEN_HANGUP, .leaf = from, .stamp = c->id, .reason = out->reason});
	if (out->open && !out->closing)
		tell_room(s, c, from);
	if (!in->closing)
		receive(s, to, o.bytes, o.size, in->accepted);
	free(o.bytes);
}

void network_room(struct sim *s, const struct happening *h)
{
	struct connection *c = connection_of(s, h->stamp);

	if (!c)
		return;
	struct connection_end *e = &c->ends[h->leaf];
	e->telling = false;
	if (!e->open || e->closing)
		return;
	size_t room = e->queued >= s->config.queue_high ? 0 : s->config.queue_high - e->queued;
	node_event(s, h->leaf, &(struct event){.kind = EVENT_ROOM, .room = room});
}

/* --- keepalives ------------------------------------------------------------------------------------- */

static void keepalive_send(struct sim *s, int leaf, int path, bool ask)
{
	struct stream *t = &s->network.streams[leaf][path];

	t->sent[++t->sequence % STREAM_SENT] = s->queue.now;
	if (!network_passes(s, path, leaf) || dice_chance(&s->dice, s->network.paths[path].loss[leaf]))
		return;
	queue_put(&s->queue, s->queue.now + delay(s, path),
		  &(struct happening){.kind = HAPPEN_DATAGRAM,
				      .leaf = other(leaf),
				      .index = path,
				      .datagram = {.boot = s->nodes[leaf].config.boot_id,
						   .sequence = t->sequence,
						   .echo_boot = t->peer_boot,
						   .echo_sequence = t->peer_sequence,
						   .ask = ask,
						   .beacon = s->nodes[leaf].beacon}});
}

void network_probe(struct sim *s, int leaf, int path)
{
	keepalive_send(s, leaf, path, true);
}

void network_keepalive(struct sim *s, const struct happening *h)
{
	struct node *n = &s->nodes[h->leaf];

	if (!n->alive || h->stamp != n->run)
		return;
	keepalive_send(s, h->leaf, h->index, false);
	queue_put(&s->queue, s->queue.now + n->config.keepalive_ms * SIM_MS, h);
}

/*
 * A boot id that is new on the path must echo a datagram of ours sent after the last word of the one before
 * it; until then it is challenged. What is answered is echoed before it is believed, as peerlink/stream does.
 */
void network_datagram(struct sim *s, const struct happening *h)
{
	const struct datagram *d = &h->datagram;
	struct node *n = &s->nodes[h->leaf];
	struct stream *t = &s->network.streams[h->leaf][h->index];

	if (!n->alive || !s->switches[h->leaf].powered)
		return;
	bool known = d->boot == t->peer_boot;
	bool ours = d->echo_boot == n->config.boot_id && d->echo_sequence > 0 &&
		    d->echo_sequence <= t->sequence && t->sequence - d->echo_sequence < STREAM_SENT;
	int64_t age = ours ? s->queue.now - t->sent[d->echo_sequence % STREAM_SENT] : -1;
	if (known && d->sequence <= t->peer_sequence)
		return;
	if (!known && (age < 0 || d->echo_sequence < t->floor)) {
		/* The challenge echoes the stranger, so that one exchange suffices. */
		struct stream kept = *t;
		t->peer_boot = d->boot;
		t->peer_sequence = d->sequence;
		if (!d->ask || age < 0)
			keepalive_send(s, h->leaf, h->index, true);
		uint32_t sequence = t->sequence;
		int64_t sent = t->sent[sequence % STREAM_SENT];
		*t = kept;
		t->sequence = sequence;
		t->sent[sequence % STREAM_SENT] = sent;
		return;
	}
	t->peer_boot = d->boot;
	t->peer_sequence = d->sequence;
	t->floor = t->sequence + 1;
	if (d->ask)
		keepalive_send(s, h->leaf, h->index, false);
	node_event(s, h->leaf,
		   &(struct event){.kind = EVENT_HEARD,
				   .heard = {.path = h->index,
					     .boot_id = d->boot,
					     .echo_ms = age < 0 ? 0 : (age + SIM_MS - 1) / SIM_MS,
					     .hears_us = age >= 0 && age <= n->config.keepalive_ms *
										n->config.multiplier * SIM_MS,
					     .beacon = d->beacon}});
}
