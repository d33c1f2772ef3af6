/* SPDX-License-Identifier: ISC */
/*
 * One connection.
 *
 *	dial: CONNECTING ----------------.
 *	take: WAITING (for a ClientHello) +-> HANDSHAKE -> OPEN -> FLUSHING -> LINGERING -> ENDED
 *
 * WAITING costs a stranger's connection a descriptor and this struct: TLS is set up only when the first bytes
 *look like a ClientHello of sane size (OpenSSL would make room for 128 KiB). From then on TLS is libevent's
 *bufferevent_openssl with deferred callbacks. Two of its traps shape this file:
 *   - a read watermark can stall it for good (data left inside SSL wakes nobody), so there is none: each
 *reading is bounded by itself, and frames are cut and handed on before the next;
 *   - its fd belongs to the loop until the bufferevent is finalized, so nothing here touches it after
 *bufferevent_free.
 *
 * Closing: what is queued is written, then close_notify and FIN, and then we read on until the peer's FIN (or
 *the linger time), because closing a socket with unread bytes sends RST, and an RST can destroy a Goodbye
 *that is not read yet.
 *
 * One timer serves all states, for each has exactly one deadline.
 */
#include "peerlink/conn.h"
#include "proto/frame.h"
#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELLO_PEEK      9            /* TLS record head (5) and handshake head (4) */
#define HELLO_MAX       (16 * 1024)  /* a ClientHello of ours has some 300 bytes */
#define UNSENT_MAX      (128 * 1024) /* in the kernel: what a frame that cannot wait may stand behind */
#define USER_TIMEOUT_MS 10000        /* the kernel gives up on unacknowledged data */
#define LABEL_SIZE      (ADDRESS_TEXT_SIZE + PATH_NAME_SIZE + 32)
#define TEXT_SIZE       (LABEL_SIZE + 320)

enum conn_state {
	CONN_CONNECTING,
	CONN_WAITING,
	CONN_HANDSHAKE,
	CONN_OPEN,
	CONN_FLUSHING,  /* closed by us; the queue is being written */
	CONN_LINGERING, /* all written, FIN sent; waiting for the peer's */
	CONN_ENDED,     /* `ended` was called or is about to be */
};

struct conn {
	const struct conn_setup *setup;
	const struct tls *tls; /* until HANDSHAKE is over */
	enum conn_state state;
	int path;
	struct sockaddr_storage remote;
	int fd;                  /* until `bev` owns it; -1 then */
	struct event *io;        /* CONNECTING: writable, WAITING: readable */
	struct event *timer;     /* the state's deadline */
	struct bufferevent *bev; /* from HANDSHAKE on */
	bool accepted;           /* limits for strangers lifted */
	bool starved;            /* over PEERLINK_QUEUE_LOW since `writable` was called last */
	enum peerlink_reason reason;
	char label[LABEL_SIZE];
	char text[TEXT_SIZE]; /* why it ended, or is being closed */
};

/* --- the end --------------------------------------------------------------------------------- */

static void arm(const struct conn *c, unsigned ms)
{
	struct timeval in = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
	event_add(c->timer, &in);
}

static void set_end(struct conn *c, enum peerlink_reason reason, const char *what)
{
	c->state = CONN_ENDED;
	c->reason = reason;
	snprintf(c->text, sizeof(c->text), "%s: %s", c->label, what);
}

/* The one door out, from the loop only. `c` may be gone when it returns. */
static void end(struct conn *c, enum peerlink_reason reason, const char *what)
{
	if (c->state == CONN_FLUSHING ||
	    c->state == CONN_LINGERING) { /* closed by us, with our text, whatever came */
		c->state = CONN_ENDED;
		c->reason = PEERLINK_CLOSED_HERE;
	} else {
		set_end(c, reason, what);
	}
	c->setup->owner->ended(c->setup->owner, c, c->reason, c->text);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	(void)fd, (void)what;
	switch (c->state) {
	case CONN_CONNECTING:
		end(c, PEERLINK_UNREACHABLE, "no answer in time");
		break;
	case CONN_WAITING:
	case CONN_HANDSHAKE:
		end(c, PEERLINK_TIMEOUT, "no TLS session in time");
		break;
	case CONN_OPEN:
		end(c, PEERLINK_TIMEOUT, "no Hello accepted in time");
		break;
	case CONN_FLUSHING:
	case CONN_LINGERING:
		end(c, PEERLINK_CLOSED_HERE, "");
		break;
	case CONN_ENDED: /* failed at once, inside conn_dial */
		c->setup->owner->ended(c->setup->owner, c, c->reason, c->text);
		break;
	}
}

