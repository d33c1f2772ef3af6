/* SPDX-License-Identifier: ISC */
/*
 * link - the interfaces of this leaf.
 *
 * The kernel speaks of a bridge port in two voices: RTM_NEWLINK of AF_UNSPEC with everything (the port's
 * attributes in IFLA_LINKINFO), and RTM_NEWLINK of AF_BRIDGE with the port's attributes only, in
 * IFLA_PROTINFO, after a change of theirs. (RTM_DELLINK of AF_BRIDGE means "no port any more", not "gone".)
 * link_parse() cuts either; link_merge() puts what it says over what is known, so that the owner always sees
 * a whole link, and sees it only when some member changed.
 *
 * Links are kept in one array in order of ifindex. A dump marks what it saw by a generation number; at its
 * end what bears an older number is gone.
 *
 * Speed and duplex are not in rtnetlink: they are asked by ethtool ioctl, and only while there is carrier, so
 * that the loss of a port, which must be told at once, asks nobody.
 */
#include "netlink/link.h"
#include "netlink/internal.h"
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BUFFER (8 << 20)
#define BUDGET         256
#define CLOCK_T_MS     10 /* USER_HZ is 100 on every port of Linux */
#define SPEED_MAX      (1u << 30)
/* three bitmaps of link modes, of at most 127 words each (link_mode_masks_nwords is s8) */
#define ETHTOOL_MODES (3 * 127 * sizeof(uint32_t))

/* --- parse ------------------------------------------------------------------------------------ */

static struct nla_policy link_policy[IFLA_MAX + 1] = {
    [IFLA_IFNAME] = {.type = NLA_STRING, .maxlen = IFNAMSIZ},
    [IFLA_MASTER] = {.type = NLA_U32},
    [IFLA_LINK] = {.type = NLA_U32},
    [IFLA_MTU] = {.type = NLA_U32},
    [IFLA_OPERSTATE] = {.type = NLA_U8},
    [IFLA_LINKINFO] = {.type = NLA_NESTED},
};

static struct nla_policy info_policy[IFLA_INFO_MAX + 1] = {
    [IFLA_INFO_KIND] = {.type = NLA_STRING},
    [IFLA_INFO_DATA] = {.type = NLA_NESTED},
    [IFLA_INFO_SLAVE_KIND] = {.type = NLA_STRING},
    [IFLA_INFO_SLAVE_DATA] = {.type = NLA_NESTED},
};

static struct nla_policy port_policy[IFLA_BRPORT_MAX + 1] = {
    [IFLA_BRPORT_STATE] = {.type = NLA_U8},
    [IFLA_BRPORT_LEARNING] = {.type = NLA_U8},
    [IFLA_BRPORT_ISOLATED] = {.type = NLA_U8},
    [IFLA_BRPORT_BACKUP_PORT] = {.type = NLA_U32},
};

static struct nla_policy bridge_policy[IFLA_BR_MAX + 1] = {
    [IFLA_BR_VLAN_FILTERING] = {.type = NLA_U8},
    [IFLA_BR_AGEING_TIME] = {.type = NLA_U32},
};

static struct nla_policy vlan_policy[IFLA_VLAN_MAX + 1] = {
    [IFLA_VLAN_ID] = {.type = NLA_U16},
};

static int port_parse(struct nlattr *nested, struct link_message *m)
{
	struct nlattr *attrs[IFLA_BRPORT_MAX + 1];

	if (nla_parse_nested(attrs, IFLA_BRPORT_MAX, nested, port_policy))
		return -EBADMSG;
	if (!attrs[IFLA_BRPORT_STATE])
		return 0; /* the bridge speaking of itself */
	m->has |= LINK_HAS_PORT;
	m->link.is_port = true;
	m->link.port.state = nla_get_u8(attrs[IFLA_BRPORT_STATE]);
	m->link.port.learning = attrs[IFLA_BRPORT_LEARNING] && nla_get_u8(attrs[IFLA_BRPORT_LEARNING]);
	m->link.port.isolated = attrs[IFLA_BRPORT_ISOLATED] && nla_get_u8(attrs[IFLA_BRPORT_ISOLATED]);
	if (attrs[IFLA_BRPORT_BACKUP_PORT])
		m->link.port.backup_port = (int)nla_get_u32(attrs[IFLA_BRPORT_BACKUP_PORT]);
	return 0;
}

