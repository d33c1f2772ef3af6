/* SPDX-License-Identifier: ISC */
/*
 * rtnetlink - sockets to the kernel.
 *
 * Plain sockets, libnl's messages: nl_recvmsgs() allocates for every datagram and gives up at ENOBUFS, while
 * this room reads hundreds of thousands of messages a second and must see every overrun. So receiving is a
 * recvmsg() into one buffer per socket, and libnl builds and cuts the messages.
 *
 * Listener and overrun. When a socket's queue overflows the kernel drops every further message, silently,
 * until the queue has run empty (NETLINK_S_CONGESTED), and says ENOBUFS once. What was queued before is older
 * than the dump that will follow and would undo it. So after ENOBUFS the queue is thrown away up to its end,
 * in turns of the loop like any other reading, and only then the owner is told, who starts a dump.
 *
 * Dump. A socket per dump, closed at its end: giving a dump up is close(), and no left-over answer can be
 * taken for one of the next. One recvmsg() a turn; the kernel makes the next portion inside that call, so a
 * dump of any size costs the loop a portion at a time.
 *
 * Writer. rtnetlink does the work inside send(); the answer is queued when send() returns. Nothing is waited
 * for: an answer that is not there then was lost.
 */
#include "netlink/rtnetlink.h"
#include "netlink/internal.h"
#include <errno.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_SIZE   (64 * 1024) /* the kernel fills dumps up to 32 KiB; no notification is larger */
#define ANSWER_BUFFER (1 << 20)   /* receive buffer of the writer: every message of a batch may be refused */
#define DUMP_ATTEMPTS 16          /* interrupted dumps in a row before giving up */
#define TEXT_SIZE     256

/* --- sockets ---------------------------------------------------------------------------------- */

static int socket_open(int *fd_out, int protocol, char *err, size_t errlen)
{
	struct sockaddr_nl self = {.nl_family = AF_NETLINK};
	int one = 1;
	int error;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);

	if (fd < 0) {
		error = -errno;
		netlink_explain(err, errlen, "netlink socket: %s", strerror(-error));
		return error;
	}
	if (bind(fd, (struct sockaddr *)&self, sizeof(self)) ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one))) {
		error = -errno;
		netlink_explain(err, errlen, "netlink socket options: %s", strerror(-error));
		close(fd);
		return error;
	}
	/* Linux 4.20: a filter in a dump request that the kernel does not know is an error, not ignored. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
	*fd_out = fd;
	return 0;
}

static void receive_buffer_set(int fd, int bytes)
{
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

/* Bytes of one datagram from the kernel, or -errno: -EAGAIN nothing, -EPROTO not from the kernel or cut. */
static ssize_t receive(int fd, void *buffer)
{
	struct sockaddr_nl from = {0};
	struct iovec io = {.iov_base = buffer, .iov_len = BUFFER_SIZE};
	struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &io, .msg_iovlen = 1};
	ssize_t n = TEMP_FAILURE_RETRY(recvmsg(fd, &m, 0));

	if (n < 0)
		return -errno;
	if (m.msg_namelen != sizeof(from) || from.nl_pid != 0 || (m.msg_flags & MSG_TRUNC) ||
	    n < NLMSG_HDRLEN)
		return -EPROTO;
	return n;
}

static int event_start(struct event **out, struct event_base *base, int fd, enum netlink_priority priority,
		       event_callback_fn fn, void *arg)
{
	struct event *event;

	if (event_base_get_npriorities(base) < NETLINK_PRIORITIES)
		return -EINVAL;
	event = event_new(base, fd, EV_READ | EV_PERSIST, fn, arg);
	if (!event)
		abort();
	must(event_priority_set(event, (int)priority) || event_add(event, NULL));
	*out = event;
	return 0;
}

/* What an NLMSG_ERROR or NLMSG_DONE says: its code, and its words (the kernel's if it gave some). */
static int verdict(const struct nlmsghdr *header, char *text, size_t size)
{
	static struct nla_policy policy[NLMSGERR_ATTR_MAX + 1] = {[NLMSGERR_ATTR_MSG] = {.type = NLA_STRING}};
	struct nlattr *attrs[NLMSGERR_ATTR_MAX + 1];
	size_t length = header->nlmsg_len - NLMSG_HDRLEN;
	size_t skip = sizeof(int);
	const uint8_t *payload = (const uint8_t *)header + NLMSG_HDRLEN;
	int error;

	if (length < sizeof(error)) {
		(void)snprintf(text, size, "malformed answer");
		return -EPROTO;
	}
	memcpy(&error, payload, sizeof(error));
	(void)snprintf(text, size, "%s", strerror(-error));
	if (header->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *body = (const void *)payload;

		if (length < sizeof(*body))
			return error;
		skip = sizeof(*body);
		if (!(header->nlmsg_flags & NLM_F_CAPPED) && body->msg.nlmsg_len >= NLMSG_HDRLEN)
			skip += NLMSG_ALIGN(body->msg.nlmsg_len) - NLMSG_HDRLEN;
	}
	if (!(header->nlmsg_flags & NLM_F_ACK_TLVS) || length < skip)
		return error;
	if (nla_parse(attrs, NLMSGERR_ATTR_MAX, (struct nlattr *)(payload + skip), (int)(length - skip),
		      policy) == 0 &&
	    attrs[NLMSGERR_ATTR_MSG])
		nla_strlcpy(text, attrs[NLMSGERR_ATTR_MSG], size);
	return error;
}

