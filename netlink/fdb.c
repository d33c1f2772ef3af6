/* SPDX-License-Identifier: ISC */
/*
 * fdb - a bridge's forwarding database.
 *
 * Three sockets: a listener that hears only AF_BRIDGE neighbours (IP neighbours share the group, the kernel
 * filters them), a dump, a writer. Writes wait in a queue and go out FDB_BATCH per turn of the loop, from a
 * timer of zero length: between two batches the loop polls, so keepalives and link events overtake a table of
 * any size.
 *
 * Kinds, as the bridge knows them (net/bridge/br_fdb.c): NUD_NOARP is static, NUD_PERMANENT its own address,
 * anything else dynamic; NTF_EXT_LEARNED makes the kernel forget about static, so the two are not written
 * together. Activity notification is NDA_FDB_EXT_ATTRS { NFEA_ACTIVITY_NOTIFY }: bit 1 asks for it, bit 2
 * says inactive.
 */
#include "netlink/fdb.h"
#include "netlink/internal.h"
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/socket.h>

#define RECEIVE_BUFFER (64 << 20)
#define BUDGET         512
#define MESSAGE_MAX    128 /* bytes of one write: header, ndmsg, and at most 32 bytes of attributes */
#define VLAN_MAX       4094

/* --- parse ------------------------------------------------------------------------------------ */

static struct nla_policy fdb_policy[NDA_MAX + 1] = {
    [NDA_LLADDR] = {.minlen = 6, .maxlen = 6},
    [NDA_VLAN] = {.type = NLA_U16},
    [NDA_MASTER] = {.type = NLA_U32},
    [NDA_FDB_EXT_ATTRS] = {.type = NLA_NESTED},
};

static struct nla_policy ext_policy[NFEA_MAX + 1] = {
    [NFEA_ACTIVITY_NOTIFY] = {.type = NLA_U8},
};

static int activity_parse(struct nlattr *nested, enum fdb_activity *activity)
{
	struct nlattr *attrs[NFEA_MAX + 1];
	uint8_t bits;

	*activity = FDB_ACTIVITY_NONE;
	if (!nested)
		return 0;
	if (nla_parse_nested(attrs, NFEA_MAX, nested, ext_policy))
		return -EBADMSG;
	bits = attrs[NFEA_ACTIVITY_NOTIFY] ? nla_get_u8(attrs[NFEA_ACTIVITY_NOTIFY]) : 0;
	if (bits & FDB_NOTIFY_BIT)
		*activity = bits & FDB_NOTIFY_INACTIVE_BIT ? FDB_ACTIVITY_INACTIVE : FDB_ACTIVITY_ACTIVE;
	return 0;
}

static enum fdb_state state_parse(uint16_t nud)
{
	if (nud & NUD_PERMANENT)
		return FDB_LOCAL;
	return nud & NUD_NOARP ? FDB_STATIC : FDB_DYNAMIC;
}

int fdb_parse(const void *message, size_t length, enum fdb_change *change, struct fdb_entry *entry)
{
	struct nlmsghdr *header = (struct nlmsghdr *)message;
	struct nlattr *attrs[NDA_MAX + 1];
	struct fdb_entry e = {0};
	struct ndmsg *nd;

	if (length > INT32_MAX || !nlmsg_ok(header, (int)length))
		return -EBADMSG;
	if (header->nlmsg_type != RTM_NEWNEIGH && header->nlmsg_type != RTM_DELNEIGH)
		return -ENOMSG;
	if (!nlmsg_valid_hdr(header, sizeof(*nd)))
		return -EBADMSG;
	nd = nlmsg_data(header);
	if (nd->ndm_family != AF_BRIDGE || (nd->ndm_flags & NTF_SELF))
		return -ENOMSG;
	if (nlmsg_parse(header, sizeof(*nd), attrs, NDA_MAX, fdb_policy))
		return -EBADMSG;
	if (!attrs[NDA_MASTER])
		return -ENOMSG; /* of a device's own table */
	if (!attrs[NDA_LLADDR] || nd->ndm_ifindex <= 0 ||
	    activity_parse(attrs[NDA_FDB_EXT_ATTRS], &e.activity))
		return -EBADMSG;
	e.ifindex = nd->ndm_ifindex;
	e.bridge = (int)nla_get_u32(attrs[NDA_MASTER]);
	e.vlan = attrs[NDA_VLAN] ? nla_get_u16(attrs[NDA_VLAN]) : 0;
	if (e.bridge <= 0 || e.vlan > VLAN_MAX)
		return -EBADMSG;
	memcpy(e.mac, nla_data(attrs[NDA_LLADDR]), sizeof(e.mac));
	e.state = state_parse(nd->ndm_state);
	e.ext_learned = nd->ndm_flags & NTF_EXT_LEARNED;
	e.sticky = nd->ndm_flags & NTF_STICKY;
	*change = header->nlmsg_type == RTM_NEWNEIGH ? FDB_NEW : FDB_GONE;
	*entry = e;
	return 0;
}

