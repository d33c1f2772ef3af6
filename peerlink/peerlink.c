/* SPDX-License-Identifier: ISC */
/*
 * The session: which connection is it, and where do connections come from. conn.c lives through one
 *connection; this file holds at most one dialled one, at most PEERLINK_GREETERS taken ones that are not
 *sessions yet, and the session.
 *
 *	dialled --.            .-> replaces the session there is (latest wins)
 *	taken ----+-- opened --+
 *
 * Both ends judge alike: a connection becomes the session when its TLS handshake has proven the peer, and
 *whatever was the session before is closed first. So the owner sees opened and closed strictly in turns.
 *
 * The back-off starts anew only when the owner accepts a session: one that opens and is then refused is a
 *failure too.
 */
#include "peerlink/peerlink.h"
#include "peerlink/conn.h"
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <openssl/rand.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG        16
#define TAKEN_PER_WAKE 16 /* the rest waits for the loop's next turn */
#define UPKEEP_SECONDS 1
#define WHY_SIZE       640

struct listener {
	struct event *readable; /* NULL = not open; owns nothing */
	int fd;
	unsigned interface; /* index it is bound to, 0 = none */
	char why[256];      /* why it is not open */
};

struct peerlink {
	struct event_base *base;
	int node;
	struct path paths[PATH_MAX_COUNT];
	size_t path_count;
	const struct tls *tls;
	struct peerlink_owner *owner;
	struct conn_owner conn_owner; /* we, as our connections see us */
	struct conn_setup setup;

	struct conn *session;                     /* NULL = none */
	struct conn *greeters[PEERLINK_GREETERS]; /* taken, not open; oldest first */
	size_t greeter_count;

	/* Node 1 */
	int want;             /* the path the session should be on */
	struct conn *dialled; /* on its way; NULL = none */
	struct event *redial;
	int64_t redial_us; /* when it is due, monotonic */
	unsigned backoff_min_ms, backoff_max_ms;
	unsigned backoff_ms; /* the next wait, before jitter */

	/* Node 2 */
	struct listener listeners[PATH_MAX_COUNT];
	struct event *upkeep;

	char why[WHY_SIZE]; /* the last connection's end */
	struct peerlink_counters counters;
};

static struct peerlink *of(struct conn_owner *owner)
{
	return (struct peerlink *)((char *)owner - offsetof(struct peerlink, conn_owner));
}

static int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* --- dialling -------------------------------------------------------------------------------- */

/* Is there nothing to dial for? */
static bool satisfied(const struct peerlink *p)
{
	return p->want == PATH_NONE ||
	       (p->session && conn_open(p->session) && conn_path(p->session) == p->want);
}

static void dial(struct peerlink *p)
{
	assert(!p->dialled);
	event_del(p->redial);
	p->counters.dialled++;
	p->dialled = conn_dial(&p->setup, p->tls, &p->paths[p->want], p->want);
}

static void on_redial(evutil_socket_t fd, short what, void *arg)
{
	struct peerlink *p = arg;
	(void)fd, (void)what;
	if (!p->dialled && !satisfied(p))
		dial(p);
}

/* Wait between half of the back-off and all of it, so that two leaves and many pairs do not march in step. */
static void dial_later(struct peerlink *p)
{
	uint16_t random = 0;
	if (p->node != 1 || p->dialled || satisfied(p) || event_pending(p->redial, EV_TIMEOUT, NULL))
		return;
	if (RAND_bytes((unsigned char *)&random, sizeof(random)) != 1)
		random = UINT16_MAX;
	uint64_t wait_us = p->backoff_ms * (uint64_t)500 * (UINT16_MAX + (uint64_t)random) / UINT16_MAX;
	struct timeval in = {.tv_sec = (time_t)(wait_us / 1000000),
			     .tv_usec = (suseconds_t)(wait_us % 1000000)};
	event_add(p->redial, &in);
	p->redial_us = now_us() + (int64_t)wait_us;
	p->backoff_ms = 2 * p->backoff_ms < p->backoff_max_ms ? 2 * p->backoff_ms : p->backoff_max_ms;
}

static void stop_dialling(struct peerlink *p)
{
	event_del(p->redial);
	conn_destroy(p->dialled);
	p->dialled = NULL;
}