/* --- listener --------------------------------------------------------------------------------- */

struct netlink_listener {
	struct netlink_listener_handler *handler;
	struct netlink_listener_counters counters;
	struct event *event;
	int fd;
	unsigned budget;
	bool paused;
	bool lost; /* overflowed: throwing away up to the end of the queue */
	alignas(struct nlmsghdr) uint8_t buffer[BUFFER_SIZE];
};

static void listener_deliver(struct netlink_listener *l, ssize_t length)
{
	struct nlmsghdr *header = (void *)l->buffer;
	int left = (int)length;

	for (; nlmsg_ok(header, left); header = nlmsg_next(header, &left)) {
		l->counters.messages++;
		l->handler->message(l->handler, header);
	}
	if (left > 0)
		l->counters.refused++;
}

/*
 * Wait for messages; after an overflow come back at once as well, since an emptied queue wakes nobody. A
 * timeout that fires takes even a persistent event off, and one that has not must go: so off first, then on.
 */
static void listener_arm(struct netlink_listener *l)
{
	const struct timeval now = {0};

	must(event_del(l->event) || event_add(l->event, l->lost ? &now : NULL));
}

/* False: there is no more to read for now. */
static bool listener_read(struct netlink_listener *l, int fd)
{
	ssize_t n = receive(fd, l->buffer);

	if (n == -EAGAIN) {
		if (!l->lost)
			return false;
		l->lost = false;
		listener_arm(l);
		l->handler->overrun(l->handler);
		return false;
	}
	if (n == -ENOBUFS) {
		l->counters.overruns++;
		l->lost = true;
	} else if (n < 0) {
		l->counters.refused++;
	} else if (l->lost) {
		l->counters.discarded++;
	} else {
		listener_deliver(l, n);
	}
	return true;
}

static void listener_readable(evutil_socket_t fd, short what, void *arg)
{
	struct netlink_listener *l = arg;
	bool more = true;

	(void)what;
	for (unsigned i = 0; more && i < l->budget && !l->paused; i++)
		more = listener_read(l, fd);
	if (more && l->lost)
		listener_arm(l);
	if (l->handler->turn)
		l->handler->turn(l->handler);
}

/* Let the kernel drop what is of another family, before it takes room in the queue. */
static int listener_filter(int fd, uint8_t family)
{
	/* the family is the first byte behind the header in ifinfomsg, ndmsg, rtmsg and all their kin */
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NLMSG_HDRLEN),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, family, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ? -errno : 0;
}

int netlink_listener_open(struct netlink_listener **out, struct event_base *base,
			  const struct netlink_listener_config *config,
			  struct netlink_listener_handler *handler, char *err, size_t errlen)
{
	struct netlink_listener *l;
	int fd = -1;
	int error = socket_open(&fd, config->protocol, err, errlen);

	if (error)
		return error;
	l = zalloc(sizeof(*l));
	l->fd = fd;
	l->handler = handler;
	l->budget = config->budget;
	receive_buffer_set(fd, config->receive_buffer);
	error = config->family ? listener_filter(fd, config->family) : 0;
	if (!error &&
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &config->group, sizeof(config->group)))
		error = -errno;
	if (error) {
		netlink_explain(err, errlen, "netlink group %u: %s", config->group, strerror(-error));
		goto fail;
	}
	error = event_start(&l->event, base, fd, config->priority, listener_readable, l);
	if (error) {
		netlink_explain(err, errlen, "the event base has not %d priorities", NETLINK_PRIORITIES);
		goto fail;
	}
	*out = l;
	return 0;
fail:
	netlink_listener_close(l);
	return error;
}

void netlink_listener_close(struct netlink_listener *l)
{
	if (!l)
		return;
	if (l->event)
		event_free(l->event);
	close(l->fd);
	free(l);
}

const struct netlink_listener_counters *netlink_listener_counters(const struct netlink_listener *l)
{
	return &l->counters;
}