static int kind_data_parse(struct nlattr *nested, struct link *link)
{
	struct nlattr *bridge[IFLA_BR_MAX + 1];
	struct nlattr *vlan[IFLA_VLAN_MAX + 1];
	uint64_t ageing;

	if (!strcmp(link->kind, "bridge")) {
		if (nla_parse_nested(bridge, IFLA_BR_MAX, nested, bridge_policy))
			return -EBADMSG;
		link->vlan_filtering =
		    bridge[IFLA_BR_VLAN_FILTERING] && nla_get_u8(bridge[IFLA_BR_VLAN_FILTERING]);
		ageing = bridge[IFLA_BR_AGEING_TIME] ? nla_get_u32(bridge[IFLA_BR_AGEING_TIME]) : 0;
		ageing *= CLOCK_T_MS;
		link->ageing_ms = ageing > UINT32_MAX ? UINT32_MAX : (uint32_t)ageing;
	} else if (!strcmp(link->kind, "vlan")) {
		if (nla_parse_nested(vlan, IFLA_VLAN_MAX, nested, vlan_policy))
			return -EBADMSG;
		link->vlan = vlan[IFLA_VLAN_ID] ? nla_get_u16(vlan[IFLA_VLAN_ID]) : 0;
	}
	return 0;
}

static int info_parse(struct nlattr *nested, struct link_message *m)
{
	struct nlattr *attrs[IFLA_INFO_MAX + 1];
	struct nlattr *slave;

	if (nla_parse_nested(attrs, IFLA_INFO_MAX, nested, info_policy))
		return -EBADMSG;
	if (attrs[IFLA_INFO_KIND])
		nla_strlcpy(m->link.kind, attrs[IFLA_INFO_KIND], sizeof(m->link.kind));
	if (attrs[IFLA_INFO_DATA] && kind_data_parse(attrs[IFLA_INFO_DATA], &m->link))
		return -EBADMSG;
	slave = attrs[IFLA_INFO_SLAVE_KIND];
	if (slave && attrs[IFLA_INFO_SLAVE_DATA] && !nla_strcmp(slave, "bridge"))
		return port_parse(attrs[IFLA_INFO_SLAVE_DATA], m);
	return 0;
}

/* What both voices carry. */
static void common_parse(struct nlattr *const *attrs, struct link_message *m)
{
	struct link *link = &m->link;

	if (attrs[IFLA_IFNAME])
		nla_strlcpy(link->name, attrs[IFLA_IFNAME], sizeof(link->name));
	if (attrs[IFLA_MASTER])
		link->master = (int)nla_get_u32(attrs[IFLA_MASTER]);
	if (attrs[IFLA_ADDRESS] && nla_len(attrs[IFLA_ADDRESS]) == sizeof(link->mac)) {
		memcpy(link->mac, nla_data(attrs[IFLA_ADDRESS]), sizeof(link->mac));
		m->has |= LINK_HAS_MAC;
	}
	if (attrs[IFLA_MTU]) {
		link->mtu = nla_get_u32(attrs[IFLA_MTU]);
		m->has |= LINK_HAS_MTU;
	}
	if (attrs[IFLA_OPERSTATE]) {
		link->operstate = nla_get_u8(attrs[IFLA_OPERSTATE]);
		m->has |= LINK_HAS_OPERSTATE;
	}
}

int link_parse(const void *message, size_t length, struct link_message *out)
{
	struct nlmsghdr *header = (struct nlmsghdr *)message;
	struct nlattr *attrs[IFLA_MAX + 1];
	struct link_message m = {0};
	struct ifinfomsg *info;
	bool gone;

	if (length > INT32_MAX || !nlmsg_ok(header, (int)length))
		return -EBADMSG;
	if (header->nlmsg_type != RTM_NEWLINK && header->nlmsg_type != RTM_DELLINK)
		return -ENOMSG;
	if (!nlmsg_valid_hdr(header, sizeof(*info)))
		return -EBADMSG;
	info = nlmsg_data(header);
	if (info->ifi_family != AF_UNSPEC && info->ifi_family != AF_BRIDGE)
		return -ENOMSG;
	if (info->ifi_index <= 0 || nlmsg_parse(header, sizeof(*info), attrs, IFLA_MAX, link_policy) ||
	    !attrs[IFLA_IFNAME])
		return -EBADMSG;
	gone = header->nlmsg_type == RTM_DELLINK;
	if (gone && info->ifi_family == AF_BRIDGE)
		return -ENOMSG; /* a port left its bridge: told again, with everything, as a change of its
				   master */
	m.link.ifindex = info->ifi_index;
	m.link.admin_up = info->ifi_flags & IFF_UP;
	m.link.carrier = info->ifi_flags & IFF_LOWER_UP;
	common_parse(attrs, &m);
	if (info->ifi_family == AF_UNSPEC) {
		m.gone = gone;
		m.has |= LINK_HAS_KIND;
		if (attrs[IFLA_LINK] && !attrs[IFLA_LINK_NETNSID])
			m.link.lower = (int)nla_get_u32(attrs[IFLA_LINK]);
		if (attrs[IFLA_LINKINFO] && info_parse(attrs[IFLA_LINKINFO], &m))
			return -EBADMSG;
	} else {
		/* nested only when it speaks of a port; older bridges put a bare state there */
		if (attrs[IFLA_PROTINFO] && nla_is_nested(attrs[IFLA_PROTINFO]) &&
		    port_parse(attrs[IFLA_PROTINFO], &m))
			return -EBADMSG;
	}
	*out = m;
	return 0;
}