/* --- frames ---------------------------------------------------------------------------------- */

static void cut_frames(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	while (c->state == CONN_OPEN) {
		uint8_t head[FRAME_HEAD];
		struct frame frame;
		size_t limit = c->accepted ? c->setup->frame_limit : c->setup->greeting_limit;
		ev_ssize_t got = evbuffer_copyout(in, head, sizeof(head));
		enum frame_status status = frame_cut(head, got < 0 ? 0 : (size_t)got, limit, &frame);
		if (status == FRAME_MORE && evbuffer_get_length(in) >= frame.whole)
			status = frame_cut(evbuffer_pullup(in, (ev_ssize_t)frame.whole), frame.whole, limit,
					   &frame);
		switch (status) {
		case FRAME_MORE:
			return;
		case FRAME_EMPTY:
			end(c, PEERLINK_EMPTY, frame_status_text(status));
			return;
		case FRAME_OVERSIZE:
			end(c, PEERLINK_OVERSIZE, frame_status_text(status));
			return;
		case FRAME_READY:
			c->setup->owner->frame(c->setup->owner, c, frame.payload, frame.len);
			evbuffer_drain(in, frame.whole);
			break;
		}
	}
}

static size_t queued(const struct conn *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

size_t conn_room(const struct conn *c)
{
	if (c->state != CONN_OPEN)
		return 0;
	size_t used = queued(c);
	return used < PEERLINK_QUEUE_HIGH ? PEERLINK_QUEUE_HIGH - used : 0;
}

int conn_send(struct conn *c, const uint8_t *bytes, size_t len)
{
	if (c->state != CONN_OPEN)
		return -ENOTCONN;
	if (len == 0 || len > c->setup->frame_limit)
		return -EMSGSIZE;
	if (queued(c) >= PEERLINK_QUEUE_HARD)
		return -ENOBUFS;
	/* One reservation for head and payload: one TLS record for a small frame, and no buffer per frame. */
	struct evbuffer *out = bufferevent_get_output(c->bev);
	struct evbuffer_iovec space;
	if (evbuffer_reserve_space(out, (ev_ssize_t)(FRAME_HEAD + len), &space, 1) != 1)
		abort();
	frame_head(space.iov_base, len);
	memcpy((uint8_t *)space.iov_base + FRAME_HEAD, bytes, len);
	space.iov_len = FRAME_HEAD + len;
	if (evbuffer_commit_space(out, &space, 1) < 0)
		abort();
	c->starved |= queued(c) > PEERLINK_QUEUE_LOW;
	return (int)conn_room(c);
}

/* --- closing --------------------------------------------------------------------------------- */

static void say_close(const struct conn *c)
{
	SSL *ssl = bufferevent_openssl_get_ssl(c->bev);
	SSL_shutdown(ssl); /* close_notify; when it cannot be written the FIN must do */
	ERR_clear_error();
}

static void linger(struct conn *c)
{
	c->state = CONN_LINGERING;
	say_close(c);
	shutdown(bufferevent_getfd(c->bev), SHUT_WR);
}

void conn_close(struct conn *c, const char *text)
{
	if (c->state != CONN_OPEN)
		return;
	c->state = CONN_FLUSHING;
	snprintf(c->text, sizeof(c->text), "%s", text);
	arm(c, c->setup->linger_ms);
	bufferevent_setwatermark(c->bev, EV_WRITE, 0, 0);
	if (queued(c) == 0)
		linger(c);
}

/* --- TLS ------------------------------------------------------------------------------------- */

static void on_read(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;
	if (c->state == CONN_OPEN)
		cut_frames(c);
	else
		evbuffer_drain(bufferevent_get_input(bev), SIZE_MAX);
}

static void on_write(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;
	(void)bev;
	if (c->state == CONN_FLUSHING && queued(c) == 0)
		linger(c);
	if (c->state == CONN_OPEN && c->starved && queued(c) <= PEERLINK_QUEUE_LOW) {
		c->starved = false;
		c->setup->owner->writable(c->setup->owner, c);
	}
}

static void on_tls_error(struct conn *c, int error)
{
	char what[256];
	unsigned long code = bufferevent_get_openssl_error(c->bev);
	enum tls_fault fault =
	    tls_explain(bufferevent_openssl_get_ssl(c->bev), code, error, what, sizeof(what));
	bool open = c->state == CONN_OPEN;
	switch (fault) {
	case TLS_FAULT_IDENTITY: /* open too: the listener judges us after we are done (RFC 8446 4.4.2) */
		end(c, PEERLINK_IDENTITY, what);
		return;
	case TLS_FAULT_HANDSHAKE:
	case TLS_FAULT_BROKEN:
		end(c, open ? PEERLINK_LOST : PEERLINK_HANDSHAKE, what);
		return;
	}
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct conn *c = arg;
	int error = EVUTIL_SOCKET_ERROR();
	if (what & BEV_EVENT_CONNECTED) {
		c->state = CONN_OPEN;
		c->tls = NULL;
		bufferevent_setwatermark(bev, EV_WRITE, PEERLINK_QUEUE_LOW, 0);
		c->setup->owner->opened(c->setup->owner, c);
	} else if (what & BEV_EVENT_EOF) {
		end(c, c->state == CONN_OPEN ? PEERLINK_CLOSED_PEER : PEERLINK_HANDSHAKE,
		    "closed by the peer");
	} else {
		on_tls_error(c, error);
	}
}

static void start_tls(struct conn *c, bool dialer)
{
	event_del(c->io);
	c->state = CONN_HANDSHAKE;
	c->bev =
	    bufferevent_openssl_socket_new(c->setup->base, c->fd, tls_session(c->tls, dialer),
					   dialer ? BUFFEREVENT_SSL_CONNECTING : BUFFEREVENT_SSL_ACCEPTING,
					   BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!c->bev)
		abort();
	c->fd = -1;
	bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

/* --- TCP ------------------------------------------------------------------------------------- */

/* None of these can fail on a TCP socket, and each is an improvement rather than a need. */
static void tune(int fd)
{
	static const struct {
		int level, option, value;
	} options[] = {
	    {IPPROTO_TCP, TCP_NODELAY, 1},
	    {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
	    {IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_MAX},
	    {SOL_SOCKET, SO_KEEPALIVE, 1},
	    {IPPROTO_TCP, TCP_KEEPIDLE, 5},
	    {IPPROTO_TCP, TCP_KEEPINTVL, 2},
	    {IPPROTO_TCP, TCP_KEEPCNT, 3},
	};
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void)setsockopt(fd, options[i].level, options[i].option, &options[i].value, sizeof(int));
}

static void on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	int error = 0;
	socklen_t size = sizeof(error);
	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (error) {
		end(c, PEERLINK_UNREACHABLE, strerror(error));
		return;
	}
	arm(c, c->setup->greeting_ms);
	start_tls(c, true);
}

/* RFC 8446 5.1 and 4: a record of type 22, and in it a handshake message of type 1 with a length of 3 bytes.
 */
static bool looks_like_hello(const uint8_t *bytes)
{
	size_t len = (size_t)bytes[6] << 16 | (size_t)bytes[7] << 8 | bytes[8];
	return bytes[0] == 22 && bytes[1] == 3 && bytes[5] == 1 && len <= HELLO_MAX;
}

static void on_first_bytes(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	uint8_t bytes[HELLO_PEEK];
	(void)what;
	ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_PEEK);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got < 0) {
		end(c, PEERLINK_HANDSHAKE, strerror(errno));
	} else if (got < HELLO_PEEK) { /* the kernel wakes us for less only at the end of the stream */
		end(c, PEERLINK_HANDSHAKE, "closed before a TLS ClientHello");
	} else if (!looks_like_hello(bytes)) {
		end(c, PEERLINK_HANDSHAKE, "does not begin with a TLS ClientHello");
	} else {
		int one = 1;
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
		start_tls(c, false);
	}
}