int netlink_listener_receive_buffer(const struct netlink_listener *l)
{
	int bytes = 0;
	socklen_t size = sizeof(bytes);

	(void)getsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &bytes, &size);
	return bytes;
}

void netlink_listener_pause(struct netlink_listener *l, bool paused)
{
	if (l->paused == paused)
		return;
	l->paused = paused;
	if (paused)
		must(event_del(l->event));
	else
		listener_arm(l);
}

/* --- dump ------------------------------------------------------------------------------------- */

struct netlink_dump {
	struct netlink_dump_handler *handler;
	struct event_base *base;
	struct event *event;    /* NULL while no dump runs, and then fd is -1 */
	struct nl_msg *request; /* of the dump under way or the last one */
	uint64_t restarts;
	unsigned attempts; /* of this dump */
	int fd;
	uint32_t sequence;
	enum netlink_priority priority;
	alignas(struct nlmsghdr) uint8_t buffer[BUFFER_SIZE];
};

static void dump_readable(evutil_socket_t fd, short what, void *arg);

static void dump_stop(struct netlink_dump *d)
{
	if (d->event)
		event_free(d->event);
	d->event = NULL;
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

/* Ask on a new socket. On failure no dump runs. */
static int dump_ask(struct netlink_dump *d, char *err, size_t errlen)
{
	struct nlmsghdr *header = nlmsg_hdr(d->request);
	int error;

	dump_stop(d);
	error = socket_open(&d->fd, NETLINK_ROUTE, err, errlen);
	if (error)
		return error;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	header->nlmsg_seq = ++d->sequence;
	if (send(d->fd, header, header->nlmsg_len, 0) < 0) {
		error = -errno;
		netlink_explain(err, errlen, "netlink dump: %s", strerror(-error));
	} else {
		error = event_start(&d->event, d->base, d->fd, d->priority, dump_readable, d);
		if (error)
			netlink_explain(err, errlen, "the event base has not %d priorities",
					NETLINK_PRIORITIES);
	}
	if (error)
		dump_stop(d);
	return error;
}

static void dump_finish(struct netlink_dump *d, int status, const char *text)
{
	dump_stop(d);
	d->handler->end(d->handler, status, text);
}

/* The table changed between two portions: what was told is not a state the kernel ever was in. */
static void dump_again(struct netlink_dump *d)
{
	char text[TEXT_SIZE];
	int error;

	d->restarts++;
	if (++d->attempts >= DUMP_ATTEMPTS) {
		dump_finish(d, -EINTR, "the table changed during every attempt to dump it");
		return;
	}
	error = dump_ask(d, text, sizeof(text));
	if (error)
		dump_finish(d, error, text);
	else
		d->handler->begin(d->handler);
}

/* One message of the dump. False when the dump is over, or starts again: the buffer is not ours any more. */
static bool dump_message(struct netlink_dump *d, const struct nlmsghdr *header)
{
	char text[TEXT_SIZE];
	int error;

	if (header->nlmsg_seq != d->sequence)
		return true;
	if (header->nlmsg_flags & NLM_F_DUMP_INTR) {
		dump_again(d);
		return false;
	}
	if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) {
		error = verdict(header, text, sizeof(text));
		dump_finish(d, error, error ? text : "");
		return false;
	}
	d->handler->message(d->handler, header);
	return true;
}

static void dump_readable(evutil_socket_t fd, short what, void *arg)
{
	struct netlink_dump *d = arg;
	ssize_t n = receive(fd, d->buffer);
	struct nlmsghdr *header = (void *)d->buffer;
	int left = (int)n;

	(void)what;
	if (n == -EAGAIN || n == -EPROTO)
		return;
	if (n < 0) {
		dump_finish(d, (int)n, strerror((int)-n));
		return;
	}
	for (; nlmsg_ok(header, left); header = nlmsg_next(header, &left)) {
		if (!dump_message(d, header))
			return;
	}
}

int netlink_dump_create(struct netlink_dump **out, struct event_base *base, enum netlink_priority priority,
			struct netlink_dump_handler *handler)
{
	struct netlink_dump *d;

	if (event_base_get_npriorities(base) < NETLINK_PRIORITIES)
		return -EINVAL;
	d = zalloc(sizeof(*d));
	d->handler = handler;
	d->base = base;
	d->priority = priority;
	d->fd = -1;
	*out = d;
	return 0;
}

void netlink_dump_destroy(struct netlink_dump *d)
{
	if (!d)
		return;
	dump_stop(d);
	nlmsg_free(d->request);
	free(d);
}