/* --- the object ------------------------------------------------------------------------------- */

struct slot {
	struct link link;
	uint64_t generation; /* of the dump that saw it last; the current one for what was told since */
};

struct links {
	struct netlink_listener_handler listening;
	struct netlink_dump_handler dumping;
	struct link_handler *handler;
	struct netlink_listener *listener;
	struct netlink_dump *dump;
	struct netlink_writer *writer;
	int ethtool; /* socket for ioctl */
	struct slot *slots;
	size_t count, room;
	uint64_t generation;
	struct link_counters counters;
};

static bool link_same(const struct link *a, const struct link *b)
{
	return a->ifindex == b->ifindex && !strcmp(a->name, b->name) && !strcmp(a->kind, b->kind) &&
	       a->master == b->master && a->lower == b->lower && !memcmp(a->mac, b->mac, sizeof(a->mac)) &&
	       a->mtu == b->mtu && a->admin_up == b->admin_up && a->carrier == b->carrier &&
	       a->operstate == b->operstate && a->is_port == b->is_port && a->port.state == b->port.state &&
	       a->port.learning == b->port.learning && a->port.isolated == b->port.isolated &&
	       a->port.backup_port == b->port.backup_port && a->vlan_filtering == b->vlan_filtering &&
	       a->ageing_ms == b->ageing_ms && a->vlan == b->vlan && a->speed == b->speed &&
	       a->duplex == b->duplex;
}