/* --- the object ------------------------------------------------------------------------------- */

struct item {
	enum fdb_write write;
	struct fdb_entry entry;
};

struct fdb {
	struct netlink_listener_handler listening;
	struct netlink_dump_handler dumping;
	struct netlink_answer_handler answering;
	struct fdb_handler *handler;
	struct netlink_listener *listener;
	struct netlink_dump *dump;
	int bridge; /* of the dump */
	struct netlink_writer *writer;
	struct event *write_event;
	struct item *queue; /* ring of `room` items, a power of two */
	size_t room, head, count;
	struct item *batch; /* the items of the batch under way */
	struct fdb_counters counters;
	_Alignas(struct nlmsghdr) uint8_t buffer[FDB_BATCH * MESSAGE_MAX];
};

static void fdb_message(struct netlink_listener_handler *listening, const struct nlmsghdr *header)
{
	struct fdb *f = OWNER_OF(listening, struct fdb, listening);
	enum fdb_change change;
	struct fdb_entry entry;
	int error = fdb_parse(header, header->nlmsg_len, &change, &entry);

	if (error == -EBADMSG)
		f->counters.malformed++;
	if (!error)
		f->handler->changed(f->handler, change, &entry);
}

static void fdb_overrun(struct netlink_listener_handler *listening)
{
	struct fdb *f = OWNER_OF(listening, struct fdb, listening);

	f->handler->overrun(f->handler);
}

static void fdb_dump_begin(struct netlink_dump_handler *dumping)
{
	struct fdb *f = OWNER_OF(dumping, struct fdb, dumping);

	f->handler->dump_begin(f->handler);
}

static void fdb_dump_message(struct netlink_dump_handler *dumping, const struct nlmsghdr *header)
{
	struct fdb *f = OWNER_OF(dumping, struct fdb, dumping);
	enum fdb_change change;
	struct fdb_entry entry;
	int error = fdb_parse(header, header->nlmsg_len, &change, &entry);

	if (error == -EBADMSG)
		f->counters.malformed++;
	/* the kernel adds other bridges' own addresses to a dump of this one */
	if (!error && change == FDB_NEW && entry.bridge == f->bridge)
		f->handler->dump_entry(f->handler, &entry);
}

static void fdb_dump_end(struct netlink_dump_handler *dumping, int status, const char *text)
{
	struct fdb *f = OWNER_OF(dumping, struct fdb, dumping);

	netlink_listener_pause(f->listener, false);
	f->handler->dump_end(f->handler, status, text);
}

int fdb_dump(struct fdb *f, int bridge, char *err, size_t errlen)
{
	struct ndmsg nd = {.ndm_family = AF_BRIDGE};
	struct nl_msg *request = nlmsg_alloc_simple(RTM_GETNEIGH, 0);
	int error;

	must(!request || nlmsg_append(request, &nd, sizeof(nd), NLMSG_ALIGNTO) ||
	     nla_put_u32(request, NDA_MASTER, (uint32_t)bridge));
	f->bridge = bridge;
	netlink_listener_pause(f->listener, true);
	error = netlink_dump_start(f->dump, request, err, errlen);
	if (error)
		netlink_listener_pause(f->listener, false);
	nlmsg_free(request);
	return error;
}

/* --- write ------------------------------------------------------------------------------------ */