int netlink_dump_start(struct netlink_dump *d, const struct nl_msg *request, char *err, size_t errlen)
{
	int error;

	nlmsg_free(d->request);
	d->request = nlmsg_convert(nlmsg_hdr((struct nl_msg *)request));
	must(!d->request);
	d->attempts = 0;
	error = dump_ask(d, err, errlen);
	if (!error)
		d->handler->begin(d->handler);
	return error;
}

bool netlink_dump_running(const struct netlink_dump *d)
{
	return d->event != NULL;
}

uint64_t netlink_dump_restarts(const struct netlink_dump *d)
{
	return d->restarts;
}

/* --- writer ----------------------------------------------------------------------------------- */

struct netlink_writer {
	int fd;
	uint32_t sequence; /* of the last message sent */
	alignas(struct nlmsghdr) uint8_t buffer[BUFFER_SIZE];
};

int netlink_writer_open(struct netlink_writer **out, char *err, size_t errlen)
{
	struct netlink_writer *w;
	int fd = -1;
	int error = socket_open(&fd, NETLINK_ROUTE, err, errlen);

	if (error)
		return error;
	receive_buffer_set(fd, ANSWER_BUFFER);
	w = zalloc(sizeof(*w));
	w->fd = fd;
	*out = w;
	return 0;
}

void netlink_writer_close(struct netlink_writer *w)
{
	if (!w)
		return;
	close(w->fd);
	free(w);
}

/* One send and its answers. */
struct exchange {
	struct netlink_answer_handler *handler;
	uint32_t first; /* sequence number of message 0 */
	size_t count;
	bool told[NETLINK_BATCH_MAX]; /* refused already */
	bool complete;                /* the last message is answered */
};

static void exchange_refuse(struct exchange *x, size_t index, int error, const char *text)
{
	if (x->told[index])
		return;
	x->told[index] = true;
	x->handler->refused(x->handler, index, error, text);
}

static void exchange_answer(struct exchange *x, const struct nlmsghdr *header)
{
	char text[TEXT_SIZE];
	uint32_t index = header->nlmsg_seq - x->first;
	int error;

	if (header->nlmsg_type != NLMSG_ERROR || index >= x->count)
		return; /* of an exchange given up before */
	error = verdict(header, text, sizeof(text));
	if (error)
		exchange_refuse(x, index, error, text);
	if (index == x->count - 1)
		x->complete = true;
}

static void exchange_run(struct netlink_writer *w, struct exchange *x, const void *messages, size_t length)
{
	ssize_t n = TEMP_FAILURE_RETRY(send(w->fd, messages, length, 0));
	int error = n < 0 ? -errno : 0;

	while (!error && !x->complete) {
		struct nlmsghdr *header = (void *)w->buffer;
		int left;

		n = receive(w->fd, w->buffer);
		if (n == -EPROTO)
			continue;
		if (n < 0) {
			error = (int)n;
			break;
		}
		left = (int)n;
		for (; nlmsg_ok(header, left); header = nlmsg_next(header, &left))
			exchange_answer(x, header);
	}
	for (size_t i = 0; error && i < x->count; i++)
		exchange_refuse(x, i, error == -EAGAIN ? -ENOBUFS : error,
				error == -EAGAIN ? "the kernel's answer was lost" : strerror(-error));
}

void netlink_batch(struct netlink_writer *w, void *messages, size_t length, size_t count,
		   struct netlink_answer_handler *handler)
{
	struct exchange x = {.handler = handler, .first = w->sequence + 1, .count = count};
	struct nlmsghdr *header = messages;
	int left = (int)length;

	must(count == 0 || count > NETLINK_BATCH_MAX);
	for (size_t i = 0; i < count; i++) {
		must(!nlmsg_ok(header, left));
		header->nlmsg_flags |= NLM_F_REQUEST;
		header->nlmsg_flags &= (uint16_t)~NLM_F_ACK;
		if (i == count - 1)
			header->nlmsg_flags |= NLM_F_ACK;
		header->nlmsg_seq = ++w->sequence;
		header = nlmsg_next(header, &left);
	}
	exchange_run(w, &x, messages, length);
}

struct single {
	struct netlink_answer_handler handler;
	int error;
	char *err;
	size_t errlen;
};

static void single_refused(struct netlink_answer_handler *handler, size_t index, int error, const char *text)
{
	struct single *s = OWNER_OF(handler, struct single, handler);

	(void)index;
	s->error = error;
	netlink_explain(s->err, s->errlen, "%s", text);
}

int netlink_request(struct netlink_writer *w, struct nl_msg *message, char *err, size_t errlen)
{
	struct single s = {.handler.refused = single_refused, .errlen = errlen};
	struct nlmsghdr *header = nlmsg_hdr(message);

	s.err = err;
	netlink_batch(w, header, header->nlmsg_len, 1, &s.handler);
	return s.error;
}