static void dial_anew(struct peerlink *p)
{
	stop_dialling(p);
	p->backoff_ms = p->backoff_min_ms;
	if (!satisfied(p))
		dial(p);
}

void peerlink_use(struct peerlink *p, int path)
{
	assert(path == PATH_NONE || (path >= 0 && (size_t)path < p->path_count));
	if (p->node != 1 || p->want == path)
		return;
	p->want = path;
	dial_anew(p);
}

void peerlink_retry_now(struct peerlink *p)
{
	if (p->node == 1 && event_pending(p->redial, EV_TIMEOUT, NULL))
		dial_anew(p);
}

void peerlink_set_remote(struct peerlink *p, int path, const struct sockaddr_storage *remote)
{
	assert(path >= 0 && (size_t)path < p->path_count);
	bool same = address_same_host(&p->paths[path].remote, remote);
	p->paths[path].remote = *remote;
	if (!same && p->node == 1 && p->want == path)
		dial_anew(p);
}

/* --- connections come, open, end ------------------------------------------------------------- */

static void forget(struct peerlink *p, const struct conn *c)
{
	if (c == p->session)
		p->session = NULL;
	if (c == p->dialled)
		p->dialled = NULL;
	for (size_t i = 0; i < p->greeter_count; i++) {
		if (p->greeters[i] != c)
			continue;
		p->greeter_count--;
		memmove(&p->greeters[i], &p->greeters[i + 1], (p->greeter_count - i) * sizeof(struct conn *));
		break;
	}
}

/* Count it, remember it, tell the owner; then the connection is gone. */
static void finish(struct peerlink *p, struct conn *c, enum peerlink_reason reason, const char *text)
{
	bool was_session = c == p->session;
	forget(p, c);
	p->counters.ended[reason]++;
	snprintf(p->why, sizeof(p->why), "%s", text);
	if (was_session)
		p->owner->closed(p->owner, reason, text);
	else
		p->owner->refused(p->owner, reason, text);
	conn_destroy(c);
}

static void on_ended(struct conn_owner *owner, struct conn *c, enum peerlink_reason reason, const char *text)
{
	struct peerlink *p = of(owner);
	finish(p, c, reason, text);
	dial_later(p);
}

static void replace(struct peerlink *p, const struct conn *newer)
{
	char text[WHY_SIZE];
	struct conn *old = p->session;
	bool closing = !conn_open(old);
	snprintf(text, sizeof(text), "%s: replaced by %s", conn_label(old), conn_label(newer));
	finish(p, old, closing ? PEERLINK_CLOSED_HERE : PEERLINK_REPLACED, text);
}

static void on_opened(struct conn_owner *owner, struct conn *c)
{
	struct peerlink *p = of(owner);
	forget(p, c);
	if (p->session)
		replace(p, c);
	p->session = c;
	p->counters.opened++;
	p->why[0] = '\0';
	p->owner->opened(p->owner, conn_path(c));
}

static void on_frame(struct conn_owner *owner, struct conn *c, const uint8_t *bytes, size_t len)
{
	struct peerlink *p = of(owner);
	(void)c;
	p->counters.frames_in++;
	p->counters.bytes_in += len;
	p->owner->frame(p->owner, bytes, len);
}

static void on_writable(struct conn_owner *owner, struct conn *c)
{
	struct peerlink *p = of(owner);
	(void)c;
	p->owner->writable(p->owner);
}

/* --- listening ------------------------------------------------------------------------------- */

static bool from_peer(const struct peerlink *p, const struct sockaddr_storage *remote)
{
	for (size_t i = 0; i < p->path_count; i++) {
		if (address_same_host(&p->paths[i].remote, remote))
			return true;
	}
	return false;
}

/* Room for one more stranger? The peer's own address may push out the oldest that is not (behind it in the
 * queue). */
static bool make_room(struct peerlink *p, const struct sockaddr_storage *remote)
{
	size_t unaccepted = p->session && !conn_accepted(p->session) ? 1 : 0;
	if (p->greeter_count + unaccepted < PEERLINK_GREETERS)
		return true;
	for (size_t i = 0; from_peer(p, remote) && i < p->greeter_count; i++) {
		struct conn *c = p->greeters[i];
		char text[WHY_SIZE];
		if (from_peer(p, conn_remote(c)))
			continue;
		snprintf(text, sizeof(text), "%s: made room for the peer's address", conn_label(c));
		finish(p, c, PEERLINK_TOO_MANY, text);
		return true;
	}
	return false;
}