static struct conn *create(const struct conn_setup *setup, const struct tls *tls, int index,
			   const struct sockaddr_storage *remote)
{
	struct conn *c = calloc(1, sizeof(*c));
	if (!c)
		abort();
	c->setup = setup;
	c->tls = tls;
	c->path = index;
	c->remote = *remote;
	c->fd = -1;
	c->timer = event_new(setup->base, -1, 0, on_timer, c);
	if (!c->timer)
		abort();
	return c;
}

static void watch(struct conn *c, short what, event_callback_fn then, unsigned ms)
{
	c->io = event_new(c->setup->base, c->fd, (short)(what | EV_PERSIST), then, c);
	if (!c->io || event_add(c->io, NULL) < 0)
		abort();
	arm(c, ms);
}

struct conn *conn_dial(const struct conn_setup *setup, const struct tls *tls, const struct path *path,
		       int index)
{
	struct sockaddr_storage to = path_toward(path, &path->remote);
	struct conn *c = create(setup, tls, index, &to);
	char address[ADDRESS_TEXT_SIZE], why[256];
	c->state = CONN_CONNECTING;
	snprintf(c->label, sizeof(c->label), "connect %s over %s", address_format(&to, address), path->name);
	if (!path->remote.ss_family) {
		set_end(c, PEERLINK_UNREACHABLE, "the peer's address is not known yet");
	} else if ((c->fd = path_socket(path, SOCK_STREAM, 0, why, sizeof(why))) < 0) {
		set_end(c, PEERLINK_UNREACHABLE, why);
	} else if (tune(c->fd),
		   connect(c->fd, (struct sockaddr *)&to, address_length(&to)) < 0 && errno != EINPROGRESS) {
		set_end(c, PEERLINK_UNREACHABLE, strerror(errno));
	}
	if (c->state == CONN_ENDED)
		arm(c, 0);
	else
		watch(c, EV_WRITE, on_connected, setup->connect_ms);
	return c;
}