static size_t item_encode(const struct item *item, uint8_t *to)
{
	static const uint16_t nud[] = {
	    [FDB_DYNAMIC] = NUD_REACHABLE, [FDB_STATIC] = NUD_NOARP, [FDB_LOCAL] = NUD_PERMANENT};
	const struct fdb_entry *e = &item->entry;
	bool add = item->write == FDB_ADD;
	struct ndmsg nd = {
	    .ndm_family = AF_BRIDGE,
	    .ndm_ifindex = e->ifindex,
	    .ndm_state = add ? nud[e->state] : 0,
	    .ndm_flags = (uint8_t)(NTF_MASTER | (e->ext_learned && add ? NTF_EXT_LEARNED : 0) |
				   (e->sticky && add ? NTF_STICKY : 0)),
	};
	struct nl_msg *message = nlmsg_alloc_size(MESSAGE_MAX);
	struct nlmsghdr *header;
	struct nlattr *nest;
	size_t length;

	must(!message);
	header = nlmsg_put(message, 0, 0, add ? RTM_NEWNEIGH : RTM_DELNEIGH, 0,
			   add ? NLM_F_CREATE | NLM_F_REPLACE : 0);
	must(!header || nlmsg_append(message, &nd, sizeof(nd), NLMSG_ALIGNTO) ||
	     nla_put(message, NDA_LLADDR, sizeof(e->mac), e->mac));
	if (e->vlan)
		must(nla_put_u16(message, NDA_VLAN, e->vlan));
	if (add && e->activity != FDB_ACTIVITY_NONE) {
		uint8_t bits = FDB_NOTIFY_BIT;

		if (e->activity == FDB_ACTIVITY_INACTIVE)
			bits |= FDB_NOTIFY_INACTIVE_BIT;
		nest = nla_nest_start(message, NDA_FDB_EXT_ATTRS | NLA_F_NESTED);
		must(!nest || nla_put_u8(message, NFEA_ACTIVITY_NOTIFY, bits));
		nla_nest_end(message, nest);
	}
	length = NLMSG_ALIGN(header->nlmsg_len);
	memcpy(to, header, length);
	nlmsg_free(message);
	return length;
}

static void fdb_refused(struct netlink_answer_handler *answering, size_t index, int error, const char *text)
{
	struct fdb *f = OWNER_OF(answering, struct fdb, answering);
	const struct item *item = &f->batch[index];

	/* what was to go is gone: aged, flushed with its port, or deleted by somebody else */
	if (item->write == FDB_DELETE && error == -ENOENT) {
		f->counters.absent++;
		return;
	}
	f->counters.refused++;
	f->handler->refused(f->handler, item->write, &item->entry, error, text);
}

/* Send one batch from the head of the queue. */
static void fdb_write_batch(struct fdb *f)
{
	struct item batch[FDB_BATCH];
	size_t count = f->count < FDB_BATCH ? f->count : FDB_BATCH;
	size_t length = 0;

	for (size_t i = 0; i < count; i++) {
		batch[i] = f->queue[(f->head + i) & (f->room - 1)];
		length += item_encode(&batch[i], f->buffer + length);
	}
	f->head = (f->head + count) & (f->room - 1);
	f->count -= count;
	f->counters.batches++;
	f->batch = batch;
	netlink_batch(f->writer, f->buffer, length, count, &f->answering);
	f->batch = NULL;
}

static void write_soon(struct fdb *f)
{
	struct timeval now = {0};

	must(event_add(f->write_event, &now));
}

static void fdb_write_turn(evutil_socket_t fd, short what, void *arg)
{
	struct fdb *f = arg;

	(void)fd;
	(void)what;
	if (!f->count)
		return;
	fdb_write_batch(f);
	if (f->count)
		write_soon(f);
	else
		f->handler->written(f->handler);
}

void fdb_flush(struct fdb *f)
{
	size_t turns = (f->count + FDB_BATCH - 1) / FDB_BATCH;

	if (!turns)
		return;
	/* counted beforehand: what `refused` queues again is left to the loop */
	for (; turns && f->count; turns--)
		fdb_write_batch(f);
	if (!f->count)
		f->handler->written(f->handler);
}