/* Index of the slot with this ifindex, or of the one it would stand before. */
static size_t slot_position(const struct links *l, int ifindex)
{
	size_t low = 0;
	size_t high = l->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (l->slots[middle].link.ifindex < ifindex)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct slot *slot_find(const struct links *l, int ifindex)
{
	size_t i = slot_position(l, ifindex);

	return i < l->count && l->slots[i].link.ifindex == ifindex ? &l->slots[i] : NULL;
}

/* An empty slot for an ifindex that has none; NULL when there are too many. */
static struct slot *slot_insert(struct links *l, int ifindex)
{
	size_t i = slot_position(l, ifindex);

	if (l->count == LINK_MAX) {
		l->counters.excess++;
		return NULL;
	}
	if (l->count == l->room) {
		l->room = l->room ? l->room * 2 : 64;
		l->slots = reallocarray(l->slots, l->room, sizeof(*l->slots));
		must(!l->slots);
	}
	memmove(&l->slots[i + 1], &l->slots[i], (l->count - i) * sizeof(*l->slots));
	l->count++;
	l->slots[i] = (struct slot){.link.ifindex = ifindex};
	return &l->slots[i];
}

static void slot_remove(struct links *l, struct slot *slot)
{
	struct link last = slot->link;
	size_t i = (size_t)(slot - l->slots);

	l->count--;
	memmove(slot, slot + 1, (l->count - i) * sizeof(*slot));
	l->handler->gone(l->handler, &last);
}

/* ETHTOOL_GLINKSETTINGS: the first call tells how many words the link modes take, the second tells all. */
static void link_speed(const struct links *l, struct link *link)
{
	_Alignas(struct ethtool_link_settings)
	    uint8_t room[sizeof(struct ethtool_link_settings) + ETHTOOL_MODES] = {0};
	struct ethtool_link_settings *settings = (void *)room;
	struct ifreq ifr = {.ifr_data = (void *)room};

	link->speed = 0;
	link->duplex = LINK_DUPLEX_UNKNOWN;
	if (!link->carrier)
		return;
	memcpy(ifr.ifr_name, link->name, sizeof(ifr.ifr_name));
	settings->cmd = ETHTOOL_GLINKSETTINGS;
	if (ioctl(l->ethtool, SIOCETHTOOL, &ifr) || settings->link_mode_masks_nwords >= 0)
		return;
	settings->link_mode_masks_nwords = (int8_t)-settings->link_mode_masks_nwords;
	settings->cmd = ETHTOOL_GLINKSETTINGS;
	if (ioctl(l->ethtool, SIOCETHTOOL, &ifr))
		return;
	if (settings->speed <= SPEED_MAX)
		link->speed = settings->speed;
	if (settings->duplex == DUPLEX_FULL)
		link->duplex = LINK_DUPLEX_FULL;
	else if (settings->duplex == DUPLEX_HALF)
		link->duplex = LINK_DUPLEX_HALF;
}

/* Put a message over what is known. */
static void link_merge(struct link *link, const struct link_message *m)
{
	struct link old = *link;

	if (m->has & LINK_HAS_KIND) {
		*link = m->link;
	} else {
		memcpy(link->name, m->link.name, sizeof(link->name));
		link->admin_up = m->link.admin_up;
		link->carrier = m->link.carrier;
		if (m->has & LINK_HAS_PORT) {
			link->is_port = true;
			link->port = m->link.port;
			link->master = m->link.master;
		}
	}
	memcpy(link->mac, m->has & LINK_HAS_MAC ? m->link.mac : old.mac, sizeof(link->mac));
	link->mtu = m->has & LINK_HAS_MTU ? m->link.mtu : old.mtu;
	link->operstate = m->has & LINK_HAS_OPERSTATE ? m->link.operstate : old.operstate;
	link->speed = old.speed;
	link->duplex = old.duplex;
}

static void link_take(struct links *l, const struct link_message *m)
{
	struct slot *slot = slot_find(l, m->link.ifindex);
	bool is_new = !slot;
	struct link old;

	if (m->gone) {
		if (slot)
			slot_remove(l, slot);
		return;
	}
	if (!slot && (m->has & LINK_HAS_KIND))
		slot = slot_insert(l, m->link.ifindex);
	if (!slot)
		return;
	old = slot->link;
	link_merge(&slot->link, m);
	slot->generation = l->generation;
	if ((m->has & LINK_HAS_KIND) || !slot->link.carrier)
		link_speed(l, &slot->link);
	if (is_new || !link_same(&old, &slot->link))
		l->handler->changed(l->handler, &slot->link);
}

static void link_receive(struct links *l, const struct nlmsghdr *header)
{
	struct link_message m;
	int error = link_parse(header, header->nlmsg_len, &m);

	if (error == -EBADMSG)
		l->counters.malformed++;
	if (!error)
		link_take(l, &m);
}

static void link_listened(struct netlink_listener_handler *listening, const struct nlmsghdr *header)
{
	struct links *l = OWNER_OF(listening, struct links, listening);

	link_receive(l, header);
}

static void link_overrun(struct netlink_listener_handler *listening)
{
	struct links *l = OWNER_OF(listening, struct links, listening);
	char text[256];
	int error = link_dump(l, text, sizeof(text));

	l->handler->overrun(l->handler);
	if (error)
		l->handler->failed(l->handler, error, text);
}

static void link_dump_begin(struct netlink_dump_handler *dumping)
{
	struct links *l = OWNER_OF(dumping, struct links, dumping);

	l->generation++;
}

static void link_dumped(struct netlink_dump_handler *dumping, const struct nlmsghdr *header)
{
	struct links *l = OWNER_OF(dumping, struct links, dumping);

	link_receive(l, header);
}

static void link_dump_end(struct netlink_dump_handler *dumping, int status, const char *text)
{
	struct links *l = OWNER_OF(dumping, struct links, dumping);

	netlink_listener_pause(l->listener, false);
	if (status) {
		l->handler->failed(l->handler, status, text);
		return;
	}
	for (size_t i = l->count; i-- > 0;) {
		if (l->slots[i].generation != l->generation)
			slot_remove(l, &l->slots[i]);
	}
	l->handler->synced(l->handler);
}

int link_dump(struct links *l, char *err, size_t errlen)
{
	struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
	struct nl_msg *request = nlmsg_alloc_simple(RTM_GETLINK, 0);
	int error;

	must(!request || nlmsg_append(request, &info, sizeof(info), NLMSG_ALIGNTO));
	netlink_listener_pause(l->listener, true);
	error = netlink_dump_start(l->dump, request, err, errlen);
	if (error)
		netlink_listener_pause(l->listener, false);
	nlmsg_free(request);
	return error;
}

const struct link *link_by_index(const struct links *l, int ifindex)
{
	const struct slot *slot = slot_find(l, ifindex);

	return slot ? &slot->link : NULL;
}

const struct link *link_by_name(const struct links *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++) {
		if (!strcmp(l->slots[i].link.name, name))
			return &l->slots[i].link;
	}
	return NULL;
}