static void take(struct peerlink *p, int path, int fd, const struct sockaddr_storage *remote)
{
	char address[ADDRESS_TEXT_SIZE], text[WHY_SIZE];
	p->counters.arrived++;
	if (make_room(p, remote)) {
		p->greeters[p->greeter_count++] =
		    conn_take(&p->setup, p->tls, &p->paths[path], path, fd, remote);
		return;
	}
	close(fd);
	p->counters.ended[PEERLINK_TOO_MANY]++;
	snprintf(text, sizeof(text), "connection from %s over %s: %d others are not accepted yet",
		 address_format(remote, address), p->paths[path].name, PEERLINK_GREETERS);
	p->owner->refused(p->owner, PEERLINK_TOO_MANY, text);
}

static int listener_path(const struct peerlink *p, evutil_socket_t fd)
{
	int path = 0;
	while (p->listeners[path].fd != fd)
		path++;
	return path;
}

static void on_arrival(evutil_socket_t fd, short what, void *arg)
{
	struct peerlink *p = arg;
	int path = listener_path(p, fd);
	(void)what;
	for (int i = 0; i < TAKEN_PER_WAKE; i++) {
		struct sockaddr_storage remote = {0};
		socklen_t size = sizeof(remote);
		int taken = accept4(fd, (struct sockaddr *)&remote, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (taken >= 0) {
			take(p, path, taken, &remote);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			event_del(p->listeners[path].readable); /* upkeep tries again */
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			return;
		}
	}
}

static void close_listener(struct listener *l)
{
	if (!l->readable)
		return;
	event_free(l->readable);
	close(l->fd);
	*l = (struct listener){.fd = -1};
}

static void open_listener(struct peerlink *p, int path)
{
	struct listener *l = &p->listeners[path];
	const struct path *at = &p->paths[path];
	unsigned interface = at->interface[0] ? if_nametoindex(at->interface) : 0;
	int fd = path_socket(at, SOCK_STREAM, at->port, l->why, sizeof(l->why));
	if (fd < 0)
		return;
	if (listen(fd, BACKLOG) < 0) {
		snprintf(l->why, sizeof(l->why), "%s: cannot listen: %s", at->name, strerror(errno));
		close(fd);
		return;
	}
	*l = (struct listener){.fd = fd, .interface = interface};
	l->readable = event_new(p->base, fd, EV_READ | EV_PERSIST, on_arrival, p);
	if (!l->readable || event_add(l->readable, NULL) < 0)
		abort();
}

/* Open what is not open, and what is bound to an interface that was made anew under the same name. */
static void on_upkeep(evutil_socket_t fd, short what, void *arg)
{
	struct peerlink *p = arg;
	(void)fd, (void)what;
	for (size_t i = 0; i < p->path_count; i++) {
		struct listener *l = &p->listeners[i];
		if (l->readable && l->interface && if_nametoindex(p->paths[i].interface) != l->interface)
			close_listener(l);
		if (!l->readable)
			open_listener(p, (int)i);
		else
			event_add(l->readable, NULL);
	}
}

/* --- what the owner calls -------------------------------------------------------------------- */

static unsigned or_default(unsigned ms, unsigned fallback)
{
	return ms ? ms : fallback;
}

struct peerlink *peerlink_create(struct event_base *base, const struct peerlink_config *config)
{
	assert(config->path_count >= 1 && config->path_count <= PATH_MAX_COUNT);
	assert(config->node == 1 || config->node == 2);
	assert(config->greeting_limit >= 1 && config->frame_limit >= config->greeting_limit);
	struct peerlink *p = calloc(1, sizeof(*p));
	if (!p)
		abort();
	p->base = base;
	p->node = config->node;
	p->path_count = config->path_count;
	memcpy(p->paths, config->paths, config->path_count * sizeof(p->paths[0]));
	p->tls = config->tls;
	p->owner = config->owner;
	p->want = PATH_NONE;
	p->backoff_min_ms = or_default(config->backoff_min_ms, 100);
	p->backoff_max_ms = or_default(config->backoff_max_ms, 5000);
	p->backoff_ms = p->backoff_min_ms;
	p->conn_owner = (struct conn_owner){
	    .opened = on_opened, .frame = on_frame, .writable = on_writable, .ended = on_ended};
	p->setup = (struct conn_setup){
	    .base = base,
	    .owner = &p->conn_owner,
	    .greeting_limit = config->greeting_limit,
	    .frame_limit = config->frame_limit,
	    .connect_ms = or_default(config->connect_ms, 2000),
	    .greeting_ms = or_default(config->greeting_ms, 5000),
	    .linger_ms = or_default(config->linger_ms, 500),
	};
	for (size_t i = 0; i < PATH_MAX_COUNT; i++)
		p->listeners[i].fd = -1;
	p->redial = event_new(base, -1, 0, on_redial, p);
	p->upkeep = event_new(base, -1, EV_PERSIST, on_upkeep, p);
	if (!p->redial || !p->upkeep)
		abort();
	if (p->node == 2) {
		struct timeval every = {.tv_sec = UPKEEP_SECONDS};
		on_upkeep(-1, 0, p);
		event_add(p->upkeep, &every);
	}
	return p;
}

void peerlink_destroy(struct peerlink *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < PATH_MAX_COUNT; i++)
		close_listener(&p->listeners[i]);
	for (size_t i = 0; i < p->greeter_count; i++)
		conn_destroy(p->greeters[i]);
	conn_destroy(p->dialled);
	conn_destroy(p->session);
	event_free(p->redial);
	event_free(p->upkeep);
	free(p);
}