static void queue_grow(struct fdb *f)
{
	size_t room = f->room ? f->room * 2 : FDB_BATCH;
	struct item *queue = zalloc(room * sizeof(*queue));

	for (size_t i = 0; i < f->count; i++)
		queue[i] = f->queue[(f->head + i) & (f->room - 1)];
	free(f->queue);
	f->queue = queue;
	f->room = room;
	f->head = 0;
}

static int queue_put(struct fdb *f, enum fdb_write write, const struct fdb_entry *entry)
{
	static const uint8_t none[6];

	if (entry->ifindex <= 0 || entry->vlan > VLAN_MAX || (entry->mac[0] & 1) ||
	    !memcmp(entry->mac, none, 6))
		return -EINVAL;
	if (f->count == FDB_QUEUE_MAX) {
		f->counters.excess++;
		return -ENOBUFS;
	}
	if (f->count == f->room)
		queue_grow(f);
	f->queue[(f->head + f->count) & (f->room - 1)] = (struct item){.write = write, .entry = *entry};
	if (f->count++ == 0)
		write_soon(f);
	return 0;
}

int fdb_add(struct fdb *f, const struct fdb_entry *entry)
{
	bool bare = entry->activity == FDB_ACTIVITY_NONE;
	int error;

	switch (entry->state) {
	case FDB_DYNAMIC:
		if (!bare || (entry->ext_learned && entry->sticky))
			return -EINVAL;
		break;
	case FDB_STATIC:
		if (entry->ext_learned)
			return -EINVAL;
		break;
	case FDB_LOCAL:
		return -EINVAL;
	}
	error = queue_put(f, FDB_ADD, entry);
	if (!error)
		f->counters.adds++;
	return error;
}

int fdb_delete(struct fdb *f, const struct fdb_entry *entry)
{
	int error = queue_put(f, FDB_DELETE, entry);

	if (!error)
		f->counters.deletes++;
	return error;
}

size_t fdb_pending(const struct fdb *f)
{
	return f->count;
}

/* --- open and close --------------------------------------------------------------------------- */

int fdb_open(struct fdb **out, struct event_base *base, const struct fdb_config *config,
	     struct fdb_handler *handler, char *err, size_t errlen)
{
	struct netlink_listener_config listen = {
	    .group = RTNLGRP_NEIGH,
	    .priority = NETLINK_PRIORITY_TABLE,
	    .family = AF_BRIDGE,
	    .receive_buffer = config->receive_buffer ? config->receive_buffer : RECEIVE_BUFFER,
	    .budget = config->budget ? config->budget : BUDGET,
	};
	struct fdb *f = zalloc(sizeof(*f));
	int error;

	f->handler = handler;
	f->listening = (struct netlink_listener_handler){.message = fdb_message, .overrun = fdb_overrun};
	f->dumping = (struct netlink_dump_handler){
	    .begin = fdb_dump_begin, .message = fdb_dump_message, .end = fdb_dump_end};
	f->answering = (struct netlink_answer_handler){.refused = fdb_refused};
	error = netlink_listener_open(&f->listener, base, &listen, &f->listening, err, errlen);
	if (error)
		goto fail;
	error = netlink_writer_open(&f->writer, err, errlen);
	if (error)
		goto fail;
	error = netlink_dump_create(&f->dump, base, NETLINK_PRIORITY_TABLE, &f->dumping);
	must(error); /* the listener has the same demand on the base */
	f->write_event = evtimer_new(base, fdb_write_turn, f);
	must(!f->write_event || event_priority_set(f->write_event, NETLINK_PRIORITY_TABLE));
	*out = f;
	return 0;
fail:
	fdb_close(f);
	return error;
}

void fdb_close(struct fdb *f)
{
	if (!f)
		return;
	if (f->write_event)
		event_free(f->write_event);
	netlink_dump_destroy(f->dump);
	netlink_writer_close(f->writer);
	netlink_listener_close(f->listener);
	free(f->queue);
	free(f);
}

struct fdb_counters fdb_counters(const struct fdb *f)
{
	const struct netlink_listener_counters *l = netlink_listener_counters(f->listener);
	struct fdb_counters c = f->counters;

	c.messages = l->messages;
	c.overruns = l->overruns;
	c.discarded = l->discarded;
	c.malformed += l->refused;
	c.restarts = netlink_dump_restarts(f->dump);
	return c;
}