struct link_counters link_counters(const struct links *l)
{
	const struct netlink_listener_counters *heard = netlink_listener_counters(l->listener);
	struct link_counters c = l->counters;

	c.messages = heard->messages;
	c.overruns = heard->overruns;
	c.malformed += heard->refused;
	c.restarts = netlink_dump_restarts(l->dump);
	return c;
}

/* --- setters ---------------------------------------------------------------------------------- */

/* RTM_SETLINK of AF_BRIDGE with one attribute of the port. */
static int port_set(struct links *l, int port, int attribute, size_t size, const void *value, char *err,
		    size_t errlen)
{
	struct ifinfomsg info = {.ifi_family = AF_BRIDGE, .ifi_index = port};
	struct nl_msg *message = nlmsg_alloc_simple(RTM_SETLINK, 0);
	struct nlattr *nest;
	int error;

	must(!message || nlmsg_append(message, &info, sizeof(info), NLMSG_ALIGNTO));
	nest = nla_nest_start(message, IFLA_PROTINFO | NLA_F_NESTED);
	must(!nest || nla_put(message, attribute, (int)size, value));
	nla_nest_end(message, nest);
	error = netlink_request(l->writer, message, err, errlen);
	nlmsg_free(message);
	return error;
}

int link_set_learning(struct links *l, int port, bool learning, char *err, size_t errlen)
{
	uint8_t value = learning;

	return port_set(l, port, IFLA_BRPORT_LEARNING, sizeof(value), &value, err, errlen);
}

int link_set_backup_port(struct links *l, int port, int backup, char *err, size_t errlen)
{
	uint32_t value = (uint32_t)backup;

	return port_set(l, port, IFLA_BRPORT_BACKUP_PORT, sizeof(value), &value, err, errlen);
}

int link_set_linklocal_learning(struct links *l, int bridge, bool learning, char *err, size_t errlen)
{
	struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_index = bridge};
	uint32_t bit = 1u << BR_BOOLOPT_NO_LL_LEARN;
	struct br_boolopt_multi option = {.optval = learning ? 0 : bit, .optmask = bit};
	struct nl_msg *message = nlmsg_alloc_simple(RTM_NEWLINK, 0);
	struct nlattr *outer, *inner;
	int error;

	must(!message || nlmsg_append(message, &info, sizeof(info), NLMSG_ALIGNTO));
	outer = nla_nest_start(message, IFLA_LINKINFO);
	must(!outer || nla_put_string(message, IFLA_INFO_KIND, "bridge"));
	inner = nla_nest_start(message, IFLA_INFO_DATA);
	must(!inner || nla_put(message, IFLA_BR_MULTI_BOOLOPT, sizeof(option), &option));
	nla_nest_end(message, inner);
	nla_nest_end(message, outer);
	error = netlink_request(l->writer, message, err, errlen);
	nlmsg_free(message);
	return error;
}

/* --- open and close --------------------------------------------------------------------------- */

int link_open(struct links **out, struct event_base *base, int receive_buffer, struct link_handler *handler,
	      char *err, size_t errlen)
{
	struct netlink_listener_config listen = {
	    .group = RTNLGRP_LINK,
	    .priority = NETLINK_PRIORITY_LINK,
	    .receive_buffer = receive_buffer ? receive_buffer : RECEIVE_BUFFER,
	    .budget = BUDGET,
	};
	struct links *l = zalloc(sizeof(*l));
	int error;

	l->handler = handler;
	l->listening = (struct netlink_listener_handler){.message = link_listened, .overrun = link_overrun};
	l->dumping = (struct netlink_dump_handler){
	    .begin = link_dump_begin, .message = link_dumped, .end = link_dump_end};
	l->ethtool = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (l->ethtool < 0) {
		error = -errno;
		netlink_explain(err, errlen, "socket for ethtool: %s", strerror(-error));
		goto fail;
	}
	error = netlink_listener_open(&l->listener, base, &listen, &l->listening, err, errlen);
	if (error)
		goto fail;
	error = netlink_writer_open(&l->writer, err, errlen);
	if (error)
		goto fail;
	error = netlink_dump_create(&l->dump, base, NETLINK_PRIORITY_LINK, &l->dumping);
	must(error); /* the listener has the same demand on the base */
	error = link_dump(l, err, errlen);
	if (error)
		goto fail;
	*out = l;
	return 0;
fail:
	link_close(l);
	return error;
}

void link_close(struct links *l)
{
	if (!l)
		return;
	netlink_dump_destroy(l->dump);
	netlink_writer_close(l->writer);
	netlink_listener_close(l->listener);
	if (l->ethtool >= 0)
		close(l->ethtool);
	free(l->slots);
	free(l);
}