void peerlink_accept(struct peerlink *p)
{
	if (!p->session || !conn_open(p->session) || conn_accepted(p->session))
		return;
	conn_accept(p->session);
	p->counters.accepted++;
	p->backoff_ms = p->backoff_min_ms;
}

int peerlink_send(struct peerlink *p, const uint8_t *bytes, size_t len)
{
	int room = p->session ? conn_send(p->session, bytes, len) : -ENOTCONN;
	if (room >= 0) {
		p->counters.frames_out++;
		p->counters.bytes_out += len;
	}
	return room;
}

size_t peerlink_room(const struct peerlink *p)
{
	return p->session ? conn_room(p->session) : 0;
}

void peerlink_close(struct peerlink *p, const char *text)
{
	if (p->session)
		conn_close(p->session, text);
}

int peerlink_path(const struct peerlink *p)
{
	return p->session && conn_open(p->session) ? conn_path(p->session) : PATH_NONE;
}

bool peerlink_idle(const struct peerlink *p)
{
	return !p->session;
}

/* --- why is there no session ----------------------------------------------------------------- */

static void why_dialling(const struct peerlink *p, char *text, size_t size)
{
	const char *last = p->why[0] ? p->why : "not tried yet";
	if (p->dialled) {
		snprintf(text, size, "%s%s%s: under way", p->why, p->why[0] ? "; " : "",
			 conn_label(p->dialled));
	} else if (event_pending(p->redial, EV_TIMEOUT, NULL)) {
		int64_t wait_us = p->redial_us - now_us();
		snprintf(text, size, "%s; next try in %.1f s", last, wait_us > 0 ? (double)wait_us / 1e6 : 0);
	} else {
		snprintf(text, size, "%s%sno path to dial", p->why, p->why[0] ? "; " : "");
	}
}

static void why_listening(const struct peerlink *p, char *text, size_t size)
{
	int used = snprintf(text, size, "%s%swaiting for the peer to connect", p->why, p->why[0] ? "; " : "");
	for (size_t i = 0; i < p->path_count && used >= 0 && (size_t)used < size; i++) {
		if (!p->listeners[i].readable)
			used += snprintf(text + used, size - (size_t)used, "; %s", p->listeners[i].why);
	}
}

void peerlink_why(const struct peerlink *p, char *text, size_t size)
{
	if (p->session)
		snprintf(text, size, "%s", conn_open(p->session) ? "" : "being closed");
	else if (p->node == 1)
		why_dialling(p, text, size);
	else
		why_listening(p, text, size);
}

const struct peerlink_counters *peerlink_counters(const struct peerlink *p)
{
	return &p->counters;
}

const char *peerlink_reason_text(enum peerlink_reason reason)
{
	static const char *const texts[PEERLINK_REASON_COUNT] = {
#define X(name, words) [name] = (words),
	    PEERLINK_REASONS(X)
#undef X
	};
	return reason < PEERLINK_REASON_COUNT ? texts[reason] : "unknown";
}