struct conn *conn_take(const struct conn_setup *setup, const struct tls *tls, const struct path *path,
		       int index, int fd, const struct sockaddr_storage *remote)
{
	struct conn *c = create(setup, tls, index, remote);
	char address[ADDRESS_TEXT_SIZE];
	int enough = HELLO_PEEK;
	c->state = CONN_WAITING;
	c->fd = fd;
	snprintf(c->label, sizeof(c->label), "connection from %s over %s", address_format(remote, address),
		 path->name);
	tune(fd);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &enough, sizeof(enough));
	watch(c, EV_READ, on_first_bytes, setup->greeting_ms);
	return c;
}

void conn_destroy(struct conn *c)
{
	if (!c)
		return;
	event_free(c->timer);
	if (c->io)
		event_free(c->io);
	if (c->bev) {
		if (c->state == CONN_OPEN || c->state == CONN_FLUSHING)
			say_close(c);
		bufferevent_free(c->bev);
	}
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

/* --- views ----------------------------------------------------------------------------------- */

void conn_accept(struct conn *c)
{
	if (c->state != CONN_OPEN || c->accepted)
		return;
	c->accepted = true;
	event_del(c->timer);
}

bool conn_accepted(const struct conn *c)
{
	return c->accepted;
}

bool conn_open(const struct conn *c)
{
	return c->state == CONN_OPEN;
}

int conn_path(const struct conn *c)
{
	return c->path;
}

const struct sockaddr_storage *conn_remote(const struct conn *c)
{
	return &c->remote;
}

const char *conn_label(const struct conn *c)
{
	return c->label;
}
